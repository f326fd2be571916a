using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Makes a volume: empty, from an image file, or from a volume's snapshot.</summary>
[Cmdlet(VerbsCommon.New, "VmVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low)]
[OutputType(typeof(VmVolume), typeof(OperationPlan))]
public sealed class NewVmVolume : LockingCmdlet
{
    private const string Empty = "Empty";
    private const string Image = "Image";
    private const string Snapshot = "Snapshot";

    /// <summary>The volume's name, unique in the store.</summary>
    [Parameter(ParameterSetName = Empty, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = Image, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = Snapshot, Position = 0)]
    [Alias("VolumeName")]
    public string? Name { get; set; }

    /// <summary>Size in bytes, such as 20GB; for an image, larger than its own.</summary>
    [Parameter(ParameterSetName = Empty, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = Image, ValueFromPipelineByPropertyName = true)]
    [Alias("Size")]
    [EmptyCell]
    public long? SizeBytes { get; set; }

    /// <summary>The image file to import or adopt.</summary>
    [Parameter(ParameterSetName = Image, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    [Alias("FullName")]
    [AllowEmptyString]
    public string? ImagePath { get; set; }

    /// <summary>Format of the image; else its name's ending says it. The content is never asked.</summary>
    [Parameter(ParameterSetName = Image, ValueFromPipelineByPropertyName = true)]
    [EmptyCell]
    public ImageFileFormat? Format { get; set; }

    /// <summary>Leaves the image where it is, as the base that is only read, instead of copying it.</summary>
    [Parameter(ParameterSetName = Image)]
    public SwitchParameter Adopt { get; set; }

    /// <summary>Files that the image may have as its backing files; no other is opened.</summary>
    [Parameter(ParameterSetName = Image)]
    [ValidateNotNullOrEmpty]
    public string[]? AllowBackingFile { get; set; }

    /// <summary>The volume snapshot to make the volume from; it keeps the snapshot's layer as its base, so nothing is copied.</summary>
    [Parameter(ParameterSetName = Snapshot, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VolumeSnapshot))]
    public VolumeSnapshot? FromSnapshot { get; set; }

    /// <summary>What the volume is for.</summary>
    [Parameter(ParameterSetName = Empty, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = Image, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = Snapshot)]
    public string? Description { get; set; }

    /// <inheritdoc/>
    protected override void Prepare()
    {
        // Only what the command line gives is bound by now, where an empty path is a mistake; a table's row without an image is of an empty volume.
        if (MyInvocation.BoundParameters.ContainsKey(nameof(ImagePath)) && Cells.Text(ImagePath) is null)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, "-ImagePath is empty. Name the image file, or leave it away for an empty volume.", Name);
    }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        string? image = Cells.Text(ImagePath);
        string name = Piped.Required(Name, "volume", "New-VmVolume data 20GB");
        if (image is null && FromSnapshot is null && SizeBytes is null)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput,
                $"It is not said what volume '{name}' is to hold. Give -SizeBytes 20GB for an empty one, -ImagePath FILE to import an image, or pipe a volume snapshot.", name);
        Change($"Making volume '{name}'", Engine.Volumes.Create(new NewVolumeRequest
        {
            Name = name,
            SizeBytes = SizeBytes,
            ImagePath = image is null ? null : FullPath(image),
            ImageFormat = Format,
            Adopt = Adopt,
            AllowedBackingFiles = AllowBackingFile?.Select(f => FullPath(f)).ToArray() ?? [],
            FromVolumeSnapshot = FromSnapshot?.Id,
            Description = Cells.Text(Description),
        }), WriteObject);
    }
}
