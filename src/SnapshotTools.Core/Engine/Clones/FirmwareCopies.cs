using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.Clones;

/// <summary>The firmware's variables of VMs that are cloned: each has a copy of those of the source.</summary>
/// <param name="context">The store.</param>
/// <param name="source">The source's file; null when it has none, so that the clones begin with the template's.</param>
/// <param name="count">How many clones there are.</param>
internal sealed class FirmwareCopies(EngineContext context, string? source, int count)
{
    private readonly List<string> _locations = source is null ? [] : [.. Enumerable.Range(0, count).Select(_ => context.Storage.NewMemoryLocation(Guid.CreateVersion7()))];

    /// <summary>Writes down what will be made, in the transaction that begins the operation.</summary>
    public void Register(long operationId) => _locations.ForEach(l => context.Catalog.Pending.InsertFile(operationId, l));

    /// <summary>Makes the copies.</summary>
    public void Create() => _locations.ForEach(l => FirmwareFiles.Copy(context, source!, l));

    /// <summary>Gives a clone its copy. Part of the transaction that lets it be.</summary>
    public void Commit(int number, long vmId)
    {
        if (_locations.Count > 0) context.Catalog.Machines.SetFirmware(vmId, _locations[number]);
    }
}
