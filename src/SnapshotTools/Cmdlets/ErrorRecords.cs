using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Turns the engine's errors into PowerShell's.</summary>
internal static class ErrorRecords
{
    /// <summary>Whether an exception is an error to report; the rest belongs to PowerShell or is a defect and passes through.</summary>
    public static bool IsMapped(Exception e) =>
        e is SnapshotException or IOException or UnauthorizedAccessException or OperationCanceledException or NotSupportedException;

    /// <summary>The record: id, category, target and, in its details, the recommended action, which PowerShell shows on a line of its own.</summary>
    public static ErrorRecord From(Exception e, object? target)
    {
        var (id, category) = e switch
        {
            SnapshotException s => (s.ErrorId, Category(s.Kind)),
            OperationCanceledException => ("Canceled", ErrorCategory.OperationStopped),
            UnauthorizedAccessException => ("AccessDenied", ErrorCategory.PermissionDenied),
            FileNotFoundException or DirectoryNotFoundException => ("FileNotFound", ErrorCategory.ObjectNotFound),
            NotSupportedException => ("NotSupported", ErrorCategory.NotImplemented),
            _ => ("InputOutputError", ErrorCategory.DeviceError),
        };
        var snapshot = e as SnapshotException;
        var record = new ErrorRecord(e, id, category, snapshot?.Target ?? target);
        if (snapshot?.RecommendedAction is { Length: > 0 } action)
            record.ErrorDetails = new ErrorDetails(e.Message) { RecommendedAction = action };
        return record;
    }

    private static ErrorCategory Category(ErrorKind kind) => kind switch
    {
        ErrorKind.NotFound => ErrorCategory.ObjectNotFound,
        ErrorKind.InvalidInput => ErrorCategory.InvalidArgument,
        ErrorKind.Conflict => ErrorCategory.InvalidOperation,
        ErrorKind.Busy => ErrorCategory.ResourceBusy,
        ErrorKind.NoSpace => ErrorCategory.ResourceUnavailable,
        ErrorKind.Unsupported => ErrorCategory.NotImplemented,
        ErrorKind.Damaged => ErrorCategory.InvalidData,
        _ => ErrorCategory.NotSpecified,
    };
}
