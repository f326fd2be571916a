using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Loader;

namespace SnapshotTools.Loader;

/// <summary>
/// The AssemblyLoadContext that holds the module's cmdlets and every library they use, so that another module may bring other
/// versions of the same libraries. This assembly is the only one of the module that PowerShell itself loads.
/// </summary>
public sealed class ModuleLoadContext : AssemblyLoadContext
{
    private static readonly Lazy<ModuleLoadContext> Instance = new(() => new ModuleLoadContext());

    private readonly string _module = Path.GetDirectoryName(typeof(ModuleLoadContext).Assembly.Location)!;
    private readonly string _folder;

    private ModuleLoadContext()
        : base("SnapshotTools") => _folder = Path.Combine(_module, "lib");

    /// <summary>The assembly with the cmdlets, the same for every runspace of the process.</summary>
    /// <param name="moduleFolder">The folder of the module that is being imported.</param>
    /// <exception cref="InvalidOperationException">The session has loaded another copy of the module.</exception>
    /// <exception cref="FileNotFoundException">The module's folder is incomplete.</exception>
    public static Assembly LoadCmdlets(string moduleFolder)
    {
        var instance = Instance.Value;
        if (!string.Equals(Path.TrimEndingDirectorySeparator(moduleFolder), instance._module, StringComparison.OrdinalIgnoreCase))
            throw new InvalidOperationException(
                $"This session has loaded SnapshotTools from '{instance._module}' and cannot load another copy. Start a new PowerShell to use the one in '{moduleFolder}'.");
        return instance.LoadFromAssemblyPath(Path.Combine(instance._folder, "SnapshotTools.dll"));
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
