using System.Collections.ObjectModel;
using System.Globalization;
using System.Management.Automation;
using System.Management.Automation.Host;
using System.Security;
using System.Text;

namespace SnapshotTools.Cmdlet.Driver;

/// <summary>A host that keeps what is written to it and answers prompts from a list.</summary>
internal sealed class RecordingHost : PSHost
{
    public RecordingHost(Action<ProgressRecord> onProgress) => Recorder = new RecordingUI(onProgress);

    public RecordingUI Recorder { get; }

    public override CultureInfo CurrentCulture => CultureInfo.InvariantCulture;

    public override CultureInfo CurrentUICulture { get; } = CultureInfo.GetCultureInfo("en-US");

    public override Guid InstanceId { get; } = Guid.NewGuid();

    public override string Name => "SnapshotToolsTest";

    public override PSHostUserInterface UI => Recorder;

    public override Version Version { get; } = new(1, 0);

    public override void EnterNestedPrompt() => throw new NotSupportedException();

    public override void ExitNestedPrompt() => throw new NotSupportedException();

    public override void NotifyBeginApplication()
    {
    }

    public override void NotifyEndApplication()
    {
    }

    public override void SetShouldExit(int exitCode)
    {
    }
}

/// <summary>The host's user interface.</summary>
internal sealed class RecordingUI(Action<ProgressRecord> onProgress) : PSHostUserInterface
{
    private readonly StringBuilder _text = new();
    private readonly List<string> _prompts = [];
    private readonly Queue<string> _answers = new();

    public override PSHostRawUserInterface RawUI { get; } = new RecordingRawUI();

    public void Begin(Request request)
    {
        _text.Clear();
        _prompts.Clear();
        _answers.Clear();
        foreach (string answer in request.Answers ?? []) _answers.Enqueue(answer);
        RawUI.BufferSize = new Size(request.Width, 50);
    }

    public (string Text, string[] Prompts) End() => (_text.ToString(), [.. _prompts]);

    public override void Write(string value)
    {
        lock (_text) _text.Append(value);
    }

    public override void Write(ConsoleColor foregroundColor, ConsoleColor backgroundColor, string value) => Write(value);

    public override void WriteLine(string value) => Write(value + "\n");

    public override void WriteErrorLine(string value) => WriteLine(value);

    // The streams carry these too; a host that showed them as well would say everything twice.
    public override void WriteDebugLine(string message)
    {
    }

    public override void WriteVerboseLine(string message)
    {
    }

    public override void WriteWarningLine(string message)
    {
    }

    public override void WriteProgress(long sourceId, ProgressRecord record) => onProgress(record);

    public override string ReadLine() => Answer("");

    public override SecureString ReadLineAsSecureString() => throw new NotSupportedException();

    public override Dictionary<string, PSObject> Prompt(string caption, string message, Collection<FieldDescription> descriptions) =>
        descriptions.ToDictionary(d => d.Name, d => PSObject.AsPSObject(Answer($"{caption}\n{message}\n{d.Name}:")));

    public override int PromptForChoice(string caption, string message, Collection<ChoiceDescription> choices, int defaultChoice)
    {
        string answer = Answer($"{caption}\n{message}\n{string.Join(' ', choices.Select(c => c.Label))}");
        for (int i = 0; i < choices.Count; i++)
        {
            string label = choices[i].Label;
            int key = label.IndexOf('&', StringComparison.Ordinal);
            if (key >= 0 && string.Equals(label.Substring(key + 1, 1), answer, StringComparison.OrdinalIgnoreCase)) return i;
        }
        throw new InvalidOperationException($"The test's answer '{answer}' is none of the choices.");
    }

    public override PSCredential PromptForCredential(string caption, string message, string userName, string targetName) => throw new NotSupportedException();

    public override PSCredential PromptForCredential(string caption, string message, string userName, string targetName, PSCredentialTypes allowedCredentialTypes, PSCredentialUIOptions options) => throw new NotSupportedException();

    private string Answer(string question)
    {
        _prompts.Add(question);
        return _answers.TryDequeue(out string? answer) ? answer : throw new InvalidOperationException($"The test has no answer to: {question}");
    }
}

/// <summary>A terminal of the size that the test asked for.</summary>
internal sealed class RecordingRawUI : PSHostRawUserInterface
{
    public override ConsoleColor ForegroundColor { get; set; }

    public override ConsoleColor BackgroundColor { get; set; }

    public override Size BufferSize { get; set; } = new(120, 50);

    public override Coordinates CursorPosition { get; set; }

    public override int CursorSize { get; set; }

    public override bool KeyAvailable => false;

    public override Size MaxPhysicalWindowSize => BufferSize;

    public override Size MaxWindowSize => BufferSize;

    public override Coordinates WindowPosition { get; set; }

    public override Size WindowSize { get => BufferSize; set => BufferSize = value; }

    public override string WindowTitle { get; set; } = "";

    public override void FlushInputBuffer()
    {
    }

    public override BufferCell[,] GetBufferContents(Rectangle rectangle) => throw new NotSupportedException();

    public override KeyInfo ReadKey(ReadKeyOptions options) => throw new NotSupportedException();

    public override void ScrollBufferContents(Rectangle source, Coordinates destination, Rectangle clip, BufferCell fill) => throw new NotSupportedException();

    public override void SetBufferContents(Coordinates origin, BufferCell[,] contents) => throw new NotSupportedException();

    public override void SetBufferContents(Rectangle rectangle, BufferCell fill) => throw new NotSupportedException();
}
