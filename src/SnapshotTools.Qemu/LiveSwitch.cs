using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Machines;

namespace SnapshotTools.Qemu;

/// <summary>New heads that QEMU has opened and waits to write to.</summary>
internal sealed class LiveSwitch(QemuMachine machine, DiskSwitch disks, IFileSystem files) : ILiveSwitch
{
    public LiveSwitchResult Switch(string? memoryFile, TimeSpan? maxPause, CancellationToken cancellation) => QemuCalls.Run(async () =>
    {
        disks.WriteOut(files);
        cancellation.ThrowIfCancellationRequested();
        if (memoryFile is null) return new LiveSwitchResult(await disks.CommitAsync().ConfigureAwait(false), null, null);
        var target = files.Create(memoryFile);
        try
        {
            var checkpoint = await Checkpoint.TakeAsync(machine, disks, target, maxPause, cancellation: cancellation).ConfigureAwait(false);
            string method = checkpoint.Method == MemoryMethod.Background ? "in the background" : $"with the guest standing for the last part ({checkpoint.Reason})";
            return new LiveSwitchResult(checkpoint.Pause, CompleteAsync(checkpoint, target), method);
        }
        catch
        {
            target.Dispose();
            throw;
        }
    });

    public void Dispose() => QemuCalls.Run(() => disks.DisposeAsync().AsTask());

    private static async Task<long> CompleteAsync(CheckpointResult checkpoint, IBlockFile target)
    {
        try
        {
            return (await checkpoint.Completion.ConfigureAwait(false)).FileBytes;
        }
        finally
        {
            target.Dispose();
        }
    }
}
