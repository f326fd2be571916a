using SnapshotTools.IO;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Memory;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Live;

/// <summary>Loads a saved memory into a machine that was started to wait for it.</summary>
public static class MemoryRestore
{
    /// <summary>
    /// Loads it. Afterwards the machine stands at the very instant of the checkpoint; <see cref="QemuMachine.ResumeAsync"/> lets it go on.
    /// </summary>
    /// <exception cref="MemoryImageException">The image is damaged or incomplete. QEMU may wait for the rest: turn it off.</exception>
    /// <exception cref="MigrationException">QEMU did not take it; QEMU has ended then.</exception>
    public static async Task LoadAsync(QemuMachine machine, IBlockFile image, CancellationToken cancellation = default)
    {
        var migration = new Migration(machine);
        await migration.SetCapabilitiesAsync(null, cancellation).ConfigureAwait(false);
        var (pipe, address) = await migration.OpenForLoadingAsync(cancellation).ConfigureAwait(false);
        using var watch = machine.Monitor.Watch("MIGRATION");
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        long given = 0;
        var feeding = Task.Run(() => FeedAsync(image, pipe, bytes => Volatile.Write(ref given, bytes), gone.Token), CancellationToken.None);
        try
        {
            await machine.Monitor.ExecuteAsync("migrate-incoming", new() { ["uri"] = address }, cancellation).ConfigureAwait(false);
            LiveSteps.Reached("the memory is being loaded");
            var loading = migration.WaitForCompletionAsync(watch, () => Volatile.Read(ref given), gone.Token);
            // A stream that ends before its first byte is one that QEMU waits for for ever.
            if (await Task.WhenAny(feeding, loading).ConfigureAwait(false) == feeding && feeding.IsFaulted) await feeding.ConfigureAwait(false);
            await loading.ConfigureAwait(false);
            await feeding.ConfigureAwait(false);
        }
        catch (Exception e) when (e is QmpDisconnectedException or QmpException or MigrationException)
        {
            await gone.CancelAsync().ConfigureAwait(false);
            // What was wrong with the image says more than that QEMU did not like it.
            try
            {
                await feeding.WaitAsync(TimeSpan.FromSeconds(10), CancellationToken.None).ConfigureAwait(false);
            }
            catch (Exception other) when (other is not MemoryImageException)
            {
            }
            string words = machine.Folder?.LastWords() ?? "";
            throw new MigrationException($"QEMU did not take the memory from '{image.Path}': {(words.Length > 0 ? words : e.Message)}", e);
        }
        finally
        {
            await gone.CancelAsync().ConfigureAwait(false);
            await pipe.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static async Task FeedAsync(IBlockFile image, Stream pipe, Action<long> given, CancellationToken cancellation)
    {
        await using (pipe.ConfigureAwait(false)) await MemoryImage.ReadAsync(image, pipe, given, cancellation).ConfigureAwait(false);
    }
}
