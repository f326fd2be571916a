using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>A VM or volume that a name stands for.</summary>
/// <param name="Id">Its id, or the name as it was given, which the engine takes as well.</param>
/// <param name="Name">Its name.</param>
internal sealed record NamedThing(string Id, string Name);

/// <summary>
/// What the names of a command line stand for. A name without wildcards must exist, or it is an error; a pattern that matches nothing
/// is silence where one looks, and an error where one acts.
/// </summary>
internal static class Named
{
    /// <summary>Whether a name is a pattern.</summary>
    public static bool IsPattern(string name) => WildcardPattern.ContainsWildcardCharacters(name);

    /// <summary>The VMs to act on: one, or those that a pattern matches.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.VmNotFound"/>.</exception>
    public static IEnumerable<NamedThing> Vms(SnapshotEngine engine, string name)
    {
        if (!IsPattern(name)) return [new(name, name)];
        var found = engine.Machines.Find(name);
        if (found.Count == 0)
            throw new SnapshotException(ErrorIds.VmNotFound, ErrorKind.NotFound, $"No VM matches '{name}'. Get-VmInstance lists the VMs of the store.", name);
        return found.Select(vm => new NamedThing(vm.Id.ToString(), vm.Name));
    }

    /// <summary>Answers for a name that was looked for and not found: silence for a pattern or below one, an error for all else.</summary>
    /// <param name="engine">The store.</param>
    /// <param name="vms">The VMs that were looked into; none stands for all.</param>
    /// <param name="name">The snapshot's name.</param>
    /// <param name="found">What was found.</param>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.SnapshotNotFound"/>.</exception>
    public static void SnapshotMustExist(SnapshotEngine engine, string[] vms, string name, IEnumerable<VmSnapshot> found)
    {
        if (IsPattern(name)) return;
        bool Is(VmSnapshot s) => Same(s.Name, s.Id, name);
        foreach (string vm in vms)
            if (!IsPattern(vm) && !found.Any(s => Is(s) && Same(s.VmName, s.VmId, vm))) engine.Snapshots.Get(vm, name);
        if (vms.Length == 0 && !found.Any(Is) && engine.Snapshots.Find(new SnapshotQuery { Names = [name] }).Count == 0)
            throw new SnapshotException(ErrorIds.SnapshotNotFound, ErrorKind.NotFound, $"No VM has a snapshot '{name}'. Get-VmSnapshot lists the snapshots of all VMs.", name);
    }

    /// <summary>The volumes to act on: one, or those that a pattern matches.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.VolumeNotFound"/>.</exception>
    public static IEnumerable<NamedThing> Volumes(SnapshotEngine engine, string name)
    {
        if (!IsPattern(name)) return [new(name, name)];
        var found = engine.Volumes.Find(name);
        if (found.Count == 0)
            throw new SnapshotException(ErrorIds.VolumeNotFound, ErrorKind.NotFound, $"No volume matches '{name}'. Get-VmVolume lists the volumes of the store.", name);
        return found.Select(v => new NamedThing(v.Id.ToString(), v.Name));
    }

    /// <summary>As <see cref="SnapshotMustExist"/>, for the snapshots of volumes.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.SnapshotNotFound"/>.</exception>
    public static void VolumeSnapshotMustExist(SnapshotEngine engine, string[] volumes, string name, IEnumerable<VolumeSnapshot> found)
    {
        if (IsPattern(name)) return;
        bool Is(VolumeSnapshot s) => Same(s.Name, s.Id, name);
        foreach (string volume in volumes)
            if (!IsPattern(volume) && !found.Any(s => Is(s) && Same(s.VolumeName, s.VolumeId, volume))) engine.VolumeSnapshots.Get(volume, name);
        if (volumes.Length == 0 && !found.Any(Is))
            throw new SnapshotException(ErrorIds.SnapshotNotFound, ErrorKind.NotFound, $"No volume has a snapshot '{name}'. Get-VolumeSnapshot lists the snapshots of all volumes.", name);
    }

    private static bool Same(string name, Guid id, string given) =>
        name.Equals(given, StringComparison.OrdinalIgnoreCase) || Guid.TryParse(given, out var wanted) && wanted == id;
}
