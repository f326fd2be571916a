using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Takes a snapshot of a VM: one consistent point over all its volumes, or those named, with its configuration.</summary>
[Cmdlet(VerbsCommon.New, "VmSnapshot", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low, DefaultParameterSetName = ByName)]
[OutputType(typeof(VmSnapshot), typeof(OperationPlan))]
public sealed class NewVmSnapshot : LockingCmdlet
{
    private const string ByName = "Name";
    private const string ByVm = "VmInstance";

    /// <summary>The VMs: names, with wildcards, or ids.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVm, DontShow = true)]
    [Alias("Vm")]
    [SupportsWildcards]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VmNameCompleter))]
    public string[]? VmName { get; set; }

    /// <summary>VMs from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVm, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmInstance))]
    public VmInstance? VmInstance { get; set; }

    /// <summary>The snapshot's name, unique on the VM; without it the time makes one.</summary>
    [Parameter(ParameterSetName = ByName, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVm, Position = 1)]
    [Alias("SnapshotName")]
    public string? Name { get; set; }

    /// <summary>Which of the VM's volumes: all, those it boots from, or the others.</summary>
    [Parameter]
    [ValidateSet("All", "Boot", "Data")]
    public SnapshotScope Scope { get; set; }

    /// <summary>These of the VM's volumes only: names or ids.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VmVolumeNameCompleter))]
    public string[]? Volume { get; set; }

    /// <summary>What the snapshot is taken for.</summary>
    [Parameter(ParameterSetName = ByName, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVm)]
    public string? Description { get; set; }

    /// <summary>Words to find it by.</summary>
    [Parameter(ParameterSetName = ByName, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVm)]
    [ArgumentCompleter(typeof(TagCompleter))]
    public string[]? Tag { get; set; }

    /// <summary>After when it is no longer wanted: a date, or a time from now such as 30d. Nothing is removed by itself.</summary>
    [Parameter(ParameterSetName = ByName, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVm)]
    [Expiry]
    public DateTimeOffset? ExpiresAt { get; set; }

    /// <summary>Makes it a checkpoint: the memory of the running VM is saved with it, of the same instant as its disks.</summary>
    [Parameter]
    public SwitchParameter Memory { get; set; }

    /// <summary>What can be relied on: Crash, as after a power cut, or FileSystem, for which the guest's agent freezes the file systems.</summary>
    [Parameter]
    [ValidateSet("Crash", "FileSystem")]
    public SnapshotConsistency Consistency { get; set; }

    /// <summary>Where file systems cannot be frozen: Required fails, Preferred takes the snapshot all the same and warns.</summary>
    [Parameter]
    [ValidateSet("Required", "Preferred")]
    public FileSystemFreeze ConsistencyPolicy { get; set; } = FileSystemFreeze.Required;

    /// <summary>The longest pause that the guest may feel: milliseconds, 200ms, 1.5s, or a TimeSpan. A longer one gives up.</summary>
    [Parameter]
    [Duration]
    public TimeSpan? MaxPause { get; set; }

    /// <summary>Runs right before the instant of the snapshot: a script block, or the path of a script or program. It gets the names of the VM and of the snapshot.</summary>
    [Parameter]
    public object? PreScript { get; set; }

    /// <summary>Runs right after that instant, whenever -PreScript was begun, whatever came of it or of the snapshot.</summary>
    [Parameter]
    public object? PostScript { get; set; }

    /// <summary>How many seconds each of the scripts may take.</summary>
    [Parameter]
    [ValidateRange(1, 86400)]
    public int ScriptTimeoutSec { get; set; } = 60;

    /// <summary>Gives back the snapshot of that name where there is one already, instead of an error.</summary>
    [Parameter]
    public SwitchParameter Ensure { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (Volume is not null && MyInvocation.BoundParameters.ContainsKey(nameof(Scope)))
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, "-Scope and -Volume exclude each other. Use one of them.", Scope);
        if (Consistency != SnapshotConsistency.FileSystem && MyInvocation.BoundParameters.ContainsKey(nameof(ConsistencyPolicy)))
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, "-ConsistencyPolicy says what to do where -Consistency FileSystem cannot be had. Use both.", ConsistencyPolicy);
        if (ParameterSetName == ByVm)
        {
            string? name = Piped.SecondOne(VmName, nameof(VmName), Name);
            Take(VmInstance!.Id.ToString(), VmInstance.Name, name);
        }
        else
        {
            foreach (string vm in Piped.Required(VmName, "VM", "New-VmSnapshot web01 before-upgrade")) Try(() => { foreach (var (id, name) in Named.Vms(Engine, vm)) Try(() => Take(id, name, Name), name); }, vm);
        }
    }

    private void Take(string vm, string vmName, string? name)
    {
        var operation = Engine.Snapshots.Create(new NewSnapshotRequest
        {
            Vm = vm,
            Name = name,
            Scope = Volume is null ? Scope : SnapshotScope.Named,
            Volumes = Volume ?? [],
            Description = Description,
            Tags = Cells.Texts(Tag) ?? [],
            ExpiresAt = ExpiresAt,
            Memory = Memory,
            Freeze = Consistency == SnapshotConsistency.FileSystem ? ConsistencyPolicy : FileSystemFreeze.No,
            MaxPause = MaxPause,
            Ensure = Ensure,
        });
        using var scripts = SnapshotScripts.Of(this, Script(PreScript), Script(PostScript), TimeSpan.FromSeconds(ScriptTimeoutSec), operation.Plan.Target.Split('/'));
        Change($"Taking a snapshot of '{vmName}'", operation, WriteObject, scripts is null ? null : scripts.Around);
    }

    /// <summary>A script as it was given, a file by its full path.</summary>
    private object? Script(object? given)
    {
        given = given is PSObject wrapped ? wrapped.BaseObject : given;
        if (given is null or ScriptBlock) return given;
        string path = FullPath(given.ToString()!);
        return File.Exists(path) ? path
            : throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"There is no script '{path}'. Give a script block, or the path of a script or program that is there.", path);
    }
}
