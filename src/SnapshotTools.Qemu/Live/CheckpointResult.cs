using SnapshotTools.Qemu.Memory;

namespace SnapshotTools.Qemu.Live;

/// <summary>How a machine's memory was saved.</summary>
public enum MemoryMethod
{
    /// <summary>Its pages are write-protected at one instant and saved while the guest runs on (background-snapshot; userfaultfd(2)).</summary>
    Background,

    /// <summary>Its pages are saved while the guest runs, changed ones again, until the rest is small (precopy); the instant is the end.</summary>
    Precopy,

    /// <summary>The guest stands still while they are saved.</summary>
    Stopped,
}

/// <summary>The pause would have been longer than allowed. The guest runs on and nothing has changed.</summary>
public sealed class PauseTooLongException(TimeSpan limit, TimeSpan reached)
    : Exception($"The guest would have stood still for longer than the {limit.TotalMilliseconds:0} ms allowed ({reached.TotalMilliseconds:0} ms when it was given up).");

/// <summary>A checkpoint whose instant is past.</summary>
/// <param name="Pause">How long the guest stood still.</param>
/// <param name="Method">How the memory is saved.</param>
/// <param name="Reason">Why it was not saved in the background, if it was not.</param>
/// <param name="Completion">Ends when the memory image is complete and durable; fails when it will never be. The guest runs on in any case.</param>
public sealed record CheckpointResult(TimeSpan Pause, MemoryMethod Method, string? Reason, Task<MemoryImageSize> Completion)
{
    /// <summary>Ends when nothing works for the checkpoint any more: after <see cref="Completion"/> the guest may be given back its huge pages. Does not fail,
    /// and nobody need wait for it.</summary>
    public Task Settled { get; init; } = Task.CompletedTask;
}
