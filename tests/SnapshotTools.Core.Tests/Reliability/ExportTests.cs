using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>An exported image has its name only when it is whole, whatever ends the export; and nothing that is there already is touched.</summary>
public sealed class ExportTests : IDisposable
{
    private readonly StoreScenario _scenario = new();

    [Theory]
    [InlineData(ImageFileFormat.Qcow2)]
    [InlineData(ImageFileFormat.Raw)]
    public void A_killed_export_leaves_nothing_that_looks_whole(ImageFileFormat format)
    {
        string whole = Hash(_scenario.Copy());
        int kills = 0;
        foreach (var change in new[] { FileCall.Create, FileCall.Write, FileCall.SetLength, FileCall.CopyRange, FileCall.Flush, FileCall.Rename, FileCall.SyncDirectory })
        {
            for (int n = 1; ; n++)
            {
                string store = _scenario.Copy(), folder = Directory.CreateDirectory(_scenario.NewDirectory()).FullName, target = Path.Combine(folder, "disk");
                var files = new FaultyFileSystem(SystemFiles.Instance);
                var killed = EmbeddedStore.Open(files, store);
                files.Fail(change, n, FaultKind.Kill, always: true);
                Record.Exception(() => killed.Volumes.Export("os", "b", target, format).Run());
                Record.Exception(killed.Dispose);
                if (!files.Fired) break;
                kills++;
                if (File.Exists(target)) Assert.Equal(whole, HashOf(target, format));
                EmbeddedStore.Open(store).Dispose();
                Assert.DoesNotContain(Directory.GetFiles(folder), f => f != target);
            }
        }
        Assert.True(kills > 5, $"only {kills}");

        string Hash(string store)
        {
            using var engine = EmbeddedStore.Open(store);
            return TestStore.HashFile(engine.Snapshots.Get("web01", "b").Volumes.Single(v => v.VolumeName == "os").Path);
        }
    }

    [Fact]
    public void What_comes_to_its_place_meanwhile_is_not_replaced()
    {
        string store = _scenario.Copy(), target = Path.Combine(store, "..", Path.GetFileName(store) + "-exported");
        var files = new FaultyFileSystem(SystemFiles.Instance);
        using var engine = EmbeddedStore.Open(files, store);
        files.Before = (call, path) =>
        {
            if (call == FileCall.Create && path.EndsWith(".partial", StringComparison.Ordinal)) File.WriteAllText(target, "mine");
        };
        var error = Assert.Throws<SnapshotException>(() => engine.Volumes.Export("os", "b", target, ImageFileFormat.Raw).Run());

        Assert.Equal(ErrorIds.NameExists, error.ErrorId);
        Assert.Equal("mine", File.ReadAllText(target));
        Assert.Empty(Directory.GetFiles(Path.GetDirectoryName(Path.GetFullPath(target))!, "*.partial"));
    }

    [Fact]
    public void A_present_that_somebody_writes_is_not_exported()
    {
        string store = _scenario.Copy(), target = _scenario.NewDirectory();
        using var engine = EmbeddedStore.Open(store);
        using var file = SystemFiles.Instance.Open(engine.Volumes.Get("os").HeadPath, FileOpenMode.ReadWrite);
        using (ImageLock.Acquire(file, ImageUse.Write))
            Assert.Equal(ErrorIds.ImageInUse, Assert.Throws<SnapshotException>(() => engine.Volumes.Export("os", null, target, ImageFileFormat.Raw).Run()).ErrorId);
        Assert.False(File.Exists(target));
    }

    [Fact]
    public void While_a_snapshot_is_exported_it_is_not_merged_away()
    {
        string store = _scenario.Copy(), target = _scenario.NewDirectory();
        var files = new FaultyFileSystem(SystemFiles.Instance);
        using var engine = EmbeddedStore.Open(files, store);
        string whole = TestStore.HashFile(engine.Snapshots.Get("web01", "b").Volumes.Single(v => v.VolumeName == "os").Path);
        Exception? removal = null;
        files.Before = (call, path) =>
        {
            if (call != FileCall.Create || !path.EndsWith(".partial", StringComparison.Ordinal)) return;
            using var other = EmbeddedStore.Open(store);
            removal = Record.Exception(() => other.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "b" }).Run());
        };
        engine.Volumes.Export("os", "b", target, ImageFileFormat.Raw).Run();

        Assert.Equal(whole, HashOf(target, ImageFileFormat.Raw));
        Assert.Equal(ErrorIds.SharedVolumeBusy, Assert.IsType<SnapshotException>(removal).ErrorId);
    }

    private static string HashOf(string path, ImageFileFormat format)
    {
        if (format == ImageFileFormat.Qcow2) return TestStore.HashFile(path);
        return Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(path)));
    }

    public void Dispose() => _scenario.Dispose();
}
