using SnapshotTools.Core;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Machines;

namespace SnapshotTools.Qemu;

/// <summary>A moment in which the guest of a QEMU stands, with a guard beside it where one can be had.</summary>
internal sealed class Standstill(QemuMachine machine, GuestGuard? guard) : IStandstill
{
    private bool _stands;

    public void Begin()
    {
        _stands = true;
        QemuCalls.Run(() => machine.PauseAsync());
    }

    public void Dispose()
    {
        if (_stands) QemuCalls.Run(() => machine.ResumeAsync());
        _stands = false;
        guard?.Dispose();    // not before: a guest that could not be set going is the guard's once this session ends
    }
}
