using SnapshotTools.Core.Catalog;
using SnapshotTools.IO;

namespace SnapshotTools.Core.Engine.Power;

/// <summary>
/// The variables of a VM's firmware (NVRAM). The VM writes to a copy of its own in the store, made of the template at its first
/// start; a snapshot of it has a copy too, a restore gives the VM a new one of that, and a clone has one of what it was made of.
/// </summary>
internal static class FirmwareFiles
{
    /// <summary>The configuration as it is run: with the VM's own file in place of the template.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.FirmwareMissing"/>: the VM had a file, and it is gone.</exception>
    public static MachineDefinition WithOwnVariables(this MachineDefinition machine, EngineContext context, VmRow vm, RunOptions options)
    {
        if (machine.Configuration.Boot.FirmwareVariables is not { } template) return machine;
        string? own = context.Catalog.Machines.Firmware(vm.Id);
        if (own is not null && !context.HasFile(own))
            throw new SnapshotException(ErrorIds.FirmwareMissing, ErrorKind.Damaged, $"The firmware's variables of VM '{vm.Name}' are missing: '{context.Storage.PathOf(own)}'. Nothing was started. "
                + $"Put the file back; or let it begin with those of the template again: Set-VmInstance {vm.Name} -FirmwareVariables '{template}'", vm.Name);
        string path = context.Storage.PathOf(own ?? Make(context, vm, template, options));
        return machine with { Configuration = machine.Configuration with { Boot = machine.Configuration.Boot with { FirmwareVariables = path } } };
    }

    /// <summary>The file of a VM's variables, if it has one that exists; <paramref name="warn"/> is told when it should.</summary>
    public static string? Of(EngineContext context, VmRow vm, Action<string>? warn) =>
        IfThere(context, context.Catalog.Machines.Firmware(vm.Id), $"VM '{vm.Name}'", warn);

    /// <summary>The same of a snapshot.</summary>
    public static string? Of(EngineContext context, VmSnapshotRow snapshot, Action<string>? warn) =>
        IfThere(context, context.Catalog.Machines.FirmwareOfSnapshot(snapshot.Id), $"snapshot '{snapshot.Name}'", warn);

    /// <summary>Makes a durable copy, which the caller has written down as pending.</summary>
    public static void Copy(EngineContext context, string source, string location)
    {
        string target = context.Storage.PathOf(location);
        using (var from = context.Files.Open(context.Storage.PathOf(source), FileOpenMode.ReadFollowingLinks))
        using (var to = context.Files.Create(target))
        {
            byte[] content = new byte[from.Length];
            int count = from.Read(0, content);
            to.Write(0, content.AsSpan(0, count));
            to.Flush();
        }
        context.Files.SyncDirectory(Path.GetDirectoryName(target)!);
    }

    private static string? IfThere(EngineContext context, string? location, string whose, Action<string>? warn)
    {
        if (location is null || context.HasFile(location)) return location;
        warn?.Invoke($"The firmware's variables of {whose} are missing, so what is made of it begins with those of the template: '{context.Storage.PathOf(location)}'");
        return null;
    }

    /// <summary>The VM's own copy of the template, at its first start.</summary>
    private static string Make(EngineContext context, VmRow vm, string template, RunOptions options)
    {
        string location = context.Storage.NewMemoryLocation(Guid.CreateVersion7());
        using var run = OperationRun.Begin(context, OperationKind.Power, vm.Name, options, id => context.Catalog.Pending.InsertFile(id, location));
        try
        {
            Copy(context, template, location);
            run.Commit(() => context.Catalog.Machines.SetFirmware(vm.Id, location));
            return location;
        }
        catch (Exception error)
        {
            run.Fail(error);
            throw;
        }
    }
}
