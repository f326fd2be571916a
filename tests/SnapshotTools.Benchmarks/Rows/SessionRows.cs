using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Reflection.Emit;
using SnapshotTools.Benchmarks.Harness;
using SnapshotTools.Core;

namespace SnapshotTools.Benchmarks.Rows;

/// <summary>What a person at the prompt waits for: loading the module, its first answer, long lists.</summary>
internal static class SessionRows
{
    public static IEnumerable<Row> All =>
    [
        new("session/import", "Import-Module in a new PowerShell", run =>
        {
            var (pwsh, module) = Checkout();
            string empty = MakeEmptyModule(run.File("Empty"));
            run.Measure(run.Scale.Pick(9, 2, 1), 1,
                InPwsh("Import-Module SnapshotTools", Role.Ours, pwsh, $"Import-Module '{module}'", ""),
                InPwsh("Import-Module of a binary module with nothing in it", Role.Reference, pwsh, $"Import-Module '{empty}'", ""));
            double more = run.Best(Role.Ours) - run.Best(Role.Reference);
            run.Goal("≤ 150 ms more than an empty binary module", run.Format(more), more <= 0.150);
        }),
        new("session/first", "the first Get-VmSnapshot of a session", run =>
        {
            var (pwsh, module) = Checkout();
            using (var store = new BenchStore(run.File("store")))
            {
                store.NewVm("vm", 2, 1 << 30);
                for (int i = 0; i < 5; i++) store.Snapshot("vm");
            }
            run.Measure(run.Scale.Pick(9, 2, 1), 1,
                InPwsh("Get-VmSnapshot, first", Role.Ours, pwsh, $"$null = Get-VmSnapshot -Store '{run.File("store")}'", $"Import-Module '{module}'"),
                InPwsh("Get-VmSnapshot, second", Role.Aside, pwsh, $"$null = Get-VmSnapshot -Store '{run.File("store")}'", $"Import-Module '{module}'; $null = Get-VmSnapshot -Store '{run.File("store")}'"));
            run.GoalAtMost(0.050);
        }),
        new("session/first-snapshot", "the first New-VmSnapshot of a session, 1 disk", run =>
        {
            var (pwsh, module) = Checkout();
            // The name is there as if it were typed: New-Guid, which made it before, loads a module of PowerShell's.
            string store = run.File("store");
            string Snapshot(string name) => $"$null = New-VmSnapshot vm {name} -Store '{store}'";
            using (var made = new BenchStore(store)) made.NewVm("vm", 1, 1 << 30);
            run.Measure(run.Scale.Pick(9, 2, 1), 1,
                InPwsh("New-VmSnapshot, first", Role.Ours, pwsh, Snapshot(Unique), $"Import-Module '{module}'"),
                InPwsh("New-VmSnapshot, second", Role.Aside, pwsh, Snapshot(Unique), $"Import-Module '{module}'; {Snapshot(Unique + "-0")}"),
                InPwsh("New-VmSnapshot, fifty-first", Role.Aside, pwsh, Snapshot(Unique), $"Import-Module '{module}'; foreach ($i in 1..50) {{ {Snapshot(Unique + "-$i")} }}"));
            run.Note("there is no goal for it: it shows what a session pays once, for opening the store and for the runtime's compiler");
        }) { IsQuick = false },
        new("session/list", "listing 20,000 snapshots", run =>
        {
            var (pwsh, module) = Checkout();
            int vms = run.Scale.Pick(200, 200, 2);
            string store = run.File("store"), list = $"$null = Get-VmSnapshot -Store '{store}'";
            using (var filled = new BenchStore(store))
            {
                filled.AddOthers(vms, 100);
                Contender engine = Contender.Timed("the engine alone, in a session", Role.Aside, () => filled.Engine.Snapshots.Find(new SnapshotQuery()));
                run.Measure(run.Scale.Pick(5, 2, 1), 1,
                    engine,
                    InPwsh("Get-VmSnapshot, in a session", Role.Ours, pwsh, list, $"Import-Module '{module}'; {list}; {list}; {list}"),
                    InPwsh("Get-VmSnapshot, all kept in a variable", Role.Aside, pwsh, $"$all = Get-VmSnapshot -Store '{store}'", $"Import-Module '{module}'; {list}; {list}; {list}"),
                    InPwsh("Get-VmSnapshot, the first of a session", Role.Aside, pwsh, list, $"Import-Module '{module}'"));
            }
            double rate = (vms * 100 + 1) / run.Best(Role.Ours);
            run.Goal("≥ 100,000 objects/s", rate.ToString("N0", CultureInfo.InvariantCulture), rate >= 100_000);
        }),
    ];

    /// <summary>Stands for a name in a command, another one each time that it runs.</summary>
    private const string Unique = "s-unique";

    private static (string Pwsh, string Module) Checkout()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (!File.Exists(Path.Combine(folder.FullName, "SnapshotTools.sln"))) continue;
            string module = Environment.GetEnvironmentVariable("SNAPSHOTTOOLS_BENCH_MODULE") ?? Path.Combine(folder.FullName, "out", "SnapshotTools");
            if (!File.Exists(Path.Combine(module, "SnapshotTools.psd1"))) throw new NotHereException("the module is not built: build/pwsh build.ps1");
            return (Path.Combine(folder.FullName, "build", "pwsh"), module);
        }
        throw new NotHereException("the benchmark does not run from a checkout");
    }

    /// <summary>A binary module without a cmdlet: what any module costs.</summary>
    private static string MakeEmptyModule(string folder)
    {
        Directory.CreateDirectory(folder);
        var assembly = new PersistedAssemblyBuilder(new AssemblyName("Empty"), typeof(object).Assembly);
        assembly.DefineDynamicModule("Empty").DefineType("Empty", TypeAttributes.Public).CreateType();
        assembly.Save(Path.Combine(folder, "Empty.dll"));
        string manifest = Path.Combine(folder, "Empty.psd1");
        File.WriteAllText(manifest, "@{ RootModule = 'Empty.dll'; ModuleVersion = '1.0'; CmdletsToExport = @(); FunctionsToExport = @(); AliasesToExport = @(); VariablesToExport = @() }");
        return manifest;
    }

    /// <summary>A new PowerShell that measures one command by its own clock.</summary>
    private static Contender InPwsh(string name, Role role, string pwsh, string command, string before) => new(name, role, () =>
    {
        // What does not do its work is not fast.
        string script = $"$ErrorActionPreference = 'Stop'; {before}; $clock = [Diagnostics.Stopwatch]::StartNew(); {command}; 'seconds=' + $clock.Elapsed.TotalSeconds.ToString([cultureinfo]::InvariantCulture)";
        var start = new ProcessStartInfo("bash", [pwsh, "-NoProfile", "-NonInteractive", "-Command", script.Replace(Unique, $"s{Guid.NewGuid():N}", StringComparison.Ordinal)]) { RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        string text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        string? line = text.Split('\n').LastOrDefault(l => l.StartsWith("seconds=", StringComparison.Ordinal));
        return process.ExitCode == 0 && line is not null ? double.Parse(line.Trim()["seconds=".Length..], CultureInfo.InvariantCulture) : throw new InvalidOperationException($"PowerShell failed ({process.ExitCode}): {text}");
    });
}
