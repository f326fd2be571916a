using SnapshotTools.Testing;

namespace SnapshotTools.Core.Tests;

/// <summary>A hypervisor died in a merge, at the moment when the upper image names its new base already and does not have the data yet.</summary>
public sealed class DeadMergeTests : IDisposable
{
    private readonly TestStore _store = new();

    private SnapshotEngine Engine => _store.Engine;

    [Theory]
    [InlineData("c", "b", true)]    // up into the head, which names what was under the layer
    [InlineData("c", "b", false)]
    [InlineData("a", null, true)]   // up into a frozen layer, from the lowest one
    [InlineData("b", "b", true)]    // down: the head, which lay on the child, names the layer
    [InlineData("a", "a", true)]    // down, with a frozen layer above
    public void What_the_image_says_of_its_base_is_not_believed_then(string released, string? named, bool isReopened)
    {
        _store.NewVolume("data");
        foreach (string name in new[] { "a", "b", "c" })
        {
            _store.Write("data", (name[0] - 'a') * 100_000, 150_000, (byte)name[0]);
            Engine.VolumeSnapshots.Create("data", name, null, false).Run();
        }
        _store.Write("data", 400_000, 10, 9);
        string present = _store.Hash("data");
        var catalog = Engine.Context.Catalog;
        var volume = catalog.Volumes.FindByName("data")!;
        var layers = catalog.Layers.Chain(volume.HeadId);
        var snapshots = catalog.Snapshots.OfVolume(volume.Id).ToDictionary(s => s.Name);
        Engine.Context.Database.Write(() =>
        {
            catalog.Snapshots.DeleteVolumeSnapshot(snapshots[released]);
            catalog.Layers.SetMerging(snapshots[released].LayerId);
        });
        int merged = layers.FindIndex(l => l.Id == snapshots[released].LayerId);
        var upper = layers[named == released ? merged - 2 : merged - 1];
        Engine.Context.Storage.Rename(upper.File, named is null ? null : catalog.Layers.Get(snapshots[named].LayerId).File, Engine.Context.IdentityOf(upper, volume));
        Assert.NotEqual(present, _store.Hash("data"));

        if (isReopened) _store.Reopen();
        Engine.Optimize().Run();

        Assert.Equal(present, _store.Hash("data"));
        Assert.DoesNotContain(Engine.VolumeSnapshots.Find(["data"], []), s => s.Name == released);
        _store.AssertClean();
        Assert.Equal(layers.Count - 1, Engine.Volumes.Get("data").ChainLength);
    }

    public void Dispose() => _store.Dispose();
}
