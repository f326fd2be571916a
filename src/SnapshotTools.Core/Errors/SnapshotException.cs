namespace SnapshotTools.Core;

/// <summary>What kind of failure an error is; the cmdlets turn it into an error category.</summary>
public enum ErrorKind
{
    /// <summary>The named thing does not exist.</summary>
    NotFound,

    /// <summary>A parameter's value cannot be used.</summary>
    InvalidInput,

    /// <summary>A rule forbids it in the present state.</summary>
    Conflict,

    /// <summary>Somebody else is at it; trying later may work.</summary>
    Busy,

    /// <summary>The disk has not enough room.</summary>
    NoSpace,

    /// <summary>This store, plane or machine cannot do it.</summary>
    Unsupported,

    /// <summary>An image, the catalog or a file is damaged or missing.</summary>
    Damaged,

    /// <summary>The work was begun and failed.</summary>
    Failed,
}

/// <summary>
/// An error that its reader can act on: a stable id (see <see cref="ErrorIds"/>), a message that names the thing, the
/// cause and the next step, and the object it is about.
/// </summary>
public class SnapshotException(string errorId, ErrorKind kind, string message, object? target = null, string? recommendedAction = null, Exception? cause = null)
    : Exception(Engine.Names.Printable(message, SnapshotException.MaxLength), cause)
{
    private const int MaxLength = 1500;

    /// <summary>One id for one cause; see <see cref="ErrorIds"/>.</summary>
    public string ErrorId { get; } = errorId;

    /// <summary>The kind of failure.</summary>
    public ErrorKind Kind { get; } = kind;

    /// <summary>What the error is about: usually the name of a VM, volume or snapshot, or a path.</summary>
    public object? Target { get; } = target;

    /// <summary>The next step for the reader, where the message alone does not say it.</summary>
    public string? RecommendedAction { get; } = recommendedAction;
}
