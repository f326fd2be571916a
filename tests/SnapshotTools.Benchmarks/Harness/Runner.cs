using System.Diagnostics;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>Runs rows one after the other.</summary>
internal static class Runner
{
    /// <summary>Runs the rows; one that fails is told of in its result and does not stop the others.</summary>
    public static IReadOnlyList<RowResult> Run(IEnumerable<Row> rows, Scale scale, string workFolder, Action<string> log, Action<RowResult>? done = null)
    {
        var results = new List<RowResult>();
        foreach (var row in rows)
        {
            var clock = Stopwatch.StartNew();
            var result = RunOne(row, scale, Path.Combine(workFolder, row.Id.Replace('/', '-')), log);
            log($"{row.Id}: {clock.Elapsed.TotalSeconds:0.0} s{(result.NotRun.Count > 0 ? $"; not run: {string.Join("; ", result.NotRun)}" : "")}");
            results.Add(result);
            done?.Invoke(result);
        }
        return results;
    }

    private static RowResult RunOne(Row row, Scale scale, string folder, Action<string> log)
    {
        FreshFolders.MakeParent(folder);
        var run = new RowRun(row, scale, folder, log);
        try
        {
            row.Run(run);
        }
        catch (NotHereException e)
        {
            run.NotRun(e.Message);
        }
        catch (Exception e) when (scale != Scale.Smoke)
        {
            log($"{row.Id}: {e}");
            run.NotRun($"it failed: {e.Message}");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        return run.Result();
    }
}
