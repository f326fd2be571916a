using SnapshotTools.Core;
using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Qemu;

namespace SnapshotTools.Cmdlets;

/// <summary>Opens stores with what runs their machines.</summary>
internal static class OpenedStore
{
    /// <summary>Opens a store. Only now are the libraries of the planes loaded: an import of the module does not wait for them.</summary>
    /// <param name="directory">The store's directory.</param>
    /// <param name="log">Is told what had to be settled.</param>
    public static SnapshotEngine Open(string directory, Action<string>? log = null) =>
        EmbeddedStore.Open(directory, log, NewCompute());

    /// <summary>The store's directory as a user names it: a relative path or <c>~</c> is seen from the session's location, in the environment too.</summary>
    /// <param name="given">What -Store names, if anything.</param>
    public static string Named(string? given) =>
        !string.IsNullOrEmpty(given) ? given
        : Environment.GetEnvironmentVariable("SNAPSHOTTOOLS_STORE") is { Length: > 0 } named ? named
        : EmbeddedStore.DefaultDirectory;

    /// <summary>What runs the machines, for who opens a store itself.</summary>
    public static IComputePlane NewCompute() => new QemuComputePlane(SystemFiles.Instance);
}
