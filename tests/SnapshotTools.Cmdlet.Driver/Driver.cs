using System.Collections.Concurrent;
using System.Management.Automation;
using System.Management.Automation.Runspaces;
using System.Text;
using System.Text.Json;

namespace SnapshotTools.Cmdlet.Driver;

/// <summary>
/// Runs scripts in one session of the PowerShell that loaded it. Requests come as lines of JSON on standard input, replies go as lines of
/// JSON that begin with <see cref="Mark"/> to standard output. The end of the input ends it.
/// </summary>
public static class ScriptDriver
{
    /// <summary>Begins each line of the protocol, so that a stray line does no harm.</summary>
    public const string Mark = "#reply ";

    private static readonly Lock WriteLock = new();
    private static readonly ConcurrentQueue<ProgressLine> Progress = new();
    private static TextWriter _out = TextWriter.Null;
    private static volatile PowerShell? _running;

    /// <summary>Serves until the input ends.</summary>
    public static void Run()
    {
        _out = Console.Out;
        Console.SetOut(TextWriter.Null);
        var host = new RecordingHost(OnProgress);
        using var runspace = RunspaceFactory.CreateRunspace(host, InitialSessionState.CreateDefault2());
        runspace.ThreadOptions = PSThreadOptions.ReuseThread;
        runspace.Open();
        using var requests = new BlockingCollection<Request>();
        var worker = new Thread(() =>
        {
            foreach (var request in requests.GetConsumingEnumerable()) Send(new Reply(Outcome: Execute(request, runspace, host.Recorder)));
        });
        worker.Start();
        using var input = new StreamReader(Console.OpenStandardInput());
        while (input.ReadLine() is { } line)
        {
            var request = JsonSerializer.Deserialize<Request>(line)!;
            if (request.Script is null) _running?.BeginStop(null, null);
            else requests.Add(request);
        }
        requests.CompleteAdding();
        _running?.Stop();
        worker.Join();
    }

    private static Outcome Execute(Request request, Runspace runspace, RecordingUI ui)
    {
        ui.Begin(request);
        Progress.Clear();
        using var powershell = PowerShell.Create();
        powershell.Runspace = runspace;
        powershell.AddScript(request.Script);
        var output = new PSDataCollection<PSObject>();
        List<ErrorLine> errors = [];
        _running = powershell;
        try
        {
            powershell.Invoke(null, output, new PSInvocationSettings { AddToHistory = false });
        }
        catch (RuntimeException e)
        {
            if (e is not PipelineStoppedException) errors.Add(Describe(e.ErrorRecord, terminating: true));
        }
        finally
        {
            _running = null;
        }
        errors.InsertRange(0, powershell.Streams.Error.Select(e => Describe(e, terminating: false)));
        var (host, prompts) = ui.End();
        return new Outcome(
            [.. output.Select(o => new OutputObject([.. o?.TypeNames ?? []], ToJson(o, runspace)))],
            ToText(output, request.Width, runspace),
            [.. errors],
            [.. powershell.Streams.Warning.Select(w => w.Message)],
            [.. powershell.Streams.Verbose.Select(v => v.Message)],
            [.. powershell.Streams.Information.Select(i => i.MessageData?.ToString() ?? "")],
            host,
            prompts,
            [.. Progress],
            powershell.InvocationStateInfo.State == PSInvocationState.Stopped);
    }

    private static ErrorLine Describe(ErrorRecord record, bool terminating) => new(
        record.FullyQualifiedErrorId.Split(',')[0],
        record.FullyQualifiedErrorId,
        record.CategoryInfo.Category.ToString(),
        record.ErrorDetails?.Message ?? record.Exception.Message,
        record.TargetObject?.ToString(),
        record.ErrorDetails?.RecommendedAction,
        record.Exception.GetType().FullName!,
        terminating);

    private static JsonElement ToJson(PSObject? value, Runspace runspace)
    {
        using var powershell = PowerShell.Create();
        powershell.Runspace = runspace;
        powershell.AddCommand("ConvertTo-Json").AddParameter("InputObject", value).AddParameter("Depth", 5).AddParameter("Compress").AddParameter("WarningAction", "Ignore");
        return JsonDocument.Parse(powershell.Invoke<string>()[0]).RootElement;
    }

    private static string ToText(PSDataCollection<PSObject> output, int width, Runspace runspace)
    {
        using var powershell = PowerShell.Create();
        powershell.Runspace = runspace;
        powershell.AddCommand("Out-String").AddParameter("Width", width);
        return string.Concat(powershell.Invoke<string>(output));
    }

    private static void OnProgress(ProgressRecord record)
    {
        var line = new ProgressLine(record.ActivityId, record.Activity, record.StatusDescription, record.PercentComplete, record.RecordType == ProgressRecordType.Completed);
        Progress.Enqueue(line);
        Send(new Reply(Progress: line));
    }

    private static void Send(Reply reply)
    {
        lock (WriteLock)
        {
            _out.WriteLine(Mark + JsonSerializer.Serialize(reply));
            _out.Flush();
        }
    }
}
