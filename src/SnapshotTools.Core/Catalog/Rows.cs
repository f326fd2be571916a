namespace SnapshotTools.Core.Catalog;

internal sealed record StoreRow(Guid Uid, DateTimeOffset CreatedAt);

/// <summary>What becomes of a layer; 0 was one that an operation made and did not commit (see <see cref="PendingTable"/>).</summary>
internal enum LayerState
{
    Head = 1,
    Frozen = 2,
}

internal sealed record LayerRow(
    long Id, Guid Uid, long? VolumeId, long? ParentId, string Location, LayerFormat Format, bool External, LayerState State,
    long Size, long Allocated, long Length, DateTimeOffset? ModifiedAt, bool IsMerging)
{
    public const string Columns = "l.id, l.uid, l.volume_id, l.parent_id, l.location, l.format, l.external, l.state, l.size, l.allocated, l.length, l.modified_at, l.is_merging";

    public LayerFile File => new(Uid, Location, Format, External);

    public static LayerRow Read(RowReader r) => new(
        r.GetInt64(0), r.Id(1), r.Long(2), r.Long(3), r.GetString(4), (LayerFormat)r.GetInt32(5), r.GetInt64(6) != 0, (LayerState)r.GetInt32(7),
        r.GetInt64(8), r.GetInt64(9), r.GetInt64(10), r.Time(11), r.GetInt64(12) != 0);
}

/// <summary>A file that an operation is about to make.</summary>
internal sealed record PendingRow(LayerFile File, long? ParentId, long Size)
{
    public const string Columns = "uid, location, format, parent_id, size";

    public static PendingRow Read(RowReader r) => new(new LayerFile(r.Id(0), r.GetString(1), (LayerFormat)r.GetInt32(2), External: false), r.Long(3), r.GetInt64(4));
}

internal sealed record VolumeRow(
    long Id, Guid Uid, string Name, long Size, int ClusterSize, long HeadId, long? PresentId, string? AdoptedFrom, string? Description, DateTimeOffset CreatedAt)
{
    public const string Columns = "v.id, v.uid, v.name, v.size, v.cluster_size, v.head_id, v.present_id, v.adopted_from, v.description, v.created_at";

    public static VolumeRow Read(RowReader r) => new(
        r.GetInt64(0), r.Id(1), r.GetString(2), r.GetInt64(3), r.GetInt32(4), r.GetInt64(5), r.Long(6), r.Text(7), r.Text(8), r.Time(9)!.Value);
}

/// <summary>A linked clone, and the layer that it lies on.</summary>
internal sealed record LinkedClone(long LayerId, string Name)
{
    public static LinkedClone Read(RowReader r) => new(r.GetInt64(0), r.GetString(1));
}

internal sealed record VmRow(
    long Id, Guid Uid, string Name, int Processors, long Memory, string Adapters, string Boot, string? Description,
    long? PresentId, string? Error, string? FailedRestore, string? SuspendedMemory, DateTimeOffset CreatedAt, bool IsTemplate = false, Guid? Generation = null)
{
    public const string Columns = "m.id, m.uid, m.name, m.processors, m.memory, m.adapters, m.boot, m.description, m.present_id, m.error, m.failed_restore, m.suspended_memory, m.created_at, m.is_template, m.generation";

    public static VmRow Read(RowReader r) => new(
        r.GetInt64(0), r.Id(1), r.GetString(2), r.GetInt32(3), r.GetInt64(4), r.GetString(5), r.GetString(6), r.Text(7),
        r.Long(8), r.Text(9), r.Text(10), r.Text(11), r.Time(12)!.Value, r.GetInt64(13) != 0, r.IsNull(14) ? null : r.Id(14));
}

internal sealed record AttachmentRow(long VmId, long VolumeId, Guid VolumeUid, string VolumeName, int Position, DiskBus Bus, bool Boot, bool Shared, long Size)
{
    public const string Columns = "a.vm_id, a.volume_id, v.uid, v.name, a.position, a.bus, a.boot, a.shared, v.size";

    public static AttachmentRow Read(RowReader r) => new(
        r.GetInt64(0), r.GetInt64(1), r.Id(2), r.GetString(3), r.GetInt32(4), (DiskBus)r.GetInt32(5), r.GetInt64(6) != 0, r.GetInt64(7) != 0, r.GetInt64(8));

    public VmAttachment ToModel() => new(VolumeUid, VolumeName, Position, Bus, Boot, Shared, Size);
}

