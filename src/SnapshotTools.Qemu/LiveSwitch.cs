using System.Diagnostics;
using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Memory;

namespace SnapshotTools.Qemu;

/// <summary>New heads that QEMU has opened and waits to write to.</summary>
internal sealed class LiveSwitch(QemuMachine machine, DiskSwitch disks, IFileSystem files) : ILiveSwitch
{
    public LiveSwitchResult Switch(string? memoryFile, TimeSpan? maxPause, CancellationToken cancellation) => QemuCalls.Run(async () =>
    {
        WriteOut(memoryFile is null ? maxPause : null);
        cancellation.ThrowIfCancellationRequested();
        if (memoryFile is null) return new LiveSwitchResult(await disks.CommitAsync().ConfigureAwait(false), null, null);
        var target = files.Create(memoryFile);
        GuestGuard? guard = null;
        try
        {
            (guard, string? unguarded) = await StartGuardAsync(cancellation).ConfigureAwait(false);
            // QEMU leaves a guest standing whose background snapshot nobody reads any more; without a guard there is none.
            var checkpoint = await Checkpoint.TakeAsync(machine, disks, target, maxPause, unguarded is null ? null : MemoryMethod.Precopy, cancellation: cancellation).ConfigureAwait(false);
            string why = string.Join("; ", new[] { unguarded, checkpoint.Reason }.OfType<string>());
            string method = checkpoint.Method switch
            {
                MemoryMethod.Background => "in the background",
                MemoryMethod.Precopy => $"with the guest standing for the last part ({why})",
                _ => $"with the guest standing ({why})",
            };
            return new LiveSwitchResult(checkpoint.Pause, CompleteAsync(checkpoint, target, guard), method);
        }
        catch (Exception error)
        {
            target.Dispose();
            if (error is GuestStandsException) guard?.TakeOver();
            else guard?.Dispose();
            throw;
        }
    });

    /// <summary>
    /// Writes out what the heads hold, so that little is left for the pause. How long that takes once it was done is what the pause
    /// will be on a slow disk: a switch cannot be taken back in less time than it took.
    /// </summary>
    private void WriteOut(TimeSpan? maxPause)
    {
        disks.WriteOut(files);
        if (maxPause is not { } limit) return;
        var shortest = TimeSpan.MaxValue;
        for (int attempt = 0; attempt < 3 && shortest > limit; attempt++)
        {
            long begun = Stopwatch.GetTimestamp();
            disks.WriteOut(files);
            var took = Stopwatch.GetElapsedTime(begun);
            if (took < shortest) shortest = took;
        }
        if (shortest > limit) throw new PauseTooLongException(limit, shortest);
    }

    public void Dispose() => QemuCalls.Run(() => disks.DisposeAsync().AsTask());

    /// <summary>A guard for a guest that runs; why there is none.</summary>
    private async Task<(GuestGuard? Guard, string? Reason)> StartGuardAsync(CancellationToken cancellation) =>
        await machine.QueryStateAsync(cancellation).ConfigureAwait(false) == MachineState.Running ? await GuestGuard.TryStartAsync(machine, cancellation).ConfigureAwait(false) : default;

    private static async Task<long> CompleteAsync(CheckpointResult checkpoint, IBlockFile target, GuestGuard? guard)
    {
        try
        {
            return (await checkpoint.Completion.ConfigureAwait(false)).FileBytes;
        }
        finally
        {
            target.Dispose();
            guard?.Dispose();
        }
    }
}
