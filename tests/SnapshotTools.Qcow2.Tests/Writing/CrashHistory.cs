using System.Globalization;
using System.Text.RegularExpressions;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Qcow2.Tests.Writing;

/// <summary>What was done to an image, step by step beside the recorded effects on its file, and so what each sector may hold after a crash
/// at any moment: what the last finished flush made durable, or what any later step put there.</summary>
internal sealed partial class CrashHistory(byte[] before)
{
    private readonly List<(int From, int To, byte[] Content, bool Durable)> _steps = [(0, 0, before, true)];

    /// <summary>The content now.</summary>
    public byte[] Content => _steps[^1].Content;

    /// <summary>Notes a step that had its effects from one count of effects to another.</summary>
    public void Add(int from, int to, byte[] content, bool durable) => _steps.Add((from, to, content, durable));

    /// <summary>What an image may hold in a state.</summary>
    public IReadOnlyCollection<byte[]> Allowed(CrashState state)
    {
        int moment = Moment(state);
        int floor = _steps.FindLastIndex(s => s.Durable && s.To <= moment);
        return [.. _steps.Where((s, i) => i == floor || (i > floor && s.From <= moment)).Select(s => s.Content)];
    }

    /// <summary>How many effects were applied, or may have been, in a state.</summary>
    public static int Moment(CrashState state)
    {
        Match match = Number().Match(state.Description);
        if (!match.Success) return 0;
        int number = int.Parse(match.Value, CultureInfo.InvariantCulture);
        return state.Description.StartsWith("killed after", StringComparison.Ordinal) ? number + 1 : number;
    }

    [GeneratedRegex(@"\d+")]
    private static partial Regex Number();
}
