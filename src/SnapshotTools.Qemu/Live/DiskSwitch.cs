using System.Diagnostics;
using System.Text.Json.Nodes;
using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Blocks;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Live;

/// <summary>A disk of a running machine that is to write to a new head.</summary>
/// <param name="Present">The file that it writes to: an absolute path.</param>
/// <param name="Head">The new head: an empty qcow2 file of the disk's size.</param>
public sealed record DiskHead(string Present, ChainFile Head);

/// <summary>
/// Heads that a running QEMU has opened and does not use yet; <see cref="CommitAsync"/> lets all disks write to them from one
/// instant on. Disposed without that, they are closed again and nothing has changed.
/// </summary>
public sealed class DiskSwitch : IAsyncDisposable
{
    private sealed record Step(string CurrentNode, string CurrentPath, string NewPath, string Head, string HeadFile);

    private readonly QemuMachine _machine;
    private readonly List<Step> _steps = [];

    private DiskSwitch(QemuMachine machine) => _machine = machine;

    /// <summary>Whether the disks write to the new heads.</summary>
    public bool IsCommitted { get; private set; }

    /// <summary>The files that the disks write to until the switch.</summary>
    public IEnumerable<string> CurrentPaths => _steps.Select(s => s.CurrentPath);

    /// <summary>The files that they write to from the switch on.</summary>
    public IEnumerable<string> NewPaths => _steps.Select(s => s.NewPath);

    /// <summary>Opens the new heads beside the running disks. What an earlier session opened and left is closed first.</summary>
    /// <exception cref="QmpException">QEMU cannot open one of them; none stays open.</exception>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ComputeFailed"/>: no disk writes to one of the present files.</exception>
    public static async Task<DiskSwitch> PrepareAsync(QemuMachine machine, IReadOnlyList<DiskHead> heads, CancellationToken cancellation = default)
    {
        var graph = await BlockGraph.QueryAsync(machine, [.. heads.Select(h => h.Present)], cancellation).ConfigureAwait(false);
        await CloseLeftoversAsync(machine, graph, cancellation).ConfigureAwait(false);
        var prepared = new DiskSwitch(machine);
        try
        {
            foreach (var (present, head) in heads) await prepared.OpenAsync(graph, graph.DeviceOf(present), head, cancellation).ConfigureAwait(false);
            return prepared;
        }
        catch
        {
            await prepared.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// Writes the present heads' data from the page cache to disk, so that QEMU finds nothing to write in the pause. The guest
    /// does not notice; it is no part of the switch and may be left out.
    /// </summary>
    public void WriteOut(IFileSystem files) => Parallel.ForEach(CurrentPaths, path =>
    {
        try
        {
            using var file = files.Open(path, FileOpenMode.ReadFollowingLinks);
            file.Flush();
        }
        catch (IOException)
        {
            // QEMU's own flush is the one that counts and that fails the switch.
        }
    });

    /// <summary>Switches all disks in one QMP transaction.</summary>
    /// <returns>How long it took. The guest's I/O stood still no longer than that.</returns>
    /// <exception cref="QmpException">QEMU refused; no disk has changed.</exception>
    public async Task<TimeSpan> CommitAsync()
    {
        var actions = new JsonArray();
        foreach (var step in _steps)
        {
            var data = new JsonObject { ["node"] = step.CurrentNode, ["overlay"] = step.Head };
            actions.Add(new JsonObject { ["type"] = "blockdev-snapshot", ["data"] = data });
        }
        if (actions.Count == 0) return TimeSpan.Zero;
        long begun = Stopwatch.GetTimestamp();
        // Never cancelled: whether it happened must be known.
        await _machine.Monitor.ExecuteAsync("transaction", new JsonObject { ["actions"] = actions }, CancellationToken.None).ConfigureAwait(false);
        IsCommitted = true;
        LiveSteps.Reached("the disks are switched");
        return Stopwatch.GetElapsedTime(begun);
    }

    /// <summary>
    /// Takes a switch back: what has been written to the new heads since goes into the old ones, which are the heads again.
    /// After a switch with the guest standing still that is nothing, and it takes no time.
    /// </summary>
    public async Task UndoAsync()
    {
        if (!IsCommitted) return;
        foreach (var step in _steps)
        {
            await BlockJob.CommitActiveAsync(_machine, step.Head, step.CurrentNode, CancellationToken.None).ConfigureAwait(false);
        }
        IsCommitted = false;
    }

    /// <summary>Closes the new heads if they are not in use.</summary>
    public async ValueTask DisposeAsync()
    {
        if (IsCommitted) return;
        foreach (var step in _steps)
        {
            await TryCloseAsync(_machine, step.Head).ConfigureAwait(false);
            await TryCloseAsync(_machine, step.HeadFile).ConfigureAwait(false);
        }
        _steps.Clear();
    }

    private async Task OpenAsync(BlockGraph graph, BlockDevice device, ChainFile head, CancellationToken cancellation)
    {
        var current = graph.HeadOf(device.TopNode)!;
        var cache = current.BypassesPageCache ? BlockCache.Direct : BlockCache.WriteBack;
        var step = new Step(device.TopNode, current.Path, head.Path, NodeName.OfLayer(head.Path), NodeName.OfFile(head.Path));
        await _machine.Monitor.ExecuteAsync("blockdev-add", BlockDefinition.OfFile(head, cache), cancellation).ConfigureAwait(false);
        _steps.Add(step);
        await _machine.Monitor.ExecuteAsync("blockdev-add", BlockDefinition.OfFormat(head, backing: null, readOnly: false), cancellation).ConfigureAwait(false);
    }

    /// <summary>A session that was killed before its switch left open heads behind that nothing uses.</summary>
    private static async Task CloseLeftoversAsync(QemuMachine machine, BlockGraph graph, CancellationToken cancellation)
    {
        foreach (string node in graph.Nodes.Where(n => !graph.IsUsed(n) && NodeName.IsOurs(n)))
        {
            cancellation.ThrowIfCancellationRequested();
            await TryCloseAsync(machine, node).ConfigureAwait(false);
            if (graph.Below(node, "file") is { } file) await TryCloseAsync(machine, file).ConfigureAwait(false);
        }
    }

    /// <summary>Lets QEMU close a node that nothing uses.</summary>
    internal static async Task TryCloseAsync(QemuMachine machine, string node)
    {
        try
        {
            await machine.Monitor.ExecuteAsync("blockdev-del", new JsonObject { ["node-name"] = node }, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is QmpException or QmpDisconnectedException)
        {
            // It was never opened, or QEMU is gone and everything with it.
        }
    }
}
