using SnapshotTools.Core;
using SnapshotTools.Qemu.Blocks;

namespace SnapshotTools.Qemu.Launch;

/// <summary>A machine as QEMU is to build it. The same description gives the same machine, device by device, which is
/// what a saved memory needs.</summary>
public sealed record MachineSpec
{
    /// <summary>The machine's id, by which it is found again.</summary>
    public required Guid Id { get; init; }

    /// <summary>Its name, for people.</summary>
    public required string Name { get; init; }

    /// <summary>Number of virtual processors, 1 to 255.</summary>
    public int ProcessorCount { get; init; } = 1;

    /// <summary>Memory in bytes; a multiple of 1 MiB.</summary>
    public required long MemoryBytes { get; init; }

    /// <summary>The disks.</summary>
    public IReadOnlyList<DiskSpec> Disks { get; init; } = [];

    /// <summary>The network adapters, at most 8.</summary>
    public IReadOnlyList<VmNetworkAdapter> Adapters { get; init; } = [];

    /// <summary>QEMU's machine type, <c>q35</c> or <c>pc</c>, or a versioned one such as <c>pc-q35-7.2</c>. A saved
    /// memory fits the version that it was saved on: <see cref="Machines.QemuMachine.QueryMachineTypeAsync"/> tells which.</summary>
    public string MachineType { get; init; } = "q35";

    /// <summary>What executes the guest's instructions.</summary>
    public Accelerator Accelerator { get; init; } = Accelerator.Automatic;

    /// <summary>QEMU's processor model; null for the host's own under KVM and QEMU's default without.</summary>
    public string? ProcessorModel { get; init; }

    /// <summary>Firmware code, read only, such as OVMF_CODE.fd; null for the BIOS of QEMU.</summary>
    public string? FirmwareCode { get; init; }

    /// <summary>The layers of the firmware's variables, head first; null where there are none.</summary>
    public IReadOnlyList<ChainFile>? FirmwareVariables { get; init; }

    /// <summary>Kernel to boot directly; null to boot from a disk.</summary>
    public string? Kernel { get; init; }

    /// <summary>Initial RAM disk for <see cref="Kernel"/>.</summary>
    public string? Initrd { get; init; }

    /// <summary>Command line for <see cref="Kernel"/>.</summary>
    public string? KernelCommandLine { get; init; }

    /// <summary>Generation id: a new one tells the guest that it is another copy of itself.</summary>
    public Guid? GenerationId { get; init; }

    /// <summary>How the disks use the host's page cache.</summary>
    public BlockCache Cache { get; init; } = BlockCache.WriteBack;

    /// <summary>Waits for a saved memory instead of booting.</summary>
    public bool AwaitsMemory { get; init; }

    /// <summary>Does not let the processors run until <see cref="Machines.QemuMachine.ResumeAsync"/>.</summary>
    public bool StartPaused { get; init; }

    /// <summary>Arguments passed on as they are, after all others.</summary>
    public IReadOnlyList<string> ExtraArguments { get; init; } = [];
}

/// <summary>A disk of a machine.</summary>
public sealed record DiskSpec
{
    /// <summary>Its place on its bus, from 0, which it keeps for life: virtio 0–119 (q35) or 0–19 (pc), SCSI 0–255, SATA 0–5, IDE 0–3.</summary>
    public required int Slot { get; init; }

    /// <summary>The bus.</summary>
    public DiskBus Bus { get; init; } = DiskBus.Virtio;

    /// <summary>Its layers, the head first.</summary>
    public required IReadOnlyList<ChainFile> Layers { get; init; }

    /// <summary>Its turn among the disks that the firmware boots from, from 0; null when it is none of them.</summary>
    public int? BootOrder { get; init; }

    /// <summary>Whether other machines may write to it at the same time.</summary>
    public bool Shared { get; init; }

    /// <summary>Whether the guest may write.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>What the guest sees as serial number; at most 20 characters.</summary>
    public string? Serial { get; init; }

    /// <summary>The id of its device in QEMU.</summary>
    public string DeviceId => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{BusName}{Slot}");

    private string BusName => Bus switch
    {
        DiskBus.Virtio => "virtio-disk",
        DiskBus.Scsi => "scsi-disk",
        DiskBus.Sata => "sata-disk",
        _ => "ide-disk",
    };
}

/// <summary>What executes the guest's instructions.</summary>
public enum Accelerator
{
    /// <summary>KVM where it can be opened, else QEMU's own translation.</summary>
    Automatic,

    /// <summary>The kernel's virtual machines.</summary>
    Kvm,

    /// <summary>QEMU's own translation: slow, but anywhere.</summary>
    Tcg,
}
