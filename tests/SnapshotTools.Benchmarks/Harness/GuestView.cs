using System.Diagnostics;
using SnapshotTools.Guest;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>A booted guest through its own two ports: its shell, and its signs of life. Whoever started it does not matter.</summary>
internal sealed class GuestView : IDisposable
{
    private const int BootSeconds = 240, TicksSeconds = 30;
    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(100);

    private readonly GuestShell _shell;
    private readonly GuestTicks _ticks;

    /// <summary>Connects to the ports in a folder and waits for the guest.</summary>
    /// <param name="folder">The folder of the sockets.</param>
    /// <param name="isTicking">Whether the guest gives signs of life already, as one that was restored does.</param>
    public GuestView(string folder, bool isTicking = false)
    {
        _shell = BenchGuest.Wait(GuestShell.ConnectAsync(GuestPorts.Shell(folder), BootSeconds));
        _ticks = new GuestTicks(GuestPorts.Ticks(folder));
        if (!isTicking) Shell("workload ticks /dev/virtio-ports/ticks >/dev/null 2>&1 &");
        WaitForTicks();
    }

    /// <summary>Runs a line of shell in the guest.</summary>
    public string Shell(string line, int seconds = 120) => BenchGuest.Wait(_shell.RunAsync(line, seconds));

    /// <summary>So many disks are written to and synced without a break from now on.</summary>
    public void StartLoad(int disks)
    {
        for (int i = 0; i < disks; i++)
            Shell($"(while :; do dd if=/dev/zero of=/dev/vd{(char)('a' + i)} bs=64k count=16 conv=notrunc,fsync 2>/dev/null; done) >/dev/null 2>&1 &");
    }

    /// <summary>Lets the guest fill so much of its memory with what does not compress.</summary>
    public void FillMemory(int mebibytes) => Shell($"mkdir -p /fill && mount -t tmpfs -o size=90% fill /fill && dd if=/dev/urandom of=/run/noise bs=1M count={Math.Min(mebibytes, 16)} 2>/dev/null; for i in $(seq {mebibytes / 16}); do cat /run/noise; done >/fill/data", 240);

    /// <summary>Does something to the guest; gives for how long the guest showed no sign of life around it, in seconds.</summary>
    public double GapAround(Action work)
    {
        WaitForTicks();
        work();
        Thread.Sleep(Settle);
        return _ticks.Take().Gap.TotalSeconds;
    }

    /// <summary>The same for what ends with the guest gone: from its last sign of life until then.</summary>
    public double LostBy(Action work)
    {
        WaitForTicks();
        work();
        return _ticks.Take().Gap.TotalSeconds;
    }

    /// <summary>Does something to the guest while it gives no signs of life: sending and receiving them takes a third to a half of a processor.</summary>
    public void Quietly(Action work)
    {
        Shell("killall -STOP workload");
        work();
        Shell("killall -CONT workload");
    }

    public void Dispose()
    {
        _ticks.Dispose();
        _shell.Dispose();
    }

    private void WaitForTicks()
    {
        var clock = Stopwatch.StartNew();
        do Thread.Sleep(Settle);
        while (_ticks.Take().Ticks == 0 && clock.Elapsed.TotalSeconds < TicksSeconds);
    }
}
