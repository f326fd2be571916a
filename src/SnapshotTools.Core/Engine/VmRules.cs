using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine;

/// <summary>Rules about VMs that several commands check.</summary>
internal static class VmRules
{
    /// <summary>Refuses everything but ending the failed restore on a VM in state Error.</summary>
    public static void RequireNoError(VmRow vm)
    {
        RequireNoTemplate(vm);
        RequireNoFailedRestore(vm);
    }

    /// <summary>Refuses to run or change a template.</summary>
    public static void RequireNoTemplate(VmRow vm)
    {
        if (!vm.IsTemplate) return;
        throw new SnapshotException(ErrorIds.IsTemplate, ErrorKind.Conflict,
            $"'{vm.Name}' is a template, which stays as it is. Make a VM of it: New-VmInstance <name> -Template {vm.Name}; or remove it: Remove-VmTemplate {vm.Name}", vm.Name);
    }

    /// <summary>Refuses on a VM in state Error.</summary>
    public static void RequireNoFailedRestore(VmRow vm)
    {
        if (vm.FailedRestore is null) return;
        throw new SnapshotException(ErrorIds.VmInError, ErrorKind.Conflict,
            $"VM '{vm.Name}' is in state Error since a restore failed: {vm.Error} Go on with it: Restore-VmSnapshot {vm.Name} -FailAction Retry; or return to the state before it: Restore-VmSnapshot {vm.Name} -FailAction Rollback", vm.Name);
    }

    /// <summary>The volumes of a VM that were named, by name, id or pattern; every name must mean one at least.</summary>
    public static List<AttachmentRow> NamedVolumes(VmRow vm, List<AttachmentRow> all, IReadOnlyList<string> names)
    {
        foreach (string name in names)
        {
            var matches = Names.Matcher([name]);
            if (!all.Any(a => matches(a.VolumeName, a.VolumeUid)))
                throw new SnapshotException(ErrorIds.VolumeNotAttached, ErrorKind.InvalidInput,
                    $"Volume '{Names.Shown(name)}' is not attached to VM '{vm.Name}'. It has: {string.Join(", ", all.Select(a => a.VolumeName))}", Names.Shown(name));
        }
        var any = Names.Matcher(names);
        return all.FindAll(a => any(a.VolumeName, a.VolumeUid));
    }
}
