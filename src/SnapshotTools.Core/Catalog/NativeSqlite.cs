using System.Reflection;
using System.Runtime.InteropServices;

namespace SnapshotTools.Core.Catalog;

/// <summary>
/// Chooses the SQLite library: the machine's own where there is one, since it gets its owner's security updates, else
/// the one that comes with the module. <c>SNAPSHOTTOOLS_SQLITE</c> names another.
/// </summary>
internal static class NativeSqlite
{
    private static readonly string[] SystemNames =
        OperatingSystem.IsWindows() ? ["winsqlite3.dll"]
        : OperatingSystem.IsMacOS() ? ["/usr/lib/libsqlite3.dylib", "libsqlite3.dylib"]
        : ["libsqlite3.so.0", "libsqlite3.so"];

    private static readonly Lazy<bool> Ready = new(Initialize);

    /// <summary>Makes SQLite usable in this process, once.</summary>
    public static void EnsureReady() => _ = Ready.Value;

    private static bool Initialize()
    {
        NativeLibrary.SetDllImportResolver(typeof(Sqlite3).Assembly, Resolve);
        return true;
    }

    private static IntPtr Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath)
    {
        if (name != Sqlite3.Library) return IntPtr.Zero;
        string? chosen = Environment.GetEnvironmentVariable("SNAPSHOTTOOLS_SQLITE");
        if (!string.IsNullOrEmpty(chosen)) return NativeLibrary.Load(chosen);
        foreach (string candidate in SystemNames)
            if (NativeLibrary.TryLoad(candidate, out IntPtr handle))
                return handle;
        return NativeLibrary.TryLoad(BundledPath(), out IntPtr bundled) ? bundled : IntPtr.Zero;
    }

    /// <summary>Where a NuGet restore or the module's folder has the bundled library. It is looked up by hand, since not
    /// every host of PowerShell probes the folders of this machine's own platform.</summary>
    private static string BundledPath()
    {
        string folder = Path.GetDirectoryName(typeof(NativeSqlite).Assembly.Location)!;
        string system = OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux";
        string file = OperatingSystem.IsWindows() ? "e_sqlite3.dll" : OperatingSystem.IsMacOS() ? "libe_sqlite3.dylib" : "libe_sqlite3.so";
        string architecture = RuntimeInformation.ProcessArchitecture switch
        {
            Architecture.Arm64 => "arm64",
            Architecture.X86 => "x86",
            Architecture.Arm => "arm",
            _ => "x64",
        };
        return Path.Combine(folder, "runtimes", $"{system}-{architecture}", "native", file);
    }
}
