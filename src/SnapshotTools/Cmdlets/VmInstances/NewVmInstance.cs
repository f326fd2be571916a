using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Makes a VM instance from volumes of the store.</summary>
[Cmdlet(VerbsCommon.New, "VmInstance", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low)]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class NewVmInstance : CloningCmdlet
{
    /// <summary>The VM's name, unique in the store.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("VmName")]
    public string? Name { get; set; }

    /// <summary>The template to make the VM of: a linked clone of its volumes, or a full one with -Full.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(TemplateNameCompleter))]
    public string? Template { get; set; }

    /// <summary>How many VMs to make of the template; # in the name stands for a digit of their numbers.</summary>
    [Parameter]
    [ValidateRange(1, 1000)]
    public int Count { get; set; } = 1;

    /// <summary>Copies the template's volumes, instead of making linked clones of them.</summary>
    [Parameter]
    public SwitchParameter Full { get; set; }

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
        if (Template is not null)
        {
            MakeOfTemplate();
            return;
        }
        if (MyInvocation.BoundParameters.ContainsKey(nameof(Count)) || Full)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, "-Count and -Full are for VMs that are made of a template. Name it with -Template.", Name);
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

    private void MakeOfTemplate()
    {
        string[] own = [nameof(Volume), nameof(BootVolume), nameof(SharedVolume), nameof(Bus), nameof(NetworkAdapter), nameof(Kernel), nameof(Initrd), nameof(KernelCommandLine), nameof(Firmware), nameof(FirmwareVariables), nameof(ExtraArgument)];
        if (own.FirstOrDefault(MyInvocation.BoundParameters.ContainsKey) is { } given)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"A VM has what its template '{Template}' has; leave -{given} away, and change the VM afterwards with Set-VmInstance or Mount-VmVolume.", Name);
        var engine = Engine;
        Clone($"Making VM '{Name}'", engine, engine.Templates.Instantiate(new VmCloneRequest
        {
            Source = Template!,
            Name = Name,
            Count = Count,
            Linked = !Full,
            ProcessorCount = Given(nameof(ProcessorCount)) ? ProcessorCount : null,
            MemoryBytes = Given(nameof(MemoryBytes)) ? MemoryBytes : null,
            Description = Description,
            Pace = Pace,
        }), made => made.Clones, made => { foreach (var vm in made.Vms) WriteObject(engine.Machines.Get(vm.Id.ToString())); });
    }

    private bool Given(string parameter) => MyInvocation.BoundParameters.ContainsKey(parameter);

    private static bool Has(string[]? names, string volume) => names?.Contains(volume, StringComparer.OrdinalIgnoreCase) == true;

    private static void MustBeAmong(string[] volumes, string[]? names, string parameter)
    {
        if (names?.FirstOrDefault(n => !Has(volumes, n)) is { } stray)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"-{parameter} names '{stray}', which -Volume does not. Name it in both.", stray);
    }
}
