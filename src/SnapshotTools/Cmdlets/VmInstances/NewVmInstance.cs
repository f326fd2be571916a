using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Makes a VM instance from volumes of the store.</summary>
[Cmdlet(VerbsCommon.New, "VmInstance", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low)]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class NewVmInstance : LockingCmdlet
{
    /// <summary>The VM's name, unique in the store.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("VmName")]
    public string? Name { get; set; }

    /// <summary>Its volumes in order: names or ids.</summary>
    [Parameter(Position = 1, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(VolumeNameCompleter))]
    public string[]? Volume { get; set; }

    /// <summary>Those of its volumes that it boots from; the first by default.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(VolumeNameCompleter))]
    public string[]? BootVolume { get; set; }

    /// <summary>Those of its volumes that other VMs may have as well.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(VolumeNameCompleter))]
    public string[]? SharedVolume { get; set; }

    /// <summary>The bus that the guest sees the volumes on.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public DiskBus Bus { get; set; }

    /// <summary>Number of virtual processors, 1 to 1024.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public int ProcessorCount { get; set; } = 1;

    /// <summary>Memory in bytes, such as 4GB.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("Memory")]
    public long MemoryBytes { get; set; } = 1L << 30;

    /// <summary>Its network adapters in order: the network's name, or a table with Network, MacAddress and Model.</summary>
    [Parameter]
    [NetworkAdapter]
    public VmNetworkAdapter[]? NetworkAdapter { get; set; }

    /// <summary>Kernel to boot directly, instead of from a volume.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    public string? Kernel { get; set; }

    /// <summary>Initial RAM disk for the kernel.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    public string? Initrd { get; set; }

    /// <summary>Command line for the kernel.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public string? KernelCommandLine { get; set; }

    /// <summary>Firmware code, such as OVMF_CODE.fd; the BIOS of QEMU by default.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    public string? Firmware { get; set; }

    /// <summary>Template of the firmware's variables, such as OVMF_VARS.fd; the VM gets a copy of its own.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    public string? FirmwareVariables { get; set; }

    /// <summary>Arguments passed on to QEMU as they are.</summary>
    [Parameter]
    public string[]? ExtraArgument { get; set; }

    /// <summary>What the VM is for.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public string? Description { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        string[] volumes = Volume?.Where(v => !string.IsNullOrEmpty(v)).ToArray() ?? [];
        MustBeAmong(volumes, BootVolume, nameof(BootVolume));
        MustBeAmong(volumes, SharedVolume, nameof(SharedVolume));
        Change($"Making VM '{Name}'", Engine.Machines.Create(new NewVmRequest
        {
            Name = Name!,
            ProcessorCount = ProcessorCount,
            MemoryBytes = MemoryBytes,
            Volumes = [.. volumes.Select(v => new AttachRequest(v, BootVolume is null ? null : Has(BootVolume, v), Has(SharedVolume, v), Bus))],
            NetworkAdapters = NetworkAdapter ?? [],
            Boot = new VmBoot
            {
                Kernel = Kernel is null ? null : FullPath(Kernel),
                Initrd = Initrd is null ? null : FullPath(Initrd),
                KernelCommandLine = string.IsNullOrEmpty(KernelCommandLine) ? null : KernelCommandLine,
                Firmware = Firmware is null ? null : FullPath(Firmware),
                FirmwareVariables = FirmwareVariables is null ? null : FullPath(FirmwareVariables),
                ExtraArguments = ExtraArgument ?? [],
            },
            Description = Description,
        }), WriteObject);
    }

    private static bool Has(string[]? names, string volume) => names?.Contains(volume, StringComparer.OrdinalIgnoreCase) == true;

    private static void MustBeAmong(string[] volumes, string[]? names, string parameter)
    {
        if (names?.FirstOrDefault(n => !Has(volumes, n)) is { } stray)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"-{parameter} names '{stray}', which -Volume does not. Name it in both.", stray);
    }
}
