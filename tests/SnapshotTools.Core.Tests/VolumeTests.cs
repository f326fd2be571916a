using SnapshotTools.Testing;

namespace SnapshotTools.Core.Tests;

/// <summary>Volumes: made, imported, adopted, resized, removed.</summary>
public class VolumeTests
{
    [ToolFact("qemu-img")]
    public void An_imported_image_reads_the_same_and_is_left_alone()
    {
        using var store = new TestStore();
        byte[] bytes = new byte[3 << 20];
        new Random(1).NextBytes(bytes.AsSpan(1 << 20, 1 << 20));
        File.WriteAllBytes(store.File("disk.raw"), bytes);   // the zeroes are written out, and found as such
        Tool.Run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", "-c", store.File("disk.raw"), store.File("disk.qcow2")]);
        foreach (string image in new[] { "disk.raw", "disk.qcow2" })
        {
            var volume = store.Engine.Volumes.Create(new NewVolumeRequest { Name = Path.GetExtension(image)[1..], ImagePath = store.File(image) }).Run();
            Assert.Equal(3 << 20, volume.SizeBytes);
            Assert.InRange(volume.AllocatedBytes, 1 << 20, (1 << 20) + (512 << 10));
            Tool.Run("qemu-img", ["compare", "-f", "raw", "-F", "qcow2", store.File("disk.raw"), volume.Path]);
        }
        store.AssertClean(layers: 2);
    }

    [Fact]
    public void What_belongs_to_the_store_already_is_not_adopted()
    {
        using var store = new TestStore();
        var data = store.NewVolume("data");
        foreach (string path in new[] { data.Path, data.HeadPath })
        {
            var error = Assert.Throws<SnapshotException>(() => store.Engine.Volumes.Create(new NewVolumeRequest { Name = "again", ImagePath = path, Adopt = true }));
            Assert.Equal(ErrorIds.ImageRefused, error.ErrorId);
        }
        Assert.Single(store.Engine.Volumes.Find());
        store.AssertClean(layers: 1);
    }

    [ToolFact("qemu-img")]
    public void An_adopted_image_stays_where_it_is_and_is_only_read()
    {
        using var store = new TestStore();
        byte[] bytes = new byte[1 << 20];
        new Random(2).NextBytes(bytes);
        File.WriteAllBytes(store.File("disk.raw"), bytes);
        var volume = store.Engine.Volumes.Create(new NewVolumeRequest { Name = "os", ImagePath = store.File("disk.raw"), Adopt = true }).Run();
        Assert.Equal(store.File("disk.raw"), volume.AdoptedFrom);
        store.Engine.Machines.Create(new NewVmRequest { Name = "web01", Volumes = [new AttachRequest("os")] }).Run();
        store.Write("os", 0, 1000, 1);
        store.Snapshot("web01", "a");
        store.Write("os", 5000, 1000, 2);
        store.Remove("web01", "a");
        Tool.Run("qemu-img", ["check", volume.Path]);
        Assert.Equal(bytes, File.ReadAllBytes(store.File("disk.raw")));
        store.AssertClean(layers: 1);
        store.Engine.Machines.Remove("web01", removeVolumes: true, removeSnapshots: false).Run();
        Assert.Equal(bytes, File.ReadAllBytes(store.File("disk.raw")));
        store.AssertClean(layers: 0);
    }

    [Fact]
    public void An_image_that_reaches_elsewhere_is_refused_and_leaves_nothing()
    {
        using var store = new TestStore();
        File.WriteAllText(store.File("text.qcow2"), "this is no image");
        var error = Assert.Throws<SnapshotException>(() => store.Engine.Volumes.Create(new NewVolumeRequest { Name = "x", ImagePath = store.File("text.qcow2") }));
        Assert.Equal(ErrorIds.ImageRefused, error.ErrorId);
        Assert.Equal(ErrorIds.ImageNotFound, Assert.Throws<SnapshotException>(() => store.Engine.Volumes.Create(new NewVolumeRequest { Name = "x", ImagePath = store.File("none.raw") })).ErrorId);
        Assert.Equal(ErrorIds.InvalidArgument, Assert.Throws<SnapshotException>(() => store.Engine.Volumes.Create(new NewVolumeRequest { Name = "x", ImagePath = store.File("none") })).ErrorId);
        Assert.Equal(ErrorIds.ImageRefused, Assert.Throws<SnapshotException>(() => store.Engine.Volumes.Create(new NewVolumeRequest { Name = "x", ImagePath = store.Directory, ImageFormat = ImageFileFormat.Raw })).ErrorId);
        store.AssertClean(layers: 0);
    }

    [Fact]
    public void A_volume_without_snapshots_is_resized()
    {
        using var store = new TestStore();
        store.NewVolume("os");
        store.Write("os", 0, 1000, 1);
        Assert.Equal(4 << 20, store.Engine.Volumes.Resize("os", 4 << 20, false).Run().SizeBytes);
        Assert.Equal(ErrorIds.InvalidArgument, Assert.Throws<SnapshotException>(() => store.Engine.Volumes.Resize("os", 1 << 20, false)).ErrorId);
        Assert.Equal(1 << 20, store.Engine.Volumes.Resize("os", 1 << 20, true).Run().SizeBytes);
        store.AssertClean();
    }

    [Fact]
    public void Sizes_are_true_figures()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Write("os", 0, 512 << 10, 1);
        store.Snapshot("web01", "a");
        store.Write("os", 0, 128 << 10, 2);
        var volume = store.Engine.Volumes.Get("os");
        Assert.Equal(volume.AllocatedBytes, volume.ExclusiveBytes + volume.SharedBytes);
        Assert.InRange(volume.SharedBytes, 512 << 10, 900 << 10);
        Assert.InRange(volume.ExclusiveBytes, 128 << 10, 500 << 10);
        Assert.Equal(volume.SharedBytes, store.Engine.Snapshots.Get("web01", "a").SizeBytes);
        Assert.Equal(volume.AllocatedBytes, store.Engine.GetStore().AllocatedBytes);
    }

    [Fact]
    public void Nothing_in_a_store_can_be_read_by_others()
    {
        if (OperatingSystem.IsWindows()) return;
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Snapshot("web01", "a");
        foreach (string path in Directory.EnumerateFileSystemEntries(store.Directory, "*", SearchOption.AllDirectories).Append(store.Directory))
            if (new FileInfo(path).LinkTarget is null)
                Assert.Equal(UnixFileMode.None, File.GetUnixFileMode(path) & ~(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute));
    }
}
