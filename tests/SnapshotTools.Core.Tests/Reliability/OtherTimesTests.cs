using SnapshotTools.Core.Catalog;
using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>What a repair meets that is of another time than the rest: a layer from a backup, an older ledger, an identity from before a merge.</summary>
public sealed class OtherTimesTests : IDisposable
{
    private readonly StoreScenario _scenario = new();
    private readonly string _store;

    public OtherTimesTests() => _store = _scenario.Copy();

    private string Catalog => Path.Combine(_store, "catalog.sqlite");

    private string Ledger => Path.Combine(_store, "catalog.ledger");

    [Theory]
    [InlineData("/")]
    [InlineData("/layers/..//")]
    public void A_store_is_the_same_however_its_directory_is_written(string suffix)
    {
        string before = StoreScenario.StateOf(_store);
        using (var engine = EmbeddedStore.Open(_store + suffix))
        {
            Assert.Equal(_store, engine.GetStore().Path);
            StoreScenario.AssertClean(engine);
        }
        Assert.Empty(EmbeddedStore.Repair(_store + suffix).Run());
        File.Delete(Catalog);
        Assert.All(EmbeddedStore.Repair(_store + suffix).Run(), r => Assert.True(r.IsMended, r.ToString()));
        Assert.Equal(before, StoreScenario.StateOf(_store));
        Assert.False(Directory.Exists(Path.Combine(_store, "quarantine")));
    }

    [ToolTheory("qemu-img")]
    [InlineData("up", false)]
    [InlineData("up", true)]
    [InlineData("down", false)]
    [InlineData("down", true)]
    public void Layers_that_a_hypervisor_merged_are_found_on_the_base_that_they_name(string direction, bool ledger)
    {
        string a = LayerOf("a"), b = LayerOf("b"), head;
        using (var engine = EmbeddedStore.Open(_store)) head = engine.Volumes.Get("os").HeadPath;
        string[] before = Presents();
        var files = SystemFiles.Instance;
        foreach (string layer in new[] { a, b }) files.SetFrozen(layer, false);
        // As QEMU leaves them: the identities are those of before.
        if (direction == "up") Tool.Run("qemu-img", ["rebase", "-f", "qcow2", "-F", "qcow2", "-b", "../layers/" + Path.GetFileName(a), head]);
        else
        {
            Tool.Run("qemu-img", ["commit", "-f", "qcow2", "-d", b]);
            Tool.Run("qemu-img", ["rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", "../layers/" + Path.GetFileName(a), head]);
            if (ledger) NoteMerge(Path.GetFileNameWithoutExtension(a));
        }
        File.Delete(b);
        files.SetFrozen(a, true);
        File.Delete(Catalog);
        if (!ledger) File.Delete(Ledger);

        Assert.All(EmbeddedStore.Repair(_store).Run(), r => Assert.True(r.IsMended, r.ToString()));

        Assert.Equal(before, Presents());
        using (var engine = EmbeddedStore.Open(_store))
        {
            Assert.DoesNotContain(engine.Test(), f => f.Severity == FindingSeverity.Error);
            string[] names = [.. engine.VolumeSnapshots.Find(["os"], []).Select(s => s.Name)];
            // Whose content it is that the layer below has, is not known without the ledger.
            if (ledger) Assert.Equal([direction == "up" ? "a" : "b"], names);
            else Assert.StartsWith("recovered-", Assert.Single(names), StringComparison.Ordinal);
            foreach (string name in names.Where(_ => !ledger)) engine.VolumeSnapshots.Remove("os", name).Run();
            engine.Optimize().Run();
            StoreScenario.AssertClean(engine);
        }
        Assert.Equal(before, Presents());
    }

