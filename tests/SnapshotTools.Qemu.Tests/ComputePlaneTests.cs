using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qemu.Tests;

public sealed class ComputePlaneTests
{
    [Theory]
    [InlineData(0, 64, "processors")]
    [InlineData(1, 0, "memory")]
    public void A_machine_that_cannot_be_built_is_the_callers_mistake(int processors, int memoryMiB, string what)
    {
        using var folder = new TempFolder();
        using var compute = new QemuComputePlane(SystemFiles.Instance, "qemu-system-x86_64", folder.Path);
        var vm = new VmConfiguration
        {
            Id = Guid.NewGuid(),
            Name = "web01",
            ProcessorCount = processors,
            MemoryBytes = (long)memoryMiB << 20,
            NetworkAdapters = [],
            Boot = new VmBoot(),
            Volumes = [],
        };
        var error = Assert.Throws<SnapshotException>(() => compute.Start(new MachineDefinition(vm, []), new StartOptions(), default));
        Assert.Equal(ErrorIds.InvalidArgument, error.ErrorId);
        Assert.Contains("web01", error.Message, StringComparison.Ordinal);
        Assert.Contains(what, error.Message, StringComparison.Ordinal);
    }
}
