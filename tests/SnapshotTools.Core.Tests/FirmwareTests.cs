namespace SnapshotTools.Core.Tests;

/// <summary>Where the variables of a firmware go with their VM, and what is said when they are gone.</summary>
public sealed class FirmwareTests : IDisposable
{
    private readonly TestStore _store = new();

    public FirmwareTests()
    {
        _store.NewVm("web01", "os");
        _store.Snapshot("web01", "unstarted");
        _store.WriteFirmware("web01", 1);
        _store.Snapshot("web01", "one");
        _store.WriteFirmware("web01", 2);
    }

    public void Dispose() => _store.Dispose();

    private int Of(string vm, string? snapshot = null) => TestStore.FirmwareOf(_store.Engine, vm, snapshot);

    private string FileOf(string? snapshot)
    {
        var (context, vm) = (_store.Engine.Context, _store.Engine.Context.ResolveVm("web01"));
        return context.Storage.PathOf(snapshot is null ? context.Catalog.Machines.Firmware(vm.Id)! : context.Catalog.Machines.FirmwareOfSnapshot(context.ResolveSnapshot(vm, snapshot).Id)!);
    }

    [Fact]
    public void A_clone_has_those_of_what_it_was_made_of_and_they_are_its_own()
    {
        var machines = _store.Engine.Machines;
        machines.Clone(new VmCloneRequest { Source = "web01", Name = "now", Linked = true }).Run();
        machines.Clone(new VmCloneRequest { Source = "web01", Name = "then-#", Count = 2, Snapshot = "one", Linked = true }).Run();
        machines.Clone(new VmCloneRequest { Source = "web01", Name = "first", Snapshot = "unstarted", Linked = true }).Run();
        _store.Engine.Templates.Create(new VmCloneRequest { Source = "web01", Name = "golden", Linked = true }).Run();
        _store.Engine.Templates.Instantiate(new VmCloneRequest { Source = "golden", Name = "node", Linked = true }).Run();
        machines.Create(new NewVmRequest { Name = "diskless" }).Run();
        _store.WriteFirmware("diskless", 9);
        machines.Clone(new VmCloneRequest { Source = "diskless", Name = "diskless-too" }).Run();

        _store.WriteFirmware("then-1", 7);

        string[] made = ["now", "then-1", "then-2", "first", "node", "diskless-too"];
        Assert.Equal([2, 7, 1, -1, 2, 9], made.Select(vm => Of(vm)));
        Assert.Equal((2, 2, 1, -1), (Of("golden"), Of("web01"), Of("web01", "one"), Of("web01", "unstarted")));
        _store.AssertClean();
        foreach (string vm in made) machines.Remove(vm, true, true).Run();
        _store.Engine.Templates.Remove("golden", DependantAction.Refuse).Run();
        foreach (string vm in new[] { "diskless", "web01" }) machines.Remove(vm, true, true).Run();
        Assert.Empty(Directory.GetFiles(Path.Combine(_store.Directory, "memory")));
    }

    [Fact]
    public void A_restore_brings_them_back_and_takes_them_away()
    {
        _store.Restore("web01", "unstarted", keepBackup: true);
        Assert.Equal(-1, Of("web01"));
        string backup = _store.Engine.Snapshots.Find(new SnapshotQuery()).Single(s => s.IsBackup).Name;
        Assert.Equal(2, Of("web01", backup));
        _store.Restore("web01", "one");
        Assert.Equal(1, Of("web01"));
        _store.Restore("web01", backup);
        Assert.Equal(2, Of("web01"));
        _store.AssertClean();
    }

    [Fact]
    public void What_is_missing_is_named_and_not_replaced_by_the_template_behind_anybodys_back()
    {
        string template = _store.File("vars.fd");
        File.WriteAllBytes(template, new byte[4096]);
        var machines = _store.Engine.Machines;
        machines.Set("web01", new VmChanges { Firmware = template, FirmwareVariables = template }).Run();
        Assert.Equal(-1, Of("web01"));   // a template where there was none
        _store.WriteFirmware("web01", 3);
        Assert.Empty(machines.Set("web01", new VmChanges { FirmwareVariables = template }).Plan.Lost);
        machines.Set("web01", new VmChanges { FirmwareVariables = template }).Run();
        Assert.Equal(3, Of("web01"));    // as it is already
        File.Delete(FileOf(null));
        File.Delete(FileOf("one"));

        Assert.Equal(["VM 'web01'", "snapshot 'one' of VM 'web01'"], _store.Engine.Test().Select(f => f.Code == "FirmwareMissing" ? f.Message.Split(" variables of ")[1].Split(" are missing")[0] : f.Code).Order(StringComparer.Ordinal));
        Assert.Equal(ErrorIds.FirmwareMissing, Assert.Throws<SnapshotException>(() => _store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "one" })).ErrorId);
        var warnings = new List<string>();
        var options = new RunOptions { Warn = warnings.Add };
        _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "without" }).Run(options);
        machines.Clone(new VmCloneRequest { Source = "web01", Name = "then", Snapshot = "one", Linked = true }).Run(options);
        Assert.Collection(warnings, w => Assert.Contains("of VM 'web01' are missing", w, StringComparison.Ordinal), w => Assert.Contains("of snapshot 'one' are missing", w, StringComparison.Ordinal));
        Assert.Equal((-1, -1), (Of("web01", "without"), Of("then")));

        machines.Set("web01", new VmChanges { FirmwareVariables = template }).Run();
        machines.Remove("then", true, true).Run();
        _store.Remove("web01", "one");
        Assert.Equal(-1, Of("web01"));
        _store.AssertClean();
        _store.WriteFirmware("web01", 4);
        var removal = machines.Set("web01", new VmChanges { Firmware = "", FirmwareVariables = "" });
        Assert.Contains("firmware's variables of VM 'web01'", Assert.Single(removal.Plan.Lost), StringComparison.Ordinal);
        removal.Run();
        Assert.Equal(-1, Of("web01"));
        Assert.Empty(Directory.GetFiles(Path.Combine(_store.Directory, "memory")));
    }
}
