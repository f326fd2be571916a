using System.Diagnostics;
using System.Globalization;
using System.IO.Pipes;
using System.Text.Json.Nodes;
using Microsoft.Win32.SafeHandles;
using SnapshotTools.Qemu.Launch;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Memory;

/// <summary>QEMU could not save or load a machine's memory.</summary>
public class MigrationException(string message, Exception? cause = null) : IOException(message, cause);

/// <summary>A guest that was stopped for its memory to be saved could not be set going again.</summary>
/// <param name="why">Why it does not go.</param>
/// <param name="failure">What failed before that; null when nothing did.</param>
public sealed class GuestStandsException(Exception why, Exception? failure = null) : MigrationException(
    $"{(failure is null ? "" : failure.Message + " ")}The guest stands, and could not be set going again: {(why as QmpException)?.Description ?? why.Message} - let it go on with Resume-VmInstance.", failure ?? why);

/// <summary>QEMU's migration, as saving to and loading from a pipe uses it.</summary>
internal sealed class Migration(QemuMachine machine)
{
    private const string FileName = "snapshottools-memory";
    private const int PipeBytes = 1 << 20;
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan CancelLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PrepareLimit = TimeSpan.FromSeconds(5);
    private const int LooksPerQuestion = 100;
    private const string WritingToPipe = "pipe_w";  // pipe_write, anon_pipe_write or, before Linux 5.5, pipe_wait
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(20);

    /// <summary>So long nothing may move before a migration is given up.</summary>
    public static readonly TimeSpan StallLimit = TimeSpan.FromSeconds(30);

    public const string BackgroundSnapshot = "background-snapshot";
    public const string PauseBeforeSwitchover = "pause-before-switchover";

    private QmpClient Monitor => machine.Monitor;

    /// <summary>Turns on what is named and turns off what of ours is not; events always.</summary>
    /// <exception cref="QmpException">This QEMU, kernel or machine cannot do it.</exception>
    public Task SetCapabilitiesAsync(string? capability, CancellationToken cancellation) =>
        Monitor.ExecuteAsync("migrate-set-capabilities", new JsonObject
        {
            ["capabilities"] = new JsonArray(
                Capability("events", true),
                Capability(BackgroundSnapshot, capability == BackgroundSnapshot),
                Capability(PauseBeforeSwitchover, capability == PauseBeforeSwitchover)),
        }, cancellation);

    /// <summary>As fast as the reader takes it; the guest may stand for so long at the end.</summary>
    public Task SetParametersAsync(TimeSpan downtime, CancellationToken cancellation) =>
        Monitor.ExecuteAsync("migrate-set-parameters", new JsonObject
        {
            ["max-bandwidth"] = 1L << 40,
            ["downtime-limit"] = (long)Math.Clamp(downtime.TotalMilliseconds, 1, 2_000_000),
        }, cancellation);

    /// <summary>A pipe whose writing end QEMU has under a name, and the address that names it.</summary>
    /// <param name="isFull">Whether QEMU is to wait with its first words: it has prepared everything by then, and the guest runs.</param>
    /// <param name="cancellation">Gives up.</param>
    public async Task<(SavingPipe Pipe, string Address)> OpenForSavingAsync(bool isFull, CancellationToken cancellation)
    {
        var pipe = new SavingPipe(isFull);
        return (pipe, await GiveAsync(pipe, pipe.Writer, pipe.CloseWriter, cancellation).ConfigureAwait(false));
    }

