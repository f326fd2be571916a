namespace SnapshotTools.Qcow2;

/// <summary>Why an image was refused or an operation on it failed: one cause, one code.</summary>
public enum Qcow2ErrorCode
{
    /// <summary>The file does not begin with the qcow2 magic.</summary>
    NotQcow2,

    /// <summary>The version is neither 2 nor 3.</summary>
    UnsupportedVersion,

    /// <summary>The image uses a feature that this library refuses, such as encryption or an external data file.</summary>
    UnsupportedFeature,

    /// <summary>A field of the header, or a header extension, is out of its bounds.</summary>
    InvalidHeader,

    /// <summary>An entry of an L1 or L2 table is impossible: unaligned, in the header, reserved bits set.</summary>
    InvalidTable,

    /// <summary>An entry of the refcount table or of a refcount block is impossible.</summary>
    InvalidRefcount,

    /// <summary>The file ends before something that it refers to.</summary>
    Truncated,

    /// <summary>Compressed data cannot be expanded to exactly one cluster.</summary>
    InvalidCompressedData,

    /// <summary>The dirty bit is set: reference counts may be wrong, and the image must be repaired before it is written.</summary>
    Dirty,

    /// <summary>The corrupt bit is set: the image must be repaired before it is written.</summary>
    Corrupt,

    /// <summary>The image has a backing file that the caller did not allow to be opened.</summary>
    BackingNotAllowed,

    /// <summary>The backing file that the image names does not exist.</summary>
    BackingMissing,

    /// <summary>The format of the backing file is neither recorded in the image nor given by the caller; it is never guessed.</summary>
    BackingFormatUnknown,

    /// <summary>The chain of backing files leads back to one of its own files.</summary>
    BackingLoop,

    /// <summary>The chain of backing files is longer than the limit.</summary>
    ChainTooLong,

    /// <summary>The image was opened for reading only.</summary>
    ReadOnly,

    /// <summary>Another process, such as QEMU, has the image open in a way that excludes this use.</summary>
    InUse,

    /// <summary>The header cluster has no room for the change.</summary>
    HeaderFull,

    /// <summary>A limit of the format is reached, such as the largest table or the largest reference count.</summary>
    LimitExceeded,

    /// <summary>The image changed since a plan for it was made: make a new one.</summary>
    PlanOutdated,

    /// <summary>An earlier write or flush failed, so that nothing that this object holds in memory can be trusted.</summary>
    Poisoned,
}

/// <summary>An image was refused, or an operation on it failed; <see cref="Code"/> says why.</summary>
public sealed class Qcow2Exception(Qcow2ErrorCode code, string path, string message, Exception? inner = null)
    : IOException(message, inner)
{
    /// <summary>The cause.</summary>
    public Qcow2ErrorCode Code { get; } = code;

    /// <summary>The image file.</summary>
    public string Path { get; } = path;
}
