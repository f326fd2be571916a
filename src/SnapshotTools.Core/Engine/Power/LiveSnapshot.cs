using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Power;

/// <summary>The part of a snapshot that happens in the hypervisor: freeze, switch, memory, thaw.</summary>
internal sealed class LiveSnapshot(EngineContext context, string vm, NewSnapshotRequest request, OperationRun run)
{
    private static readonly TimeSpan FreezeLimit = TimeSpan.FromSeconds(10);

    /// <summary>Lets a running machine write to the new heads; gives the snapshot with what was achieved.</summary>
    public VmSnapshotRow Take(IRunningMachine machine, NewHeads heads, VmSnapshotRow snapshot, string? memory)
    {
        using var prepared = machine.PrepareSwitch(heads.ForMachine(), run.Cancellation);
        run.Log("the hypervisor has opened the new heads");
        LiveSwitchResult result;
        bool isFrozen;
        using (run.BeginPoint())
        using (var frozen = Freeze(machine))
        {
            isFrozen = frozen is not null;
            result = prepared.Switch(memory is null ? null : context.Storage.PathOf(memory), request.MaxPause, run.Cancellation);
        }
        run.Log($"all disks write to the new heads; the guest stood still for {result.Pause.TotalMilliseconds:0.0} ms");
        if (request.MaxPause is { } limit && memory is null && result.Pause > limit)
            run.Options.Warn?.Invoke($"VM '{vm}': The guest stood still for {result.Pause.TotalMilliseconds:0} ms, longer than the {limit.TotalMilliseconds:0} ms allowed: its disks took longer to switch than to write out right before. The snapshot is taken.");
        long memoryBytes = result.Memory?.GetAwaiter().GetResult() ?? 0;
        if (memory is not null) run.Log($"the memory is durable: {ByteSize.Format(memoryBytes)}, saved {result.MemoryMethod}");
        return snapshot with
        {
            Pause = result.Pause,
            Memory = memory,
            MemoryBytes = memoryBytes,
            Consistency = memory is not null ? SnapshotConsistency.Memory : isFrozen ? SnapshotConsistency.FileSystem : SnapshotConsistency.Crash,
        };
    }

    private IDisposable? Freeze(IRunningMachine machine)
    {
        if (request.Freeze == FileSystemFreeze.No) return null;
        try
        {
            var frozen = machine.FreezeFileSystems(FreezeLimit, run.Cancellation);
            run.Log("the guest's file systems are frozen");
            return frozen;
        }
        catch (SnapshotException error) when (error.ErrorId == ErrorIds.ConsistencyNotAvailable && request.Freeze == FileSystemFreeze.Preferred)
        {
            run.Options.Warn?.Invoke($"VM '{vm}': {error.Message} The snapshot is taken crash-consistent instead.");
            return null;
        }
    }
}
