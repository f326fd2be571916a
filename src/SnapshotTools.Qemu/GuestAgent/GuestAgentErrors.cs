namespace SnapshotTools.Qemu.GuestAgent;

/// <summary>The guest agent does not answer, or not what its protocol allows.</summary>
public class GuestAgentException(string message, Exception? cause = null) : IOException(message, cause);

/// <summary>The guest agent did not answer in time: it is not installed, not running, or the guest is stuck.</summary>
public sealed class GuestAgentTimeoutException(string command, TimeSpan waited)
    : GuestAgentException($"The guest agent did not answer '{command}' within {waited.TotalSeconds:0.#} s. "
        + "Check that qemu-guest-agent is installed and running in the guest, and that no other program holds its channel.");