internal sealed record VmSnapshotRow(
    long Id, Guid Uid, long VmId, long? ParentId, string Name, DateTimeOffset CreatedAt, string? Description, string Tags, DateTimeOffset? ExpiresAt,
    SnapshotScope Scope, SnapshotConsistency Consistency, bool IsBackup, TimeSpan? Pause, string? Memory, long MemoryBytes, string Configuration)
{
    public const string Columns = "s.id, s.uid, s.vm_id, s.parent_id, s.name, s.created_at, s.description, s.tags, s.expires_at, s.scope, s.consistency, s.is_backup, s.pause, s.memory, s.memory_bytes, s.configuration";

    /// <summary>The same without the configuration, in the same places.</summary>
    public const string ListColumns = "s.id, s.uid, s.vm_id, s.parent_id, s.name, s.created_at, s.description, s.tags, s.expires_at, s.scope, s.consistency, s.is_backup, s.pause, s.memory, s.memory_bytes, '' AS configuration";

    public static VmSnapshotRow Read(RowReader r) => new(
        r.GetInt64(0), r.Id(1), r.GetInt64(2), r.Long(3), r.GetString(4), r.Time(5)!.Value, r.Text(6), r.Tags(7), r.Time(8),
        (SnapshotScope)r.GetInt32(9), (SnapshotConsistency)r.GetInt32(10), r.GetInt64(11) != 0, r.Long(12) is { } ticks ? new TimeSpan(ticks) : null,
        r.Text(13), r.GetInt64(14), r.GetString(15));
}

internal sealed record VolumeSnapshotRow(
    long Id, Guid Uid, long VolumeId, long? ParentId, long? VmSnapshotId, int Position, string Name, DateTimeOffset CreatedAt, string? Description, long LayerId)
{
    public const string Columns = "s.id, s.uid, s.volume_id, s.parent_id, s.vm_snapshot_id, s.position, s.name, s.created_at, s.description, s.layer_id";

    public static VolumeSnapshotRow Read(RowReader r) => new(
        r.GetInt64(0), r.Id(1), r.GetInt64(2), r.Long(3), r.Long(4), r.GetInt32(5), r.GetString(6), r.Time(7)!.Value, r.Text(8), r.GetInt64(9));
}

/// <summary>A volume snapshot with what a list shows of its layer.</summary>
internal sealed record ListedPart(VolumeSnapshotRow Row, LayerFile File, long Size, long Allocated)
{
    public const string Columns = VolumeSnapshotRow.Columns + ", l.uid, l.location, l.format, l.external, l.size, l.allocated";

    public static ListedPart Read(RowReader r) => new(
        VolumeSnapshotRow.Read(r), new LayerFile(r.Id(10), r.GetString(11), (LayerFormat)r.GetInt32(12), r.GetInt64(13) != 0), r.GetInt64(14), r.GetInt64(15));

    public static ListedPart Of(VolumeSnapshotRow row, LayerRow layer) => new(row, layer.File, layer.Size, layer.Allocated);
}

internal sealed record OperationRow(
    long Id, Guid Uid, OperationKind Kind, string Target, OperationState State, long BytesDone, long BytesTotal,
    DateTimeOffset StartedAt, DateTimeOffset? EndedAt, int ProcessId, string? Error, long Rate = 0, OperationWish Wanted = OperationWish.None)
{
    public const string Columns = "o.id, o.uid, o.kind, o.target, o.state, o.bytes_done, o.bytes_total, o.started_at, o.ended_at, o.process_id, o.error, o.rate, o.wanted";

    public static OperationRow Read(RowReader r) => new(
        r.GetInt64(0), r.Id(1), (OperationKind)r.GetInt32(2), r.GetString(3), (OperationState)r.GetInt32(4), r.GetInt64(5), r.GetInt64(6),
        r.Time(7)!.Value, r.Time(8), r.GetInt32(9), r.Text(10), r.GetInt64(11), (OperationWish)r.GetInt32(12));
}

/// <summary>What another session asks of the owner of a running operation.</summary>
internal enum OperationWish
{
    None,

    /// <summary>To rest.</summary>
    Pause,

    /// <summary>To stop; what is usable stays.</summary>
    Stop,

    /// <summary>To stop, and to leave nothing.</summary>
    Discard,
}

internal sealed record CopyRow(
    long OperationId, long Batch, long VolumeId, long LayerId, long SourceId, string Location, long CopiedTo, long? MaxRate, int? MaxConcurrency)
{
    public const string Columns = "c.operation_id, c.batch, c.volume_id, c.layer_id, c.source_id, c.location, c.copied_to, c.max_rate, c.max_concurrency";

    public static CopyRow Read(RowReader r) => new(
        r.GetInt64(0), r.GetInt64(1), r.GetInt64(2), r.GetInt64(3), r.GetInt64(4), r.GetString(5), r.GetInt64(6), r.Long(7), (int?)r.Long(8));
}
