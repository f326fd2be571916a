namespace SnapshotTools.Core;

/// <summary>A virtual machine as the store knows it.</summary>
public sealed record VmInstance
{
    /// <summary>Its id, which never changes.</summary>
    public required Guid Id { get; init; }

    /// <summary>Its name, unique in the store (case does not count).</summary>
    public required string Name { get; init; }

    /// <summary>The store that holds it.</summary>
    public required string Store { get; init; }

    /// <summary>Power state, or Error after a failed restore.</summary>
    public required VmState State { get; init; }

    /// <summary>Number of virtual processors.</summary>
    public required int ProcessorCount { get; init; }

    /// <summary>Memory in bytes.</summary>
    public required long MemoryBytes { get; init; }

    /// <summary>The attached volumes in order.</summary>
    public required IReadOnlyList<VmAttachment> Volumes { get; init; }

    /// <summary>The network adapters in order.</summary>
    public required IReadOnlyList<VmNetworkAdapter> NetworkAdapters { get; init; }

    /// <summary>How it boots.</summary>
    public required VmBoot Boot { get; init; }

    /// <summary>What it is for, in its owner's words.</summary>
    public string? Description { get; init; }

    /// <summary>Number of its snapshots.</summary>
    public int SnapshotCount { get; init; }

    /// <summary>The snapshot that the present descends from, if any.</summary>
    public string? CurrentSnapshot { get; init; }

    /// <summary>Why it is in state Error, if it is.</summary>
    public string? Error { get; init; }

    /// <summary>What the hypervisor said last when it ended without being told to; null while the VM runs, and after a regular stop.</summary>
    public string? LastWords { get; init; }

    /// <summary>The generation id that its guest sees (<c>vmgenid</c>): a new one tells it that it is another copy of itself.</summary>
    public Guid? GenerationId { get; init; }

    /// <summary>When it was made.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>What a virtual machine is doing.</summary>
public enum VmState
{
    /// <summary>Not running, no memory kept.</summary>
    Stopped,

    /// <summary>Running.</summary>
    Running,

    /// <summary>In memory, but its processors stand still.</summary>
    Paused,

    /// <summary>Not running; its memory is kept and it goes on from there when started.</summary>
    Suspended,

    /// <summary>A restore failed; see <see cref="VmInstance.Error"/>.</summary>
    Error,
}

/// <summary>How a volume is attached to a VM.</summary>
/// <param name="VolumeId">The volume.</param>
/// <param name="Volume">Its name.</param>
/// <param name="Position">Its place in the VM, from 0.</param>
/// <param name="Bus">The bus it is on.</param>
/// <param name="Boot">Whether the VM boots from it.</param>
/// <param name="Shared">Whether it may be attached to other VMs as well.</param>
/// <param name="SizeBytes">The size that the guest sees, in bytes.</param>
public sealed record VmAttachment(Guid VolumeId, string Volume, int Position, DiskBus Bus, bool Boot, bool Shared, long SizeBytes)
{
    /// <inheritdoc/>
    public override string ToString() => Volume;
}

/// <summary>The bus that a disk is on.</summary>
public enum DiskBus
{
    /// <summary>virtio-blk.</summary>
    Virtio,

    /// <summary>virtio-scsi.</summary>
    Scsi,

    /// <summary>SATA (AHCI).</summary>
    Sata,

    /// <summary>IDE.</summary>
    Ide,
}

/// <summary>A network adapter.</summary>
/// <param name="MacAddress">Six bytes in hex with colons, such as <c>52:54:00:12:34:56</c>.</param>
/// <param name="Network">The network that it is on: <c>user</c> (the hypervisor's own NAT) or <c>none</c>.</param>
/// <param name="Model">The adapter that the guest sees, such as <c>virtio-net-pci</c>.</param>
public sealed record VmNetworkAdapter(string MacAddress, string Network = "user", string Model = "virtio-net-pci");

/// <summary>How a VM boots, and what its hypervisor is told beside.</summary>
public sealed record VmBoot
{
    /// <summary>Boots with the hypervisor's BIOS from the boot volume.</summary>
    public static VmBoot Default { get; } = new();

    /// <summary>Firmware code image, such as OVMF_CODE.fd; none for the hypervisor's BIOS.</summary>
    public string? Firmware { get; init; }

    /// <summary>Template of the firmware's variables, such as OVMF_VARS.fd; the VM gets a copy of its own.</summary>
    public string? FirmwareVariables { get; init; }

    /// <summary>Kernel to boot directly.</summary>
    public string? Kernel { get; init; }

    /// <summary>Initial RAM disk for <see cref="Kernel"/>.</summary>
    public string? Initrd { get; init; }

    /// <summary>Command line for <see cref="Kernel"/>.</summary>
    public string? KernelCommandLine { get; init; }

    /// <summary>Arguments passed on to the hypervisor as they are.</summary>
    public IReadOnlyList<string> ExtraArguments { get; init; } = [];

    /// <summary>What differs from the default, for lists of properties.</summary>
    public override string ToString() => string.Join(", ", new (string Name, string? Value)[]
    {
        ("Firmware", Firmware), ("FirmwareVariables", FirmwareVariables), ("Kernel", Kernel), ("Initrd", Initrd),
        ("KernelCommandLine", KernelCommandLine), ("ExtraArguments", ExtraArguments.Count == 0 ? null : string.Join(' ', ExtraArguments)),
    }.Where(p => p.Value is not null).Select(p => $"{p.Name} = {p.Value}").DefaultIfEmpty("BIOS"));
}
