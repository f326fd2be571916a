namespace SnapshotTools.Core.Engine.Upkeep;

/// <summary>
/// Tells damage from an operation at work: a store is tested without a lock, so what is seen of a volume counts only when it is seen again while no
/// operation can change the volume.
/// </summary>
/// <param name="context">The store.</param>
/// <param name="options">How to run, and how long to wait for an operation to end.</param>
/// <param name="isAlone">Whether the caller holds the locks of all volumes.</param>
internal sealed class UndisturbedLook(EngineContext context, RunOptions options, bool isAlone)
{
    private readonly HashSet<long> _busy = [];

    /// <summary>Looks, and once more if there is anything.</summary>
    /// <returns>What was seen at last; once for each volume instead, that an operation is at it.</returns>
    public IReadOnlyList<StoreFinding> At(long volumeId, Func<IReadOnlyList<StoreFinding>> look)
    {
        var seen = look();
        if (seen.Count == 0 || isAlone) return seen;
        if (_busy.Contains(volumeId)) return [];   // it is waited for once
        try
        {
            using var mine = context.Locks.Acquire([LockKey.Volume(volumeId)], options.WaitForLock, _ => Busy(), null, options.Cancellation);
            return look();
        }
        catch (SnapshotException error) when (error.ErrorId == ErrorIds.SharedVolumeBusy)
        {
            _busy.Add(volumeId);
            string name = context.Catalog.Volumes.NameOf(volumeId);
            return [new StoreFinding(FindingSeverity.Information, FindingCodes.VolumeBusy, name,
                $"An operation is changing volume '{name}', so not all of its layers could be judged. When it has ended (Get-SnapshotOperation), test the store again.")];
        }
    }

    private static SnapshotException Busy() => new(ErrorIds.SharedVolumeBusy, ErrorKind.Busy, "An operation is at the volume.");
}
