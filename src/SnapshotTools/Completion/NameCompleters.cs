using System.Collections;
using System.Globalization;
using SnapshotTools.Core;

namespace SnapshotTools.Completion;

/// <summary>Names of VMs.</summary>
public sealed class VmNameCompleter : StoreCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string Hint)> Candidates(SnapshotEngine engine, IDictionary bound)
    {
        ArgumentNullException.ThrowIfNull(engine);
        return engine.Machines.Find().Select(vm => (vm.Name, $"{vm.Name}: {vm.State}, {vm.Volumes.Count} volumes, {vm.SnapshotCount} snapshots"));
    }
}

/// <summary>Names of templates.</summary>
public sealed class TemplateNameCompleter : StoreCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string Hint)> Candidates(SnapshotEngine engine, IDictionary bound)
    {
        ArgumentNullException.ThrowIfNull(engine);
        return engine.Templates.Find().Select(t => (t.Name, $"{t.Name}: {t.Volumes.Count} volumes, {t.LinkedClones.Count} linked clones"));
    }
}

/// <summary>Names of volumes.</summary>
public sealed class VolumeNameCompleter : StoreCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string Hint)> Candidates(SnapshotEngine engine, IDictionary bound)
    {
        ArgumentNullException.ThrowIfNull(engine);
        return engine.Volumes.Find().Select(v => (v.Name, $"{v.Name}: {ByteSize.Format(v.SizeBytes)}, {v.SnapshotCount} snapshots"));
    }
}

/// <summary>Names of a VM's volumes.</summary>
public sealed class VmVolumeNameCompleter : StoreCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string Hint)> Candidates(SnapshotEngine engine, IDictionary bound)
    {
        ArgumentNullException.ThrowIfNull(engine);
        return engine.Machines.Find(Given(bound, "VmName", "Vm")).SelectMany(vm => vm.Volumes, (vm, v) => (v.Volume, $"{v.Volume}: {ByteSize.Format(v.SizeBytes)} on '{vm.Name}'"));
    }
}

/// <summary>Names of VM snapshots, of the VM where the command line names one.</summary>
public sealed class VmSnapshotNameCompleter : StoreCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string Hint)> Candidates(SnapshotEngine engine, IDictionary bound)
    {
        ArgumentNullException.ThrowIfNull(engine);
        return engine.Snapshots.Find(new SnapshotQuery { Vms = Given(bound, "VmName", "Vm") })
            .Select(s => (s.Name, string.Create(CultureInfo.InvariantCulture, $"{s.Name} of '{s.VmName}', taken {s.CreatedAt.LocalDateTime:yyyy-MM-dd HH:mm}")));
    }
}

/// <summary>Names of volume snapshots, of the volume where the command line names one.</summary>
public sealed class VolumeSnapshotNameCompleter : StoreCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string Hint)> Candidates(SnapshotEngine engine, IDictionary bound)
    {
        ArgumentNullException.ThrowIfNull(engine);
        return engine.VolumeSnapshots.Find(Given(bound, "VolumeName", "Volume"), [])
            .Select(s => (s.Name, string.Create(CultureInfo.InvariantCulture, $"{s.Name} of '{s.VolumeName}', taken {s.CreatedAt.LocalDateTime:yyyy-MM-dd HH:mm}")));
    }
}

/// <summary>Tags in use.</summary>
public sealed class TagCompleter : StoreCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string Hint)> Candidates(SnapshotEngine engine, IDictionary bound)
    {
        ArgumentNullException.ThrowIfNull(engine);
        return engine.Snapshots.Find(new SnapshotQuery { Vms = Given(bound, "VmName", "Vm") }).SelectMany(s => s.Tags).GroupBy(t => t).Select(g => (g.Key, $"{g.Key}: {g.Count()} snapshots"));
    }
}
