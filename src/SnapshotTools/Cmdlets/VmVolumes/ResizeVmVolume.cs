using System.Globalization;
using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Changes the size of a volume that has no snapshots.</summary>
[Cmdlet(VerbsCommon.Resize, "VmVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium, DefaultParameterSetName = ByName)]
[OutputType(typeof(VmVolume), typeof(OperationPlan))]
public sealed class ResizeVmVolume : LockingCmdlet
{
    private const string ByName = "Name";
    private const string ByVolume = "VmVolume";
    private const string Example = "Resize-VmVolume data 40GB";

    /// <summary>The volumes: names or ids.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVolume, DontShow = true)]
    [Alias("VolumeName")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VolumeNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>Volumes from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVolume, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmVolume))]
    public VmVolume? VmVolume { get; set; }

    /// <summary>The new size in bytes, such as 40GB.</summary>
    [Parameter(ParameterSetName = ByName, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVolume, Position = 1)]
    [Alias("Size")]
    public long? SizeBytes { get; set; }

    /// <summary>Allows a smaller size. What lies behind the new end is lost.</summary>
    [Parameter]
    public SwitchParameter AllowShrink { get; set; }

    /// <summary>Writes the volume.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (ParameterSetName == ByName) foreach (string name in Piped.Required(Name, "volume", Example)) Try(() => Resize(name, name, SizeBytes), name);
        else Resize(VmVolume!.Id.ToString(), VmVolume.Name, SizeBytes ?? PositionalSize());
    }

    /// <summary>With a volume from the pipeline the one positional argument, which PowerShell binds to the first position, is the size.</summary>
    private long? PositionalSize() =>
        Name is null ? null : LanguagePrimitives.TryConvertTo(Piped.SecondOne(Name, nameof(Name), null), CultureInfo.InvariantCulture, out long size) ? size
        : throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"'{string.Join(", ", Name)}' is no size. Give a number of bytes, such as 40GB.", Name);

    private void Resize(string volume, string name, long? size)
    {
        if (size is null) throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"No size is given. Give it, such as in: {Example}");
        Change($"Resizing '{name}'", Engine.Volumes.Resize(volume, size.Value, AllowShrink), resized => { if (PassThru) WriteObject(resized); });
    }
}