    /// <summary>
    /// Waits until a thread of QEMU waits to write into a pipe, as it does into one that is full when everything is prepared. Where the
    /// system does not tell what threads wait for, there is no waiting; nothing depends on it but how long the guest will stand.
    /// </summary>
    public async Task WaitUntilPreparedAsync(CancellationToken cancellation)
    {
        long begun = Stopwatch.GetTimestamp();
        for (int look = 1; machine.Process is { } process && ThreadsIn(process, WritingToPipe) == 0 && Stopwatch.GetElapsedTime(begun) < PrepareLimit; look++)
        {
            if (look % LooksPerQuestion == 0 && (await QueryAsync(cancellation).ConfigureAwait(false)).Status != "setup") return;
            await Task.Delay(1, cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>A pipe whose reading end QEMU has under a name, and the address that names it.</summary>
    public async Task<(AnonymousPipeServerStream Writer, string Address)> OpenForLoadingAsync(CancellationToken cancellation)
    {
        var writer = new AnonymousPipeServerStream(PipeDirection.Out, HandleInheritability.None, PipeBytes);
        return (writer, await GiveAsync(writer, writer.ClientSafePipeHandle, writer.DisposeLocalCopyOfClientHandle, cancellation).ConfigureAwait(false));
    }

    /// <summary>Gives QEMU its end of a pipe, of which we keep no copy; the address that names it. Without success the pipe is closed.</summary>
    private async Task<string> GiveAsync(IAsyncDisposable pipe, SafePipeHandle end, Action closeCopy, CancellationToken cancellation)
    {
        try
        {
            await Monitor.PassFileAsync(FileName, end, cancellation).ConfigureAwait(false);
            closeCopy();
            return "fd:" + FileName;
        }
        catch
        {
            await pipe.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Takes back a pipe's end that QEMU did not use.</summary>
    public async Task ForgetPipeAsync()
    {
        try
        {
            await Monitor.ExecuteAsync("closefd", new JsonObject { ["fdname"] = FileName }, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is QmpException or QmpDisconnectedException)
        {
        }
    }

    public Task StartAsync(string address) => Monitor.ExecuteAsync("migrate", new JsonObject { ["uri"] = address }, CancellationToken.None);

    /// <summary>Ends a migration that runs and waits until it has ended; whatever it was, the guest can go on.</summary>
    /// <exception cref="MigrationException">QEMU does not let go of it.</exception>
    public async Task CancelAsync()
    {
        long begun = Stopwatch.GetTimestamp();
        var cancelling = Monitor.ExecuteAsync("migrate_cancel", cancellation: CancellationToken.None);
        while (true)
        {
            if (Stopwatch.GetElapsedTime(begun) > CancelLimit)
                throw new MigrationException($"QEMU did not end the saving of its memory within {CancelLimit.TotalSeconds:0} s.");
            try
            {
                await cancelling.WaitAsync(Patience).ConfigureAwait(false);
                if ((await QueryAsync(CancellationToken.None).WaitAsync(Patience).ConfigureAwait(false)) is { IsOver: true } or { Status: "none" }) break;
                await Task.Delay(Patience / 20).ConfigureAwait(false);
            }
            catch (TimeoutException)
            {
                // QEMU itself may stand at a protected page.
                ReleasePages();
            }
        }
        ReleasePages();
    }

    /// <summary>Takes away what write protection a background snapshot that has ended may have left.</summary>
    public void ReleasePages()
    {
        if (machine.Process is { } process) WriteProtection.Release(process);
    }

    /// <summary>How far it is.</summary>
    public async Task<MigrationStatus> QueryAsync(CancellationToken cancellation)
    {
        var answer = await Monitor.ExecuteAsync("query-migrate", cancellation: cancellation).ConfigureAwait(false);
        var ram = answer.MemberOf("ram") ?? default;
        return new MigrationStatus(
            answer.TextOf("status") ?? "none", answer.TextOf("error-desc"),
            (ram.NumberOf("normal") ?? 0) + (ram.NumberOf("duplicate") ?? 0), ram.NumberOf("dirty-sync-count") ?? 0);
    }

    /// <summary>Waits until it has completed.</summary>
    /// <param name="watch">Sees the event MIGRATION.</param>
    /// <param name="moved">Bytes that have gone through the pipe, by which it is seen whether anything still moves; null where QEMU tells.</param>
    /// <param name="cancellation">Gives up waiting.</param>
    /// <exception cref="MigrationException">It failed or was cancelled; with QEMU's words. Or nothing moved for <see cref="StallLimit"/>.</exception>
    public async Task WaitForCompletionAsync(QmpEventWatch watch, Func<long>? moved, CancellationToken cancellation)
    {
        (string, long, long) seen = default;
        long since = Stopwatch.GetTimestamp();
        while (true)
        {
            var status = await QueryAsync(cancellation).ConfigureAwait(false);
            if (status.Status == "completed") return;
            if (status.IsOver) throw new MigrationException($"QEMU did not go through with the memory ({status.Status}): {status.Error ?? "no reason given"}.");
            var now = (status.Status, status.Pages, moved?.Invoke() ?? 0);
            if (now != seen) (seen, since) = (now, Stopwatch.GetTimestamp());
            else if (Stopwatch.GetElapsedTime(since) > StallLimit)
                throw new MigrationException($"QEMU did not go on with the memory for {StallLimit.TotalSeconds:0} s (state '{status.Status}').");
            using var look = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            look.CancelAfter(LookInterval);
            try
            {
                await watch.NextAsync(e => e.Name == "MIGRATION", look.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                // Time to see whether it still moves.
            }
        }
    }

    /// <summary>
    /// Whether changed pages are tracked by the processor. QEMU 7.2's own translation (TCG) misses stores while pages are saved: of guests
    /// under load that were saved so, every second one crashed when it went on. What the guest does not change meanwhile is sound.
    /// </summary>
    public async Task<bool> IsTrackingSoundAsync(CancellationToken cancellation) =>
        (await Monitor.ExecuteAsync("query-kvm", cancellation: cancellation).ConfigureAwait(false)).FlagOf("enabled") == true;

    /// <summary>Waits until the pipe is read to its end, which QEMU makes when it lets go of it; if it does not, nobody waits for it.</summary>
    public static async Task DrainAsync(Task saving)
    {
        try
        {
            await saving.WaitAsync(DrainLimit).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Why the checkpoint failed is told by what brought the caller here.
        }
    }

    /// <summary>How many threads of a process wait at a place in the kernel (proc(5), wchan); null where that is not told.</summary>
    private static int? ThreadsIn(ProcessIdentity process, string place)
    {
        try
        {
            string[] places = [.. Directory.EnumerateDirectories(string.Create(CultureInfo.InvariantCulture, $"/proc/{process.Id}/task")).Select(t => File.ReadAllText(t + "/wchan"))];
            return places.All(p => p is "0" or "") ? null : places.Count(p => p.Contains(place, StringComparison.Ordinal));
        }
        catch (IOException)
        {
            return 0;   // a thread ended meanwhile
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static JsonObject Capability(string name, bool on) => new() { ["capability"] = name, ["state"] = on };
}

/// <summary>How far a migration is.</summary>
/// <param name="Status">QEMU's MigrationStatus.</param>
/// <param name="Error">Why it failed.</param>
/// <param name="Pages">Pages that have been sent.</param>
/// <param name="Rounds">How often the memory was gone through.</param>
internal sealed record MigrationStatus(string Status, string? Error, long Pages, long Rounds)
{
    public bool IsOver => Status is "completed" or "failed" or "cancelled";
}
