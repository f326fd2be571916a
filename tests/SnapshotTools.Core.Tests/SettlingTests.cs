using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Core.Tests;

/// <summary>A store is opened, and settled, while others work in it.</summary>
public class SettlingTests
{
    /// <param name="isNewBoot">Whether all stable paths are looked at, or those that a killed process left.</param>
    /// <param name="hasClone">Whether the removed volume stays out of sight, for a clone that lies on it.</param>
    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void A_volume_that_is_removed_meanwhile_is_passed_over(bool isNewBoot, bool hasClone)
    {
        using var store = new TestStore();
        string[] volumes = ["a", "b"];
        foreach (string volume in volumes) store.NewVolume(volume);
        if (hasClone) store.Engine.Volumes.Create(new NewVolumeRequest { Name = "clone", FromVolumeSnapshot = store.Engine.VolumeSnapshots.Create("b", "s", null, ensure: false).Run().Id }).Run();
        var catalog = store.Engine.Context.Catalog;
        foreach (string volume in volumes)
        {
            File.Delete(store.Engine.Volumes.Get(volume).Path);
            if (!isNewBoot) catalog.Layers.SetUnpublished(catalog.Volumes.FindByName(volume)!.Id);
        }
        if (isNewBoot) catalog.SetBootId("of yesterday");

        var log = new List<string>();
        EmbeddedStore.Open(store.Directory, line =>
        {
            log.Add(line);
            if (log.Count == 1) store.Engine.Volumes.Remove("b", removeSnapshots: true, DependantAction.Defer).Run();   // when the first stable path is right again
        }).Dispose();

        Assert.Equal(["The stable path of volume 'a' leads to its head again."], log);
        Assert.Equal(hasClone ? ["a", "clone"] : ["a"], Directory.GetFiles(Path.Combine(store.Directory, "volumes")).Select(p => Path.GetFileNameWithoutExtension(p)).Order());
        Assert.Empty(catalog.Layers.Unpublished());
        store.AssertClean();
    }

    [Fact]
    public void A_new_head_that_something_has_open_is_kept_even_where_no_machine_is_seen()
    {
        using var store = new TestStore();
        store.NewVm("web01", "data");
        var files = new FaultyFileSystem(SystemFiles.Instance);
        var killed = EmbeddedStore.Open(files, store.Directory);
        string[] before = Directory.GetFiles(Path.Combine(store.Directory, "layers"));
        files.Fail(FileCall.Flush, 1, FaultKind.Kill, always: true);   // the new head is made, and nothing of it is committed
        Assert.NotNull(Record.Exception(() => killed.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "s" }).Run()));
        Record.Exception(killed.Dispose);
        string head = Assert.Single(Directory.GetFiles(Path.Combine(store.Directory, "layers")).Except(before));

        using (var file = SystemFiles.Instance.Open(head, FileOpenMode.ReadWrite))
        using (ImageLock.Acquire(file, ImageUse.Write))
            store.Reopen();

        Assert.Equal(head, store.Engine.Volumes.Get("data").HeadPath);
        store.Engine.Optimize().Run();
        store.AssertClean();
    }
}
