using Mono.Cecil;

namespace PwshEngine;

/// <summary>Makes a folder with a PowerShell for Unix from a folder with the Windows build.</summary>
internal static class Engine
{
    private static readonly string[] Folders = ["Modules", "Schemas", "ref", "en-US"];
    private static readonly string[] Files = ["powershell.config.json", "LICENSE.txt", "ThirdPartyNotices.txt"];
    private static readonly string[] WindowsOnly = ["Presentation", "System.Windows", "System.Private", "WindowsBase", "UIAutomation", "ReachFramework"];

    public static void Prepare(string source, string target)
    {
        Directory.CreateDirectory(target);
        RewriteAssemblies(source, target);
        // The file has a lower-case name; the reference to it has not.
        File.Move(Path.Combine(target, "microsoft.management.infrastructure.dll"), Path.Combine(target, "Microsoft.Management.Infrastructure.dll"), true);
        File.Copy(typeof(Engine).Assembly.Location, Path.Combine(target, "PwshEngine.dll"));
        foreach (string folder in Folders) CopyTree(Path.Combine(source, folder), Path.Combine(target, folder));
        foreach (string file in Files) File.Copy(Path.Combine(source, file), Path.Combine(target, file));
        File.WriteAllText(Path.Combine(target, "pwsh.runtimeconfig.json"),
            """{"runtimeOptions":{"tfm":"net10.0","framework":{"name":"Microsoft.NETCore.App","version":"10.0.0"},"configProperties":{"System.Runtime.TieredPGO":false}}}""");
        WriteLauncher(target);
    }

    private static void RewriteAssemblies(string source, string target)
    {
        using var resolver = new DefaultAssemblyResolver();
        resolver.AddSearchDirectory(source);
        string framework = Path.GetDirectoryName(typeof(object).Assembly.Location)!;
        var rewriter = new Rewriter();
        foreach (string path in Directory.EnumerateFiles(source, "*.dll"))
        {
            string name = Path.GetFileName(path);
            if (File.Exists(Path.Combine(framework, name)) || WindowsOnly.Any(name.StartsWith)) continue;
            ModuleDefinition module;
            try { module = ModuleDefinition.ReadModule(path, new ReaderParameters { AssemblyResolver = resolver }); }
            catch (BadImageFormatException) { continue; }       // a native library
            using (module)
            {
                rewriter.Rewrite(module);
                module.Write(Path.Combine(target, name));
            }
        }
        rewriter.CheckAllUsed();
    }

    /// <summary>What Start-Job and a call of <c>pwsh</c> inside PowerShell run; the Windows build asks for it as pwsh.exe.</summary>
    private static void WriteLauncher(string target)
    {
        foreach (string name in new[] { "pwsh", "pwsh.exe" })
        {
            string path = Path.Combine(target, name);
            File.WriteAllText(path, "#!/bin/sh\nexport POWERSHELL_UPDATECHECK=Off POWERSHELL_TELEMETRY_OPTOUT=1\nexec dotnet \"${0%/*}/pwsh.dll\" \"$@\"\n");
            if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
        }
    }

    private static void CopyTree(string from, string to)
    {
        foreach (string file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            string copy = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy, true);
        }
    }
}
