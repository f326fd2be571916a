using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Live;

/// <summary>How far a block job is.</summary>
/// <param name="DoneBytes">What it has gone through.</param>
/// <param name="TotalBytes">What it has to go through, as far as it knows now.</param>
public readonly record struct BlockJobProgress(long DoneBytes, long TotalBytes);

/// <summary>A block job was asked for and ended in an error.</summary>
public sealed class BlockJobException(string what, string reason) : IOException($"{what} failed: {reason}");

/// <summary>
/// Long work that QEMU does on the disks of a running guest: merging layers and filling copies. Cancelling the call cancels
/// the job, which leaves the disk reading as before.
/// </summary>
public static class BlockJob
{
    private const string Prefix = "snapshottools-";
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan CancelLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StallLimit = TimeSpan.FromMinutes(2);

    /// <summary>
    /// Copies the data of layers between <paramref name="node"/> and <paramref name="baseNode"/> up into the node, which then
    /// lies on the base; the layers between are no longer used. (block-stream)
    /// </summary>
    /// <param name="machine">The machine.</param>
    /// <param name="node">The node that takes the data; the top of a disk or any layer below.</param>
    /// <param name="baseNode">The node that stays under it; null copies all.</param>
    /// <param name="baseName">What the image is to name as its backing file afterwards; null leaves it to QEMU.</param>
    /// <param name="bytesPerSecond">The throttle; 0 is none.</param>
    /// <param name="progress">Told how far it is.</param>
    /// <param name="cancellation">Cancels the job.</param>
    public static Task StreamAsync(
        QemuMachine machine, string node, string? baseNode, string? baseName, long bytesPerSecond = 0,
        IProgress<BlockJobProgress>? progress = null, CancellationToken cancellation = default)
    {
        var arguments = new JsonObject { ["device"] = node, ["speed"] = bytesPerSecond };
        if (baseNode is not null) arguments["base-node"] = baseNode;
        if (baseName is not null) arguments["backing-file"] = baseName;
        return RunAsync(machine, "block-stream", arguments, complete: false, progress, cancellation);
    }

    /// <summary>
    /// Copies the data of a layer that is not the top of a disk, and of those between, down into <paramref name="baseNode"/>,
    /// which takes their place. (block-commit)
    /// </summary>
    /// <param name="machine">The machine.</param>
    /// <param name="device">The top node of the disk.</param>
    /// <param name="topNode">The uppermost layer that goes.</param>
    /// <param name="baseNode">The layer that takes the data.</param>
    /// <param name="baseName">What the layer above is to name as its backing file afterwards; null leaves it to QEMU.</param>
    /// <param name="bytesPerSecond">The throttle; 0 is none.</param>
    /// <param name="progress">Told how far it is.</param>
    /// <param name="cancellation">Cancels the job.</param>
    public static Task CommitAsync(
        QemuMachine machine, string device, string topNode, string baseNode, string? baseName, long bytesPerSecond = 0,
        IProgress<BlockJobProgress>? progress = null, CancellationToken cancellation = default)
    {
        var arguments = new JsonObject { ["device"] = device, ["top-node"] = topNode, ["base-node"] = baseNode, ["speed"] = bytesPerSecond };
        if (baseName is not null) arguments["backing-file"] = baseName;
        return RunAsync(machine, "block-commit", arguments, complete: false, progress, cancellation);
    }

    /// <summary>Copies the data of a disk's top layer down into a layer below, which the disk writes to from then on. (active block-commit)</summary>
    public static Task CommitActiveAsync(
        QemuMachine machine, string device, string baseNode, CancellationToken cancellation, long bytesPerSecond = 0, IProgress<BlockJobProgress>? progress = null)
    {
        var arguments = new JsonObject { ["device"] = device, ["base-node"] = baseNode, ["speed"] = bytesPerSecond };
        return RunAsync(machine, "block-commit", arguments, complete: true, progress, cancellation);
    }

    /// <summary>Copies what a node reads into another open node, of one instant: the beginning of the job. (blockdev-backup)</summary>
    public static Task BackupAsync(
        QemuMachine machine, string node, string targetNode, long bytesPerSecond = 0, IProgress<BlockJobProgress>? progress = null, CancellationToken cancellation = default)
    {
        var arguments = new JsonObject { ["device"] = node, ["target"] = targetNode, ["sync"] = "full", ["speed"] = bytesPerSecond };
        return RunAsync(machine, "blockdev-backup", arguments, complete: false, progress, cancellation);
    }

    /// <summary>Copies a disk into another open node, writes made meanwhile too, and lets the disk go on with the copy. (blockdev-mirror)</summary>
    public static Task MirrorAsync(
        QemuMachine machine, string node, string targetNode, bool topOnly, long bytesPerSecond = 0,
        IProgress<BlockJobProgress>? progress = null, CancellationToken cancellation = default)
    {
        var arguments = new JsonObject { ["device"] = node, ["target"] = targetNode, ["sync"] = topOnly ? "top" : "full", ["speed"] = bytesPerSecond };
        return RunAsync(machine, "blockdev-mirror", arguments, complete: true, progress, cancellation);
    }

