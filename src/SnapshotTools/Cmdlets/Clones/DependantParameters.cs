using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>-Flatten and -Defer, which exclude each other.</summary>
internal static class DependantParameters
{
    /// <summary>What becomes of linked clones.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.InvalidArgument"/>: both were given.</exception>
    public static DependantAction Of(bool flatten, bool defer) => (flatten, defer) switch
    {
        (true, true) => throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, "-Flatten makes the linked clones independent now, -Defer leaves them as they are. Use one of the two."),
        (true, false) => DependantAction.Flatten,
        (false, true) => DependantAction.Defer,
        _ => DependantAction.Refuse,
    };
}
