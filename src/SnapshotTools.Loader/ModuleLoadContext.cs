using System.Management.Automation;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Loader;

namespace SnapshotTools.Loader;

/// <summary>
/// The AssemblyLoadContext that holds every library that the cmdlets use, so that another module may bring other versions of the same
/// libraries. PowerShell itself loads this assembly and that of the cmdlets only.
/// </summary>
public sealed class ModuleLoadContext : AssemblyLoadContext
{
    private const string OwnLibraries = "SnapshotTools.";

    // Runspaces may import the module at once, and none may go on before its libraries are found.
    private static readonly Lazy<ModuleLoadContext> Instance = new(() =>
    {
        var context = new ModuleLoadContext();
        // All that PowerShell's context does not find is asked for here; what others may have too is not handed out.
        Default.Resolving += (_, name) => name.Name?.StartsWith(OwnLibraries, StringComparison.Ordinal) == true ? context.Load(name) : null;
        return context;
    });

    private readonly string _folder = Path.Combine(Path.GetDirectoryName(typeof(ModuleLoadContext).Assembly.Location)!, "lib");

    private ModuleLoadContext()
        : base("SnapshotTools")
    {
    }

    /// <summary>Lets the cmdlets, which PowerShell loads next, find their libraries: the same for every runspace of the process.</summary>
    public sealed class Start : IModuleAssemblyInitializer
    {
        /// <inheritdoc/>
        public void OnImport() => _ = Instance.Value;
    }

    /// <summary>Our own copy of a library goes before any other; what we have none of (PowerShell, .NET) comes from the default context.</summary>
    protected override Assembly? Load(AssemblyName assemblyName)
    {
        ArgumentNullException.ThrowIfNull(assemblyName);
        string path = Path.Combine(_folder, assemblyName.Name + ".dll");
        return File.Exists(path) ? LoadFromAssemblyPath(path) : null;
    }

    /// <summary>Finds the native libraries that the module brings, in <c>lib/runtimes/RID/native</c>; the system's are left to .NET.</summary>
    protected override nint LoadUnmanagedDll(string unmanagedDllName)
    {
        string? path = NativePaths(unmanagedDllName).FirstOrDefault(File.Exists);
        return path is null ? 0 : LoadUnmanagedDllFromPath(path);
    }

    private IEnumerable<string> NativePaths(string name)
    {
        string architecture = RuntimeInformation.ProcessArchitecture switch
        {
            Architecture.X64 => "x64",
            Architecture.X86 => "x86",
            Architecture.Arm => "arm",
            _ => "arm64",
        };
        (string system, string file) = OperatingSystem.IsWindows() ? ("win", name + ".dll")
            : OperatingSystem.IsMacOS() ? ("osx", $"lib{name}.dylib")
            : (RuntimeInformation.RuntimeIdentifier.Contains("musl", StringComparison.Ordinal) ? "linux-musl" : "linux", $"lib{name}.so");
        string native = Path.Combine(_folder, "runtimes", $"{system}-{architecture}", "native");
        return [Path.Combine(native, file), Path.Combine(native, name)];
    }
}
