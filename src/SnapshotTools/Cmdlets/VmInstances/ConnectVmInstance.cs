using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Takes a QEMU that someone else started as the running machine of a VM, by its QMP socket.</summary>
[Cmdlet(VerbsCommunications.Connect, "VmInstance", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low, DefaultParameterSetName = "Name")]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class ConnectVmInstance : VmChangingCmdlet
{
    /// <summary>Where its QMP monitor listens: the path of a socket, unix:PATH, or tcp:HOST:PORT. Nobody else may be connected to it.</summary>
    [Parameter(Mandatory = true, Position = 1)]
    [Alias("QmpSocket")]
    [ValidateNotNullOrEmpty]
    public string? Monitor { get; set; }

    /// <summary>Where the host's end of the guest agent's channel listens, if there is one, written likewise.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Agent { get; set; }

    private protected override string Doing => "Connecting";

    private protected override PlannedOperation<VmInstance> Planned(string vm) => Engine.Machines.Connect(vm, Address(Monitor!), Agent is null ? null : Address(Agent));

    /// <summary>An address whose path, if it has one, is seen from the session's location.</summary>
    private string Address(string given) =>
        given.StartsWith("tcp:", StringComparison.OrdinalIgnoreCase) ? given
        : "unix:" + FullPath(given.StartsWith("unix:", StringComparison.OrdinalIgnoreCase) ? given["unix:".Length..] : given, "Name the path of a socket, or tcp:HOST:PORT.");
}
