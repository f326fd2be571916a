using System.Globalization;
using System.Text.Json.Nodes;
using SnapshotTools.Core;
using SnapshotTools.Qemu.Blocks;

namespace SnapshotTools.Qemu.Launch;

/// <summary>
/// Where each device sits. Addresses are given, never left to QEMU, and depend on the device's own slot alone: a machine
/// that got a disk while it ran and one that is started with the disk are the same machine, so a saved memory fits both.
/// </summary>
internal static class DeviceTree
{
    public const int VirtioSlots = 120;
    public const int MaxAdapters = 8;

    // pci.0 or pcie.0. What QEMU itself puts there stays below 0x02 and at 0x1f; slots of disks begin at 0x0c (pc, one
    // device each) or are root ports, eight to a device, from 0x10 (q35: only behind a root port can be hot-plugged).
    private const int SerialAddress = 0x02;
    private const int ScsiAddress = 0x03;
    private const int FirstAdapterAddress = 0x04;
    private const int FirstDiskAddress = 0x0c;
    private const int FirstRootPortAddress = 0x10;
    private const int SpareRootPorts = 4;

    public static bool IsPcie(string machineType) => machineType.Contains("q35", StringComparison.Ordinal) || machineType == "virt";

    public static string RootBus(string machineType) => IsPcie(machineType) ? "pcie.0" : "pci.0";

    public static string SerialPlace(string machineType) => Place(machineType, SerialAddress);

    public static string ScsiPlace(string machineType) => Place(machineType, ScsiAddress);

    public static string AdapterPlace(string machineType, int number) => Place(machineType, FirstAdapterAddress + number);

    /// <summary>The definitions of the root ports: as many as the highest slot in use needs, and some for disks to come.</summary>
    public static IEnumerable<string> RootPorts(MachineSpec spec)
    {
        if (!IsPcie(spec.MachineType)) yield break;
        int highest = spec.Disks.Where(d => d.Bus == DiskBus.Virtio).Select(d => d.Slot).DefaultIfEmpty(-1).Max();
        int count = Math.Min((highest + 1 + SpareRootPorts + 7) / 8 * 8, VirtioSlots);
        for (int n = 0; n < count; n++)
        {
            yield return new QemuOption("pcie-root-port")
                .With("id", RootPort(n)).With("bus", "pcie.0").With("chassis", n + 1)
                .With("addr", string.Create(CultureInfo.InvariantCulture, $"0x{FirstRootPortAddress + n / 8:x}.0x{n % 8}"))
                .With("multifunction", "on").ToString();
        }
    }

    /// <summary>The definition of a disk's device; the same for <c>-device</c> and <c>device_add</c>.</summary>
    public static JsonObject Disk(string machineType, DiskSpec disk)
    {
        var device = new JsonObject { ["driver"] = DriverOf(disk.Bus), ["id"] = disk.DeviceId, ["drive"] = NodeName.OfLayer(disk.Layers[0].Path) };
        string slot = disk.Slot.ToString(CultureInfo.InvariantCulture);
        switch (disk.Bus)
        {
            case DiskBus.Virtio when IsPcie(machineType):
                device["bus"] = RootPort(disk.Slot);
                device["addr"] = "0x0";
                break;
            case DiskBus.Virtio:
                device["bus"] = "pci.0";
                device["addr"] = string.Create(CultureInfo.InvariantCulture, $"0x{FirstDiskAddress + disk.Slot:x}");
                break;
            case DiskBus.Scsi:
                device["bus"] = "scsi0.0";
                device["scsi-id"] = disk.Slot;
                break;
            case DiskBus.Ide when !IsPcie(machineType):
                device["bus"] = string.Create(CultureInfo.InvariantCulture, $"ide.{disk.Slot / 2}");
                device["unit"] = disk.Slot % 2;
                break;
            default:
                device["bus"] = (IsPcie(machineType) ? "ide." : "ahci0.") + slot;
                break;
        }
        if (disk.Serial is not null) device["serial"] = disk.Serial;
        if (disk.BootOrder is int turn) device["bootindex"] = turn;
        if (disk.Shared) device["share-rw"] = true;
        return device;
    }

    /// <summary>Refuses a slot that the bus does not have.</summary>
    public static void CheckSlot(MachineSpec spec, DiskSpec disk)
    {
        int slots = disk.Bus switch
        {
            DiskBus.Virtio => IsPcie(spec.MachineType) ? VirtioSlots : 0x1f - FirstDiskAddress + 1,
            DiskBus.Scsi => 256,
            DiskBus.Ide when !IsPcie(spec.MachineType) => 4,
            _ => 6,
        };
        if (disk.Slot < 0 || disk.Slot >= slots)
            throw new ArgumentException($"Machine '{spec.Name}' has no slot {disk.Slot} on its {disk.Bus} bus: there are {slots}.");
    }

    private static string DriverOf(DiskBus bus) => bus switch
    {
        DiskBus.Virtio => "virtio-blk-pci",
        DiskBus.Scsi => "scsi-hd",
        _ => "ide-hd",
    };

    private static string RootPort(int slot) => string.Create(CultureInfo.InvariantCulture, $"slot{slot}");

    private static string Place(string machineType, int address) =>
        string.Create(CultureInfo.InvariantCulture, $"bus={RootBus(machineType)},addr=0x{address:x}");
}
