namespace SnapshotTools.Qemu.Qmp;

/// <summary>The other side of a QMP connection sent what QMP does not allow; the connection is of no more use.</summary>
public sealed class QmpProtocolException(string what, Exception? cause = null)
    : IOException($"The other side of the connection does not speak QMP: {what}.", cause);

/// <summary>The connection to QEMU ended, or never came about. Every waiting call ends with it.</summary>
public class QmpDisconnectedException(string message, Exception? cause = null) : IOException(message, cause);

/// <summary>QEMU is there, but another client holds its monitor: QEMU serves one at a time.</summary>
/// <param name="endpoint">The monitor.</param>
/// <param name="waited">How long it did not greet.</param>
/// <param name="isCertain">False where the system does not tell who is connected, so that it may hang as well.</param>
public sealed class QmpBusyException(QmpEndpoint endpoint, TimeSpan waited, bool isCertain)
    : QmpDisconnectedException($"The QMP monitor at '{endpoint}' did not greet within {waited.TotalSeconds:0.#} s. "
        + $"Another client holds it{(isCertain ? "" : ", or it hangs")}: close that client, or give QEMU a second -qmp socket.");

/// <summary>QEMU is there and does not answer in time, though nobody else is known to hold its monitor. Whether a command was carried out is not known; the connection is closed.</summary>
public sealed class QmpTimeoutException : QmpDisconnectedException
{
    /// <summary>It did not answer a command.</summary>
    public QmpTimeoutException(QmpEndpoint endpoint, string command, TimeSpan waited)
        : base($"QEMU at '{endpoint}' did not answer '{command}' within {waited.TotalSeconds:0.#} s, so the connection to it was given up.")
    {
    }

    /// <summary>It did not even greet.</summary>
    public QmpTimeoutException(QmpEndpoint endpoint, TimeSpan waited)
        : base($"QEMU at '{endpoint}' did not greet within {waited.TotalSeconds:0.#} s, and no other client holds its monitor.")
    {
    }
}

/// <summary>QEMU, or the guest agent, refused a command.</summary>
public sealed class QmpException(string command, string sent, string errorClass, string description)
    : Exception($"'{command}' failed: {description} ({errorClass}). Sent: {sent}")
{
    /// <summary>The command.</summary>
    public string Command { get; } = command;

    /// <summary>The arguments as they were sent, without secrets, cut where they are long.</summary>
    public string Sent { get; } = sent;

    /// <summary>Such as <c>GenericError</c> or <c>CommandNotFound</c>.</summary>
    public string ErrorClass { get; } = errorClass;

    /// <summary>The other side's words.</summary>
    public string Description { get; } = description;

    /// <summary>The other side is too old or too new to know the command.</summary>
    public bool IsUnknownCommand => ErrorClass == "CommandNotFound";
}