    [Fact]
    public void A_layer_from_before_a_merge_is_not_taken_for_what_it_has_become()
    {
        string b = LayerOf("b"), backup = Directory.CreateDirectory(_scenario.NewDirectory()).FullName;
        File.Copy(b, Path.Combine(backup, Path.GetFileName(b)));
        using (var engine = EmbeddedStore.Open(_store)) engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "a" }).Run();
        Assert.Equal(b, LayerOf("b"));
        File.Delete(b);

        var repair = Assert.Single(EmbeddedStore.Repair(_store, [backup]).Run());

        Assert.Equal(("LayerMissing", false), (repair.Code, repair.IsMended));
        Assert.Contains("is of another time", repair.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(b));
        Assert.Single(Directory.GetFiles(backup));
    }

    [Fact]
    public void A_file_that_somebody_else_made_is_not_laid_on_the_base_of_the_layer_whose_place_it_has()
    {
        string b = LayerOf("b");
        File.Delete(b);
        Qcow2Image.Create(SystemFiles.Instance, b, new ImageCreateOptions { VirtualSize = 512 << 10 }).Dispose();

        Assert.DoesNotContain(EmbeddedStore.Repair(_store).Run(), r => r.IsMended);

        using var image = Qcow2Image.Open(SystemFiles.Instance, b, new ImageOpenOptions());
        Assert.Null(image.BackingFile);
    }

    [Theory]
    [InlineData("a")]
    [InlineData("b")]
    public void A_layer_on_another_base_than_the_catalog_says_is_not_merged(string snapshot)
    {
        string layer = LayerOf(snapshot), other;
        using var engine = EmbeddedStore.Open(_store);
        other = "../layers/" + Path.GetFileName(engine.Volumes.Get("spare").HeadPath);
        SystemFiles.Instance.SetFrozen(layer, false);
        using (var image = Qcow2Image.Open(SystemFiles.Instance, layer, new ImageOpenOptions { Write = true })) image.SetBacking(other, ImageFormat.Qcow2);

        // The snapshot is removed; its layer stays.
        var error = Assert.Throws<SnapshotException>(() => engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = snapshot }).Run());

        Assert.Contains($"lies on '{other}'", error.Message, StringComparison.Ordinal);
        using var left = Qcow2Image.Open(SystemFiles.Instance, layer, new ImageOpenOptions());
        Assert.Equal(other, left.BackingFile);
    }

    [Fact]
    public void What_was_written_to_a_frozen_layer_stays_a_finding_when_the_layer_is_repaired()
    {
        string a = LayerOf("a");
        using (var file = SystemFiles.Instance.Open(a, FileOpenMode.ReadWrite))
        {
            long cluster = 64 << 10, end = (file.Length + cluster - 1) / cluster;
            file.SetLength((end + 1) * cluster);
            file.Write((2 * cluster) + (end * 2), [0, 1]);
        }

        var repairs = EmbeddedStore.Repair(_store).Run();

        Assert.Contains(repairs, r => r is { Code: "LayerLeaks", IsMended: true });
        Assert.Contains(repairs, r => r is { Code: "LayerChanged", IsMended: false });
        using var engine = EmbeddedStore.Open(_store);
        Assert.Equal("LayerChanged", Assert.Single(engine.Test()).Code);
    }

    [Theory]
    [InlineData("snapshot", "snapshot")]
    [InlineData("snapshot", "restore")]
    [InlineData("restore with backup", "snapshot")]
    public void A_ledger_that_is_several_heads_behind_does_not_cost_the_present(params string[] acts)
    {
        File.Copy(Ledger, Ledger + ".old");
        using (var engine = EmbeddedStore.Open(_store))
        {
            foreach (string act in acts.Distinct()) StoreScenario.Do(engine, act);
            if (acts[0] == acts[1]) engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "d" }).Run();
        }
        string[] before = Presents();
        string[] snapshots = Snapshots();
        File.Delete(Catalog);
        File.Move(Ledger + ".old", Ledger, overwrite: true);

        // Whose firmware has which variables, no layer says.
        Assert.All(EmbeddedStore.Repair(_store).Run().Where(r => r.Code != FindingCodes.FirmwareMissing), r => Assert.True(r.IsMended, r.ToString()));

        Assert.Equal(before, Presents());
        if (acts[1] == "snapshot") Assert.Empty(snapshots.Where(s => !s.StartsWith("backup-", StringComparison.Ordinal)).Except(Snapshots()));
        using var after = EmbeddedStore.Open(_store);
        Assert.DoesNotContain(after.Test(), f => f.Severity == FindingSeverity.Error && f.Code != FindingCodes.FirmwareMissing);
    }

    [Fact]
    public void A_damaged_line_of_the_ledger_that_leaves_a_name_twice_costs_only_the_name()
    {
        using (var engine = EmbeddedStore.Open(_store))
        {
            engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "new" }).Run();
            engine.Volumes.Create(new NewVolumeRequest { Name = "other", SizeBytes = 1 << 20 }).Run();
        }
        // As if the lines of what had the names before were lost.
        var rows = LedgerFile.Read(SystemFiles.Instance, Ledger);
        foreach (var (from, to) in new[] { ("new", "A"), ("other", "Spare") })
        {
            var ((table, key), values) = rows.Single(r => r.Key.Table is "vm_snapshot" or "volume" && Equals(r.Value["name"], from));
            File.AppendAllBytes(Ledger, LedgerFile.Line(new LedgerRow(table, key, new(values) { ["name"] = to })));
        }
        File.Delete(Catalog);

        var repair = EmbeddedStore.Repair(_store);
        Assert.Equal(2, repair.Plan.Lost.Count);
        Assert.All(repair.Run(), r => Assert.True(r.IsMended, r.ToString()));

        using var after = EmbeddedStore.Open(_store);
        Assert.Equal(["A", "a-2", "b"], after.Snapshots.Find(new SnapshotQuery { Vms = ["web01"] }).Select(s => s.Name).Order(StringComparer.Ordinal));
        Assert.Equal(["Spare", "spare-2"], after.Volumes.Find().Select(v => v.Name).Where(n => n.StartsWith("spare", StringComparison.OrdinalIgnoreCase)).Order(StringComparer.Ordinal));
        Assert.Empty(after.Test());
    }

    public void Dispose() => _scenario.Dispose();

    private string LayerOf(string snapshot)
    {
        using var engine = EmbeddedStore.Open(_store);
        return engine.Snapshots.Get("web01", snapshot).Volumes.Single(v => v.VolumeName == "os").Path;
    }

    /// <summary>What the volumes read as.</summary>
    private string[] Presents()
    {
        using var engine = EmbeddedStore.Open(_store);
        return [.. engine.Volumes.Find().Select(v => $"{v.Name} {v.SizeBytes} {TestStore.HashFile(v.Path)}")];
    }

    private string[] Snapshots()
    {
        using var engine = EmbeddedStore.Open(_store);
        return [.. engine.Snapshots.Find(new SnapshotQuery()).Select(s => s.Name)];
    }

    /// <summary>The ledger as it is when a merge of a layer into the one below it, whose snapshot was removed, has begun.</summary>
    private void NoteMerge(string below)
    {
        var rows = LedgerFile.Read(SystemFiles.Instance, Ledger);
        var ((table, key), values) = rows.Single(r => r.Key.Table == "layer" && Equals(r.Value["uid"], below));
        File.AppendAllBytes(Ledger, LedgerFile.Line(new LedgerRow(table, key, new(values) { ["is_merging"] = 1L })));
        foreach (var snapshot in rows.Where(r => r.Key.Table == "vm_snapshot" && Equals(r.Value["name"], "a") || r.Key.Table == "volume_snapshot" && Equals(r.Value["name"], "a")))
            File.AppendAllBytes(Ledger, LedgerFile.Line(new LedgerRow(snapshot.Key.Table, snapshot.Key.Key, null)));
    }
}
