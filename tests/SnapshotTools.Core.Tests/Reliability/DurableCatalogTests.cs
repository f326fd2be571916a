using System.Text.RegularExpressions;
using SnapshotTools.Embedded;
using SnapshotTools.Testing;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>The catalog's own part of the promise, on the real system: commits are waited for, and a full disk loses nothing.</summary>
[Trait("Category", "Torture")]
public sealed class DurableCatalogTests : IDisposable
{
    private const int Operations = 6;

    private readonly TempFolder _folder = new();

    [ToolFact("strace")]
    public void Each_commit_is_synced_before_the_next_step()
    {
        string store = _folder.File("store"), image = _folder.File("image.raw"), trace = _folder.File("trace");
        File.WriteAllBytes(image, new byte[1 << 20]);

        Tool.Run("strace", ["-f", "-y", "-o", trace, "-e", "trace=fsync,fdatasync,rename,symlink", "--", "dotnet", "exec", typeof(Worker).Assembly.Location, "umask", "022", store, image]);

        string[] lines = File.ReadAllLines(trace);
        int Count(string pattern) => lines.Count(l => Regex.IsMatch(l, pattern));
        // Each operation commits twice: when it is written down, and when it has happened.
        Assert.True(Count(@"f(data)?sync\(\d+<[^>]*catalog\.sqlite-wal>") >= 2 * Operations, string.Join('\n', lines));
        Assert.True(Count(@"f(data)?sync\(\d+<[^>]*\.qcow2>") >= 6, "new layers are not synced");
        Assert.True(Count(@"fsync\(\d+<[^>]*/layers>") >= 4, "the names of new layers are not synced");
        // A stable path changes only after the commit that it follows.
        int firstLink = Array.FindIndex(lines, l => l.Contains("symlink(", StringComparison.Ordinal));
        Assert.Contains(lines[..firstLink], l => l.Contains("catalog.sqlite-wal", StringComparison.Ordinal) && l.Contains("sync(", StringComparison.Ordinal));
    }

    [MountFact]
    public void A_full_disk_fails_every_operation_and_loses_nothing()
    {
        using var mount = ScratchMount.Tmpfs(16 << 20);
        using var scenario = new StoreScenario();
        string before = StoreScenario.StateOf(scenario.Prepared);
        int tried = 0, failed = 0;
        foreach (var (name, act) in StoreScenario.Acts)
        {
            foreach (int left in new[] { 0, 1, 3, 6, 12 })
            {
                try
                {
                    if (!Try(mount, scenario, act, left, before)) failed++;
                    tried++;
                }
                catch (Exception error)
                {
                    throw new InvalidOperationException($"{name} with {left} pages left: {error.Message}", error);
                }
            }
        }
        Effort.Count("faults", tried);
        Assert.True(failed > tried / 3, $"only {failed} of {tried} failed");
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>False when the operation failed for want of space; it is done again then.</summary>
    private static bool Try(ScratchMount mount, StoreScenario scenario, Action<SnapshotEngine, StoreScenario> act, int left, string before)
    {
        string store = mount.At("store"), filler = mount.At("filler");
        Tool.Run("cp", ["-a", scenario.Prepared, store]);
        Exception? error;
        using (var engine = EmbeddedStore.Open(store))
        {
            Fill(mount.Path, filler, left * 4096);
            error = Record.Exception(() => act(engine, scenario));
            File.Delete(filler);
            // A program that another test is just starting has a copy of the descriptor for a moment, and the space with it.
            TestStore.Until(() => new DriveInfo(mount.Path).AvailableFreeSpace > 1 << 20);
            Assert.True(error is null or SnapshotException { ErrorId: ErrorIds.NotEnoughSpace or ErrorIds.RestoreFailed or ErrorIds.CollectFailed or ErrorIds.StoreIoFailed }, $"{error}");
            if (error is SnapshotException { ErrorId: ErrorIds.RestoreFailed }) engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", FailAction = FailAction.Rollback }).Run();
        }
        using (var engine = EmbeddedStore.Open(store))
        {
            StoreScenario.EndCopies(engine);
            engine.Optimize().Run();
            StoreScenario.AssertClean(engine);
            if (StoreScenario.StateOf(engine) == before) act(engine, scenario);
            StoreScenario.AssertClean(engine);
        }
        Directory.Delete(store, recursive: true);
        return error is null;
    }

    private static void Fill(string directory, string filler, long left)
    {
        long free = new DriveInfo(directory).AvailableFreeSpace - left;
        using var file = File.Create(filler);
        byte[] block = new byte[4096];
        try
        {
            for (long done = 0; done + block.Length <= free; done += block.Length) file.Write(block);
            file.Flush();
        }
        catch (IOException)
        {
            // Full is what it is to be.
        }
    }
}
