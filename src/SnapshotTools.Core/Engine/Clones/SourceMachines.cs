using System.Diagnostics;
using System.Runtime.ExceptionServices;
using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.Clones;

/// <summary>The running machines that write to volumes which are about to be frozen.</summary>
internal sealed class SourceMachines : IDisposable
{
    private readonly Dictionary<long, IRunningMachine> _byVm = [];
    private readonly Dictionary<long, IRunningMachine> _byVolume = [];
    private readonly Dictionary<string, IRunningMachine> _byHead = new(StringComparer.Ordinal);

    public SourceMachines(EngineContext context, IReadOnlyList<VolumeRow> volumes)
    {
        try
        {
            Find(context, volumes);
        }
        catch
        {
            Dispose();   // a machine talks to one at a time
            throw;
        }
    }

    private void Find(EngineContext context, IReadOnlyList<VolumeRow> volumes)
    {
        foreach (var volume in volumes)
        {
            foreach (var attachment in context.Catalog.Machines.AllAttachmentsOf(volume.Id))
            {
                if (!_byVm.TryGetValue(attachment.VmId, out var machine))
                {
                    if (context.FindMachine(context.Catalog.Machines.Get(attachment.VmId)) is not { } found) continue;
                    _byVm.Add(attachment.VmId, machine = found);
                }
                _byVolume[volume.Id] = machine;
                _byHead[context.Storage.PathOf(context.Catalog.Layers.Get(volume.HeadId).File)] = machine;
                break;
            }
        }
    }

    /// <summary>Whether a running machine writes to the volume.</summary>
    public bool Has(VolumeRow volume) => _byVolume.ContainsKey(volume.Id);

    /// <summary>Lets all machines write to the new heads, from one instant on. Several machines stand still together for it.</summary>
    public void Switch(NewHeads heads, OperationRun run)
    {
        if (_byVolume.Count == 0) return;
        var prepared = new List<ILiveSwitch>();
        var standing = new List<IStandstill>();
        try
        {
            foreach (var group in heads.ForMachine().Where(h => _byHead.ContainsKey(h.PresentHead)).GroupBy(h => _byHead[h.PresentHead]))
                prepared.Add(group.Key.PrepareSwitch([.. group], run.Cancellation));
            if (_byVm.Count > 1)
                foreach (var machine in _byVm.Values.Where(m => m.State == VmState.Running)) standing.Add(machine.PrepareStandstill(run.Cancellation));
            run.Log("the hypervisor has opened the new heads");
            long begun = Stopwatch.GetTimestamp();
            foreach (var one in standing) one.Begin();
            if (standing.Count > 0) run.Log($"{standing.Count} guests stand");
            foreach (var one in prepared) one.Switch(null, null, run.Cancellation);
            run.Log($"all disks write to the new heads, after {Stopwatch.GetElapsedTime(begun).TotalMilliseconds:0.0} ms");
        }
        finally
        {
            DisposeAll([.. standing, .. prepared]);
        }
    }

    /// <summary>Every guest is set going, whatever became of the one before.</summary>
    private static void DisposeAll(IReadOnlyList<IDisposable> things)
    {
        Exception? first = null;
        foreach (var one in things)
        {
            try
            {
                one.Dispose();
            }
            catch (Exception error) when (error is SnapshotException or IOException)
            {
                first ??= error;
            }
        }
        if (first is not null) ExceptionDispatchInfo.Throw(first);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var machine in _byVm.Values) machine.Dispose();
    }
}
