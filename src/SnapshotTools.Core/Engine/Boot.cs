namespace SnapshotTools.Core.Engine;

/// <summary>Which boot of the machine this is.</summary>
internal static class Boot
{
    private const string LinuxBootId = "/proc/sys/kernel/random/boot_id";

    /// <summary>Changes with every start of the machine. Where it cannot be told, each process counts as one, which costs a look at every stable path.</summary>
    public static string Id { get; } = File.Exists(LinuxBootId) ? File.ReadAllText(LinuxBootId).Trim() : Guid.NewGuid().ToString();
}
