using SnapshotTools.Core;
using SnapshotTools.Qemu.Launch;

namespace SnapshotTools.Qemu;

/// <summary>From a VM as the engine knows it to a machine as QEMU is told of it.</summary>
internal static class MachineSpecs
{
    public static MachineSpec Of(MachineDefinition machine)
    {
        var vm = machine.Configuration;
        return new MachineSpec
        {
            Id = vm.Id,
            Name = vm.Name,
            ProcessorCount = vm.ProcessorCount,
            MemoryBytes = vm.MemoryBytes,
            Adapters = vm.NetworkAdapters,
            FirmwareCode = vm.Boot.Firmware,
            FirmwareVariables = vm.Boot.FirmwareVariables is { } variables ? [new ChainFile(variables, LayerFormat.Raw)] : null,
            Kernel = vm.Boot.Kernel,
            Initrd = vm.Boot.Initrd,
            KernelCommandLine = vm.Boot.KernelCommandLine,
            GenerationId = machine.GenerationId,
            ExtraArguments = vm.Boot.ExtraArguments,
            Disks = [.. machine.Disks.Select(d => DiskOf(d, machine))],
        };
    }

    private static DiskSpec DiskOf(MachineDisk disk, MachineDefinition machine)
    {
        var boot = machine.Disks.Where(d => d.Attachment.Boot).OrderBy(d => d.Attachment.Position).ToList();
        return new DiskSpec
        {
            Slot = disk.Attachment.Position,
            Bus = disk.Attachment.Bus,
            Layers = disk.Chain,
            // A kernel that is booted directly takes the first place itself.
            BootOrder = machine.Configuration.Boot.Kernel is null && boot.IndexOf(disk) is >= 0 and var order ? order : null,
            Shared = disk.Attachment.Shared,
            // The last digits of the id tell a volume by its serial number wherever it is attached.
            Serial = disk.VolumeId.ToString("N")[^20..],
        };
    }
}
