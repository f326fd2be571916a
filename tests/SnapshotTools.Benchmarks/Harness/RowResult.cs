using System.Text.Json.Serialization;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>The unit of a row's measurements.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Unit>))]
public enum Unit
{
    /// <summary>Seconds; less is better.</summary>
    Seconds,

    /// <summary>Bytes; less is better.</summary>
    Bytes,
}

/// <summary>What was measured of one contender.</summary>
/// <param name="Name">The contender.</param>
/// <param name="Role">What it is to the row.</param>
/// <param name="Sample">Its measurements.</param>
public sealed record ContenderResult(string Name, [property: JsonConverter(typeof(JsonStringEnumConverter<Role>))] Role Role, Sample Sample);

/// <summary>A goal of a row, and whether it was reached.</summary>
/// <param name="Text">What is wanted.</param>
/// <param name="Reached">How far it came, in the words of the goal.</param>
/// <param name="IsReached">Whether that is enough.</param>
public sealed record GoalResult(string Text, string Reached, bool IsReached);

/// <summary>A row of the table.</summary>
public sealed record RowResult
{
    /// <summary>Its name for -Filter.</summary>
    public required string Id { get; init; }

    /// <summary>The work, in words.</summary>
    public required string Work { get; init; }

    /// <summary>The unit of its measurements.</summary>
    public Unit Unit { get; init; }

    /// <summary>What was measured; empty when it was not run.</summary>
    public IReadOnlyList<ContenderResult> Contenders { get; init; } = [];

    /// <summary>The goals.</summary>
    public IReadOnlyList<GoalResult> Goals { get; init; } = [];

    /// <summary>What a reader should know.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>What of it this machine could not run, with the reason.</summary>
    public IReadOnlyList<string> NotRun { get; init; } = [];

    /// <summary>Ours, if it was measured.</summary>
    [JsonIgnore]
    public ContenderResult? Ours => Contenders.FirstOrDefault(c => c.Role == Role.Ours);

    /// <summary>The best peer, if there was one.</summary>
    [JsonIgnore]
    public ContenderResult? BestPeer => Best(Role.Peer);

    /// <summary>The limit, if there was one.</summary>
    [JsonIgnore]
    public ContenderResult? Limit => Best(Role.Limit);

    /// <summary>The best of a role.</summary>
    public ContenderResult? Best(Role role) => Contenders.Where(c => c.Role == role).MinBy(c => c.Sample.Median);
}
