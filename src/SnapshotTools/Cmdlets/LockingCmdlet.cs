using System.Management.Automation;

namespace SnapshotTools.Cmdlets;

/// <summary>A changing cmdlet that needs VMs or volumes for itself while it works.</summary>
public abstract class LockingCmdlet : ChangingCmdlet
{
    /// <summary>Waits until other operations on the same VM or volume have ended, instead of failing at once.</summary>
    [Parameter]
    public SwitchParameter Wait { get; set; }

    /// <summary>How many seconds to wait at most; implies -Wait.</summary>
    [Parameter]
    [ValidateRange(0, int.MaxValue)]
    public int TimeoutSec { get; set; }

    /// <inheritdoc/>
    protected sealed override TimeSpan LockWait =>
        MyInvocation.BoundParameters.ContainsKey(nameof(TimeoutSec)) ? TimeSpan.FromSeconds(TimeoutSec)
        : Wait ? TimeSpan.MaxValue
        : TimeSpan.Zero;
}
