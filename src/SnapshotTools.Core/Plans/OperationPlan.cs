using System.Globalization;
using System.Text;

namespace SnapshotTools.Core;

/// <summary>
/// What an operation will do, before it does it. The run executes what the plan says, or refuses when the state has
/// changed so that it would do something else.
/// </summary>
public sealed record OperationPlan
{
    /// <summary>What kind of operation it is.</summary>
    public required OperationKind Kind { get; init; }

    /// <summary>What it works on, such as <c>web01/before-upgrade</c>.</summary>
    public required string Target { get; init; }

    /// <summary>What it does, in one sentence.</summary>
    public required string Summary { get; init; }

    /// <summary>The steps in order.</summary>
    public IReadOnlyList<PlanStep> Steps { get; init; } = [];

    /// <summary>What of the present state, or which snapshots, will be gone afterwards; empty when nothing is lost.</summary>
    public IReadOnlyList<string> Lost { get; init; } = [];

    /// <summary>Number of layers that are deleted whole.</summary>
    public int LayersDeleted => Steps.Count(s => s.Action == PlanAction.DeleteLayer);

    /// <summary>Number of layers that are merged away.</summary>
    public int LayersMerged => Steps.Count(s => s.Action is PlanAction.MergeDown or PlanAction.MergeUp);

    /// <summary>Bytes that are copied.</summary>
    public long BytesCopied => Steps.Sum(s => s.BytesCopied);

    /// <summary>Bytes on disk that become free in the end.</summary>
    public long BytesFreed => Steps.Sum(s => s.BytesFreed);

    /// <summary>Free bytes that the operation needs while it runs.</summary>
    public long SpaceNeeded { get; init; }

    /// <summary>Whether anything is lost or any layer deleted by it.</summary>
    public bool IsDestructive => Lost.Count > 0 || Steps.Any(s => s.Action is PlanAction.DeleteLayer or PlanAction.DeleteFile);

    /// <summary>The plan as <c>-WhatIf</c> prints it.</summary>
    public override string ToString()
    {
        var text = new StringBuilder(Summary);
        foreach (var step in Steps) text.Append("\n  - ").Append(step.Description);
        foreach (string lost in Lost) text.Append("\n  lost: ").Append(lost);
        text.Append(CultureInfo.InvariantCulture,
            $"\n  copies {ByteSize.Format(BytesCopied)}, frees {ByteSize.Format(BytesFreed)}, needs {ByteSize.Format(SpaceNeeded)} of free space");
        return text.ToString();
    }

    /// <summary>Whether a plan made later would do the same to what exists.</summary>
    internal bool DoesTheSameAs(OperationPlan other) => Target == other.Target && Lost.SequenceEqual(other.Lost) && Effects().SequenceEqual(other.Effects());

    /// <summary>What is done to what holds data. Stable paths follow by themselves after each operation, so that they differ from one moment to the next.</summary>
    private IEnumerable<(PlanAction Action, string Subject)> Effects() => Steps.Where(s => s.Action != PlanAction.Publish).Select(s => (Alike(s.Action), s.Subject));

    /// <summary>In which direction two layers are merged changes nothing about what is left, and with what a guest writes meanwhile.</summary>
    private static PlanAction Alike(PlanAction action) => action == PlanAction.MergeDown ? PlanAction.MergeUp : action;
}

/// <summary>One step of a plan.</summary>
/// <param name="Action">What is done.</param>
/// <param name="Subject">To what: a volume, layer, snapshot or file.</param>
/// <param name="Description">The step in words.</param>
/// <param name="BytesCopied">Bytes that it copies.</param>
/// <param name="BytesFreed">Bytes on disk that it frees.</param>
public sealed record PlanStep(PlanAction Action, string Subject, string Description, long BytesCopied = 0, long BytesFreed = 0);

/// <summary>What a step does.</summary>
public enum PlanAction
{
    /// <summary>Freezes a head and puts a new empty one over it.</summary>
    Freeze,

    /// <summary>Puts a new head over a snapshot's layer.</summary>
    Branch,

    /// <summary>Takes a backup snapshot of the present.</summary>
    Backup,

    /// <summary>Forgets a snapshot.</summary>
    Forget,

    /// <summary>Deletes a layer that nothing needs.</summary>
    DeleteLayer,

    /// <summary>Merges a layer's child into it.</summary>
    MergeDown,

    /// <summary>Merges a layer into its child.</summary>
    MergeUp,

    /// <summary>Makes a new layer.</summary>
    CreateLayer,

    /// <summary>Copies data into a new layer.</summary>
    CopyData,

    /// <summary>Changes the size of a volume.</summary>
    Resize,

    /// <summary>Changes the catalog only.</summary>
    Update,

    /// <summary>Deletes a file that is not a layer, such as a memory image.</summary>
    DeleteFile,

    /// <summary>Stops a VM.</summary>
    StopVm,

    /// <summary>Starts a VM.</summary>
    StartVm,

    /// <summary>Takes a file out of the way, without deleting it.</summary>
    Quarantine,

    /// <summary>Mends a file, or puts it back into its place.</summary>
    Mend,

    /// <summary>Lets a stable path lead to its volume's head, or deletes a link that was left beside one.</summary>
    Publish,
}
