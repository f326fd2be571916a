using SnapshotTools.Core.Catalog;
using SnapshotTools.IO;

namespace SnapshotTools.Core.Engine.Power;

/// <summary>
/// The variables of a VM's firmware (NVRAM). The VM writes to a copy of its own in the store, made of the template at its first
/// start; a snapshot of it has a copy too, and a restore gives the VM a new one of that.
/// </summary>
internal static class FirmwareFiles
{
    private const string Making = ".new";

    /// <summary>A file's location, and where it is while it is made.</summary>
    public static string[] NamesOf(string location) => [location, location + Making];

    /// <summary>The configuration as it is run: with the VM's own file in place of the template.</summary>
    public static MachineDefinition WithOwnVariables(this MachineDefinition machine, EngineContext context, VmRow vm)
    {
        if (machine.Configuration.Boot.FirmwareVariables is not { } template) return machine;
        string? location = context.Catalog.Machines.Firmware(vm.Id);
        if (location is null)
        {
            location = context.Storage.NewMemoryLocation(Guid.CreateVersion7());
            context.Database.Write(() => context.Catalog.Machines.SetFirmware(vm.Id, location));
        }
        string path = context.Storage.PathOf(location);
        if (context.Files.Stat(path) is null) Copy(context, template, location);   // also what a killed start did not come to
        return machine with { Configuration = machine.Configuration with { Boot = machine.Configuration.Boot with { FirmwareVariables = path } } };
    }

    /// <summary>The file of a VM's variables, if it has one that exists.</summary>
    public static string? Of(EngineContext context, VmRow vm) =>
        context.Catalog.Machines.Firmware(vm.Id) is { } location && context.Files.Stat(context.Storage.PathOf(location)) is not null ? location : null;

    /// <summary>Makes a durable copy, which is there as a whole or not at all.</summary>
    public static void Copy(EngineContext context, string source, string location)
    {
        string target = context.Storage.PathOf(location), fresh = target + Making;
        using (var from = context.Files.Open(context.Storage.PathOf(source), FileOpenMode.ReadFollowingLinks))
        {
            byte[] content = new byte[from.Length];
            int count = from.Read(0, content);
            if (context.Files.Stat(fresh) is not null) context.Files.Delete(fresh);
            using var to = context.Files.Create(fresh);
            to.Write(0, content.AsSpan(0, count));
            to.Flush();
        }
        context.Files.Rename(fresh, target);
        context.Files.SyncDirectory(Path.GetDirectoryName(target)!);
    }
}
