using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qemu.GuestAgent;
using SnapshotTools.Qemu.Launch;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Memory;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu;

/// <summary>Waits for calls to QEMU and puts their failures into the engine's words.</summary>
internal static class QemuCalls
{
    public static T Run<T>(Func<Task<T>> call)
    {
        try
        {
            // On a thread without a synchronization context, so that waiting here cannot block what is waited for.
            return Task.Run(call).GetAwaiter().GetResult();
        }
        catch (Exception error) when (Translate(error) is { } translated)
        {
            throw translated;
        }
    }

    public static void Run(Func<Task> call) => Run(async () =>
    {
        await call().ConfigureAwait(false);
        return true;
    });

    private static SnapshotException? Translate(Exception error) => error switch
    {
        PauseTooLongException => new SnapshotException(ErrorIds.PauseTooLong, ErrorKind.Conflict, $"{error.Message} Allow more with -MaxPause, or try again when the guest is less busy.", cause: error),
        QemuSilentException => new SnapshotException(ErrorIds.VmNotResponding, ErrorKind.Failed, error.Message, cause: error),
        QmpBusyException => new SnapshotException(ErrorIds.VmBusy, ErrorKind.Busy, error.Message, cause: error),
        QemuStartException start => new SnapshotException(ErrorIds.ComputeFailed, ErrorKind.Failed, start.Message, cause: error),
        MemoryImageException => new SnapshotException(ErrorIds.LayerDamaged, ErrorKind.Damaged, error.Message, cause: error),
        PlatformNotSupportedException => new SnapshotException(ErrorIds.MemoryNotAvailable, ErrorKind.Unsupported, $"The memory of this machine cannot be saved: {error.Message} Leave -Memory away.", cause: error),
        DiskFullException => new SnapshotException(ErrorIds.NotEnoughSpace, ErrorKind.NoSpace, error.Message, cause: error),
        QmpException or QmpDisconnectedException or MigrationException or BlockJobException or GuestAgentException or QmpProtocolException
            => new SnapshotException(ErrorIds.ComputeFailed, ErrorKind.Failed, error.Message, cause: error),
        _ => null,
    };
}
