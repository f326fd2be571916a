using SnapshotTools.IO;

namespace SnapshotTools.Core.Engine.Machines;

/// <summary>What can be said of a way to boot before it is tried.</summary>
internal static class BootRules
{
    /// <summary>Refuses what no machine could boot with: parts without what they belong to, and files that are not there.</summary>
    public static VmBoot Validate(EngineContext context, string vm, VmBoot boot)
    {
        if (boot.Kernel is null && (boot.Initrd is not null || boot.KernelCommandLine is not null))
            throw Invalid(vm, "An initial RAM disk and a kernel command line belong to a kernel. Name it with -Kernel.");
        if (boot.Firmware is null && boot.FirmwareVariables is not null)
            throw Invalid(vm, "Firmware variables belong to a firmware. Name its code with -Firmware.");
        if (boot.ExtraArguments.Any(string.IsNullOrEmpty))
            throw Invalid(vm, "An extra argument is empty.");
        foreach (string? file in new[] { boot.Kernel, boot.Initrd, boot.Firmware, boot.FirmwareVariables })
            if (file is not null && context.Files.Stat(file) is null or { Kind: FileKind.Directory })
                throw new SnapshotException(ErrorIds.ImageNotFound, ErrorKind.NotFound, $"There is no file '{file}' for VM '{vm}' to boot with. Name one that is there.", file);
        return boot;
    }

    private static SnapshotException Invalid(string vm, string message) => new(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, message, vm);
}
