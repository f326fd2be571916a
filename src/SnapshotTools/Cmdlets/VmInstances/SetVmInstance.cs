using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Changes the configuration of stopped VMs: processors, memory, adapters, and how they boot.</summary>
[Cmdlet(VerbsCommon.Set, "VmInstance", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low, DefaultParameterSetName = "Name")]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class SetVmInstance : VmChangingCmdlet
{
    /// <summary>Number of virtual processors, 1 to 255.</summary>
    [Parameter]
    public int? ProcessorCount { get; set; }

    /// <summary>Memory in bytes, such as 4GB.</summary>
    [Parameter]
    [Alias("Memory")]
    public long? MemoryBytes { get; set; }

    /// <summary>Its network adapters in order, in place of all earlier ones: the network's name, or a table with Network, MacAddress and Model.</summary>
    [Parameter]
    [NetworkAdapter]
    public VmNetworkAdapter[]? NetworkAdapter { get; set; }

    /// <summary>What the VM is for; an empty text removes it.</summary>
    [Parameter]
    [AllowEmptyString]
    public string? Description { get; set; }

    /// <summary>Kernel to boot directly; an empty text removes it.</summary>
    [Parameter]
    [AllowEmptyString]
    public string? Kernel { get; set; }

    /// <summary>Initial RAM disk for the kernel; an empty text removes it.</summary>
    [Parameter]
    [AllowEmptyString]
    public string? Initrd { get; set; }

    /// <summary>Command line for the kernel; an empty text removes it.</summary>
    [Parameter]
    [AllowEmptyString]
    public string? KernelCommandLine { get; set; }

    /// <summary>Firmware code, such as OVMF_CODE.fd; an empty text goes back to the BIOS of QEMU.</summary>
    [Parameter]
    [AllowEmptyString]
    public string? Firmware { get; set; }

    /// <summary>Template of the firmware's variables, such as OVMF_VARS.fd; an empty text removes it.</summary>
    [Parameter]
    [AllowEmptyString]
    public string? FirmwareVariables { get; set; }

    /// <summary>Arguments passed on to QEMU as they are, in place of all earlier ones.</summary>
    [Parameter]
    [AllowEmptyCollection]
    public string[]? ExtraArgument { get; set; }

    private protected override string Doing => "Changing";

    private protected override PlannedOperation<VmInstance> Planned(string vm) => Engine.Machines.Set(vm, new VmChanges
    {
        ProcessorCount = ProcessorCount,
        MemoryBytes = MemoryBytes,
        NetworkAdapters = NetworkAdapter,
        Description = Description,
        Kernel = PathOrNone(Kernel),
        Initrd = PathOrNone(Initrd),
        KernelCommandLine = KernelCommandLine,
        Firmware = PathOrNone(Firmware),
        FirmwareVariables = PathOrNone(FirmwareVariables),
        ExtraArguments = ExtraArgument,
    });

    private string? PathOrNone(string? path) => string.IsNullOrEmpty(path) ? path : FullPath(path);
}
