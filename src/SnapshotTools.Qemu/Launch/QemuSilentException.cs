using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Launch;

/// <summary>There is a process of QEMU, and neither of its monitors answers: it hangs, takes long to begin or to end, or somebody deleted its sockets.</summary>
/// <param name="process">The process.</param>
/// <param name="cause">What was met at its monitor.</param>
public sealed class QemuSilentException(ProcessIdentity process, Exception cause)
    : QmpDisconnectedException($"Its QEMU (process {process.Id}) is there and does not respond: it hangs, or takes long to begin or to end.", cause);
