using SnapshotTools.Qemu.Launch;
using Xunit;

namespace SnapshotTools.Qemu.Tests;

public class QemuProgramTests
{
    [Theory]
    [InlineData("flags\t\t: fpu vme vmx ssse3", true)]
    [InlineData("flags\t\t: fpu svm", true)]
    [InlineData("flags\t\t: fpu vme hypervisor vmx_not", false)]
    [InlineData("processor\t: 0", false)]
    public void Kvm_needs_a_processor_with_virtualization(string line, bool has) =>
        Assert.Equal(has, QemuProgram.HasVirtualization(["processor\t: 0", line]));
}
