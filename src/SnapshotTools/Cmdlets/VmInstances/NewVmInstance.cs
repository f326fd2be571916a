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
    [EmptyCell]
    public DiskBus? Bus { get; set; }

    /// <summary>Number of virtual processors, 1 to 255.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [EmptyCell]
    public int? ProcessorCount { get; set; }

    /// <summary>Memory in bytes, such as 4GB.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("Memory")]
    [EmptyCell]
    public long? MemoryBytes { get; set; }

    /// <summary>Its network adapters in order: the network's name, or a table with Network, MacAddress and Model.</summary>
    [Parameter]
    [NetworkAdapter]
    public VmNetworkAdapter[]? NetworkAdapter { get; set; }

    /// <summary>Kernel to boot directly, instead of from a volume.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public string? Kernel { get; set; }

    /// <summary>Initial RAM disk for the kernel.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public string? Initrd { get; set; }

    /// <summary>Command line for the kernel.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public string? KernelCommandLine { get; set; }

    /// <summary>Firmware code, such as OVMF_CODE.fd; the BIOS of QEMU by default.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public string? Firmware { get; set; }

    /// <summary>Template of the firmware's variables, such as OVMF_VARS.fd; the VM gets a copy of its own.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public string? FirmwareVariables { get; set; }

    /// <summary>Arguments passed on to QEMU as they are.</summary>
    [Parameter]
    public string[]? ExtraArgument { get; set; }

    /// <summary>What the VM is for.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public string? Description { get; set; }

    /// <inheritdoc/>
    protected override void Prepare()
    {
        // Only what the command line gives is bound by now, where an empty text is a mistake such as a variable without a value.
        string[] named = [nameof(Template), nameof(Kernel), nameof(Initrd), nameof(Firmware), nameof(FirmwareVariables)];
        if (named.FirstOrDefault(p => MyInvocation.BoundParameters.TryGetValue(p, out object? text) && text is null or "") is { } empty)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"-{empty} is empty. Say what is meant, or leave it away.", Name);
    }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (Cells.Text(Template) is { } template)
        {
            MakeOf(template);
            return;
        }
        if (MyInvocation.BoundParameters.ContainsKey(nameof(Count)) || Full)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, "-Count and -Full are for VMs that are made of a template. Name it with -Template.", Name);
        string[] volumes = Cells.Texts(Volume) ?? [];
        string[]? boot = Cells.Texts(BootVolume), shared = Cells.Texts(SharedVolume);
        MustBeAmong(volumes, boot, nameof(BootVolume));
        MustBeAmong(volumes, shared, nameof(SharedVolume));
        Change($"Making VM '{Name}'", Engine.Machines.Create(new NewVmRequest
        {
            Name = Name!,
            ProcessorCount = ProcessorCount ?? 1,
            MemoryBytes = MemoryBytes ?? 1L << 30,
            Volumes = [.. volumes.Select(v => new AttachRequest(v, boot is null ? null : Has(boot, v), Has(shared, v), Bus ?? default))],
            NetworkAdapters = NetworkAdapter ?? [],
            Boot = new VmBoot
            {
                Kernel = PathOrNone(Kernel),
                Initrd = PathOrNone(Initrd),
                KernelCommandLine = Cells.Text(KernelCommandLine),
                Firmware = PathOrNone(Firmware),
                FirmwareVariables = PathOrNone(FirmwareVariables),
                ExtraArguments = ExtraArgument ?? [],
            },
            Description = Cells.Text(Description),
        }), WriteObject);
    }

    private void MakeOf(string template)
    {
        (string Parameter, object? Value)[] own =
        [
            (nameof(Volume), Cells.Texts(Volume)), (nameof(BootVolume), Cells.Texts(BootVolume)), (nameof(SharedVolume), Cells.Texts(SharedVolume)), (nameof(Bus), Bus),
            (nameof(NetworkAdapter), NetworkAdapter), (nameof(Kernel), Cells.Text(Kernel)), (nameof(Initrd), Cells.Text(Initrd)), (nameof(KernelCommandLine), Cells.Text(KernelCommandLine)),
            (nameof(Firmware), Cells.Text(Firmware)), (nameof(FirmwareVariables), Cells.Text(FirmwareVariables)), (nameof(ExtraArgument), ExtraArgument),
        ];
        if (own.FirstOrDefault(p => p.Value is not null).Parameter is { } given)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"A VM has what its template '{template}' has; leave -{given} away, and change the VM afterwards with Set-VmInstance or Mount-VmVolume.", Name);
        var engine = Engine;
        Clone($"Making VM '{Name}'", engine, engine.Templates.Instantiate(new VmCloneRequest
        {
            Source = template,
            Name = Name,
            Count = Count,
            Linked = !Full,
            ProcessorCount = ProcessorCount,
            MemoryBytes = MemoryBytes,
            Description = Cells.Text(Description),
            Pace = Pace,
        }), made => made.Clones, made => { foreach (var vm in made.Vms) WriteObject(engine.Machines.Get(vm.Id.ToString())); });
    }

    private string? PathOrNone(string? path) => Cells.Text(path) is { } given ? FullPath(given) : null;

    private static bool Has(string[]? names, string volume) => names?.Contains(volume, StringComparer.OrdinalIgnoreCase) == true;

    private static void MustBeAmong(string[] volumes, string[]? names, string parameter)
    {
        if (names?.FirstOrDefault(n => !Has(volumes, n)) is { } stray)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"-{parameter} names '{stray}', which -Volume does not. Name it in both.", stray);
    }
}
