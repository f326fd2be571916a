using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>A cmdlet that removes what linked clones may lie on.</summary>
public abstract class RemovalCmdlet : LockingCmdlet
{
    /// <summary>Makes linked clones independent first, which copies their data.</summary>
    [Parameter]
    public SwitchParameter Flatten { get; set; }

    /// <summary>Removes it in spite of linked clones; what they need goes with the last of them.</summary>
    [Parameter]
    public SwitchParameter Defer { get; set; }

    /// <summary>Writes what was removed.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <summary>What is to become of linked clones.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.InvalidArgument"/>: both were asked for.</exception>
    private protected DependantAction Dependants => (Flatten.IsPresent, Defer.IsPresent) switch
    {
        (true, true) => throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, "-Flatten makes the linked clones independent now, -Defer leaves them as they are. Use one of the two."),
        (true, false) => DependantAction.Flatten,
        (false, true) => DependantAction.Defer,
        _ => DependantAction.Refuse,
    };
}
