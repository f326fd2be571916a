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
        // One that sleeps is not woken: `cont` lets it sleep on. One that has shut down stays as it is.
        _stands = QemuCalls.Run(() => machine.QueryRunStateAsync()) is "running" or "suspended";
        QemuCalls.Run(() => machine.PauseAsync());
    }

    public void Dispose()
    {
        try
        {
            if (_stands) QemuCalls.Run(() => machine.Monitor.ExecuteAsync("cont", cancellation: CancellationToken.None));
        }
        catch
        {
            guard?.TakeOver();
            throw;
        }
        _stands = false;
        guard?.Dispose();
    }
}
