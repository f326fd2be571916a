using SnapshotTools.Benchmarks.Harness;
using SnapshotTools.Benchmarks.Reports;
using SnapshotTools.Benchmarks.Rows;

namespace SnapshotTools.Benchmarks;

/// <summary>
/// The benchmark as a program: [--quick | --smoke] [--filter PATTERN] [--out FOLDER] [--work FOLDER] [--list] [--micro] [--docs FILE].
/// </summary>
internal static class Program
{
    private sealed record Options(Scale Scale, string? Filter, string Out, string? Work, bool List, bool Micro, string? Docs);

    public static int Main(string[] arguments)
    {
        if (arguments is ["--child", "copy", var source, var target, var peak])
        {
            CopyRows.CopyFile(source, target);
            File.WriteAllText(peak, Native.OwnPeakBytes().ToString(System.Globalization.CultureInfo.InvariantCulture));
            return 0;
        }
        if (Parse(arguments) is not { } options) return 2;
        if (options.Micro) return Micro.MicroBenchmarks.Run(options.Out, options.Filter, isShort: options.Scale != Scale.Full);
        var rows = Catalogue.Matching(options.Filter, options.Scale);
        if (options.List || rows.Count == 0)
        {
            foreach (var row in Catalogue.Rows) Console.WriteLine($"{row.Id,-26} {row.Work}{(row.IsQuick ? "" : " (not with -Quick)")}");
            return options.List ? 0 : 2;
        }
        Run(options, rows, "build/pwsh build.ps1 -Task Bench" + (options.Scale == Scale.Full ? "" : " -" + options.Scale) + (options.Filter is null ? "" : $" -Filter '{options.Filter}'"));
        return 0;
    }

    private static void Run(Options options, IReadOnlyList<Row> rows, string command)
    {
        string work = Path.GetFullPath(Path.Combine(options.Work ?? Path.Combine(options.Out, "work"), Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture)));
        Directory.CreateDirectory(work);
        try
        {
            var started = DateTimeOffset.Now;
            var machine = Machine.Describe(work);
            var results = Runner.Run(rows, options.Scale, work, text => Console.Error.WriteLine(text), row => Console.WriteLine(ConsoleTable.Of(row)));
            machine = machine with { Load = $"{machine.Load} before, {Machine.LoadNow()} after" };
            var report = new Report(started, options.Scale, command, machine, results);
            report.Save(options.Out);
            if (options.Docs is not null) report.PutInto(options.Docs);
            Console.WriteLine($"{results.Count} rows. {report.Reached} Written: {Path.Combine(options.Out, "results.md")}, .json, .svg");
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    private static Options? Parse(string[] arguments)
    {
        var options = new Options(Scale.Full, null, Path.Combine("out", "bench"), null, false, false, null);
        for (int i = 0; i < arguments.Length; i++)
        {
            string? value = i + 1 < arguments.Length ? arguments[i + 1] : null;
            switch (arguments[i])
            {
                case "--quick": options = options with { Scale = Scale.Quick }; break;
                case "--smoke": options = options with { Scale = Scale.Smoke }; break;
                case "--list": options = options with { List = true }; break;
                case "--micro": options = options with { Micro = true }; break;
                case "--filter" when value is not null: options = options with { Filter = value }; i++; break;
                case "--out" when value is not null: options = options with { Out = value }; i++; break;
                case "--docs" when value is not null: options = options with { Docs = value }; i++; break;
                case "--work" when value is not null: options = options with { Work = value }; i++; break;
                default:
                    Console.Error.WriteLine($"'{arguments[i]}' is not known. There are: --quick, --smoke, --filter PATTERN, --out FOLDER, --work FOLDER, --list, --micro, --docs FILE.");
                    return null;
            }
        }
        return options;
    }
}