    /// <summary>Ends the jobs that were begun here by a session that is gone, and forgets those that have ended.</summary>
    public static async Task EndAbandonedAsync(QemuMachine machine)
    {
        var jobs = await machine.Monitor.ExecuteAsync("query-jobs", cancellation: CancellationToken.None).ConfigureAwait(false);
        foreach (string id in jobs.ItemsOf().Select(j => j.TextOf("id") ?? "").Where(id => id.StartsWith(Prefix, StringComparison.Ordinal)).ToArray())
        {
            using var limit = new CancellationTokenSource(CancelLimit);
            using var watch = machine.Monitor.Watch("JOB_STATUS_CHANGE");
            if (await StatusOfAsync(machine, id).ConfigureAwait(false) is { Status: not "concluded" })
                await TryAsync(machine, "job-cancel", id).ConfigureAwait(false);
            await WaitForAsync(machine, watch, id, null, ["concluded"], limit.Token).ConfigureAwait(false);
            await TryAsync(machine, "job-dismiss", id).ConfigureAwait(false);
        }
    }

    /// <summary>It may have ended just now.</summary>
    private static async Task TryAsync(QemuMachine machine, string command, string id)
    {
        try
        {
            await machine.Monitor.ExecuteAsync(command, IdOf(id), CancellationToken.None).ConfigureAwait(false);
        }
        catch (QmpException)
        {
        }
    }

    private static async Task RunAsync(
        QemuMachine machine, string command, JsonObject arguments, bool complete, IProgress<BlockJobProgress>? progress, CancellationToken cancellation)
    {
        string id = Prefix + Guid.NewGuid().ToString("N");
        arguments["job-id"] = id;
        arguments["auto-dismiss"] = false;  // so that its end can be asked for, not only listened for
        using var watch = machine.Monitor.Watch("JOB_STATUS_CHANGE");
        cancellation.ThrowIfCancellationRequested();
        // Not cancelled: whether the job runs must be known.
        await machine.Monitor.ExecuteAsync(command, arguments, CancellationToken.None).ConfigureAwait(false);
        try
        {
            if (complete)
            {
                await WaitForAsync(machine, watch, id, progress, ["ready", "concluded"], cancellation).ConfigureAwait(false);
                if (await StatusOfAsync(machine, id).ConfigureAwait(false) is { Status: "ready" })
                    await machine.Monitor.ExecuteAsync("job-complete", IdOf(id), CancellationToken.None).ConfigureAwait(false);
            }
            // From job-complete on there is no way back, so there is no cancelling either.
            await WaitForAsync(machine, watch, id, progress, ["concluded"], complete ? CancellationToken.None : cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            await TryAsync(machine, "job-cancel", id).ConfigureAwait(false);
            using var limit = new CancellationTokenSource(CancelLimit);
            await WaitForAsync(machine, watch, id, null, ["concluded"], limit.Token).ConfigureAwait(false);
            await machine.Monitor.ExecuteAsync("job-dismiss", IdOf(id), CancellationToken.None).ConfigureAwait(false);
            throw;
        }
        var end = await StatusOfAsync(machine, id).ConfigureAwait(false);
        await machine.Monitor.ExecuteAsync("job-dismiss", IdOf(id), CancellationToken.None).ConfigureAwait(false);
        if (end?.Error is { } error) throw new BlockJobException($"'{command}'", error);
    }

    private static async Task WaitForAsync(
        QemuMachine machine, QmpEventWatch watch, string id, IProgress<BlockJobProgress>? progress, string[] states, CancellationToken cancellation)
    {
        JobStatus? seen = null;
        long since = Stopwatch.GetTimestamp();
        while (true)
        {
            var status = await StatusOfAsync(machine, id).ConfigureAwait(false);
            if (status is null || states.Contains(status.Status)) return;
            if (status != seen) (seen, since) = (status, Stopwatch.GetTimestamp());
            else if (Stopwatch.GetElapsedTime(since) > StallLimit)
                throw new BlockJobException($"Job '{id}'", $"nothing moved for {StallLimit.TotalSeconds:0} s (state '{status.Status}')");
            progress?.Report(status.Progress);
            using var interval = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            interval.CancelAfter(ProgressInterval);
            try
            {
                await watch.NextAsync(e => e.Data.TextOf("id") == id && states.Contains(e.Data.TextOf("status")), interval.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                // Time for a look at the progress.
            }
        }
    }

    private sealed record JobStatus(string Status, BlockJobProgress Progress, string? Error);

    private static async Task<JobStatus?> StatusOfAsync(QemuMachine machine, string id)
    {
        var jobs = await machine.Monitor.ExecuteAsync("query-jobs", cancellation: CancellationToken.None).ConfigureAwait(false);
        var job = jobs.ItemsOf().FirstOrDefault(j => j.TextOf("id") == id);
        return job.ValueKind == JsonValueKind.Undefined ? null : new JobStatus(
            job.TextOf("status") ?? "", new BlockJobProgress(job.NumberOf("current-progress") ?? 0, job.NumberOf("total-progress") ?? 0), job.TextOf("error"));
    }

    private static JsonObject IdOf(string id) => new() { ["id"] = id };
}
