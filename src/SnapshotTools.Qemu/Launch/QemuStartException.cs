namespace SnapshotTools.Qemu.Launch;

/// <summary>QEMU did not start, or ended where it should run on.</summary>
/// <param name="message">The machine, the cause and the next step.</param>
/// <param name="lastWords">What QEMU wrote to its standard error.</param>
/// <param name="cause">What was thrown, if anything.</param>
public sealed class QemuStartException(string message, string lastWords = "", Exception? cause = null)
    : IOException(lastWords.Length == 0 ? message : $"{message} QEMU said: {lastWords}", cause)
{
    /// <summary>What QEMU wrote to its standard error.</summary>
    public string LastWords { get; } = lastWords;
}
