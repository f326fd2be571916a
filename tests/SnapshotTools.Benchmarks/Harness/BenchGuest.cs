using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using SnapshotTools.Core;
using SnapshotTools.Guest;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Blocks;
using SnapshotTools.Qemu.Launch;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Machines;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>A real guest with disks, whose pauses are measured by the host's clock and by the guest's signs of life.</summary>
internal sealed class BenchGuest : IDisposable
{
    private const int DiskMiB = 256, BootSeconds = 240, LimitSeconds = 600;
    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(100);

    private readonly string _folder;
    private readonly QemuLauncher _launcher;
    private readonly MachineSpec _spec;
    private readonly GuestLimit _limit;
    private GuestShell? _shell;
    private GuestTicks? _ticks;
    private int _files;

    public BenchGuest(string folder, int disks, int memoryMiB)
    {
        RowRun.Require(GuestKit.Tools);
        // Sockets have short names only.
        _folder = Directory.CreateTempSubdirectory("st-bench-").FullName;
        Folder = Directory.CreateDirectory(Path.Combine(folder, "disks")).FullName;
        _launcher = new QemuLauncher(SystemFiles.Instance, runRoot: Path.Combine(_folder, "run"));
        _limit = new GuestLimit(Path.Combine(_folder, "run"), LimitSeconds);
        _spec = new MachineSpec
        {
            Id = Guid.NewGuid(),
            Name = "bench",
            MemoryBytes = (long)memoryMiB << 20,
            Kernel = GuestKit.Instance.Kernel,
            Initrd = GuestKit.Instance.Initrd,
            KernelCommandLine = GuestKit.KernelCommandLine,
            Disks = [.. Enumerable.Range(0, disks).Select(slot => new DiskSpec { Slot = slot, Layers = [new ChainFile(Images.Create(NewFile(), (long)DiskMiB << 20), LayerFormat.Qcow2)] })],
            ExtraArguments = GuestPorts.Arguments(_folder),
        };
        try
        {
            Boot();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public QemuMachine Machine { get; private set; } = null!;

    /// <summary>Where the disks are.</summary>
    public string Folder { get; }

    public string NewFile() => Path.Combine(Folder, string.Create(CultureInfo.InvariantCulture, $"{++_files}.qcow2"));

    /// <summary>Runs a line of shell in the guest.</summary>
    public string Shell(string line, int seconds = 120) => _shell!.RunAsync(line, seconds).GetAwaiter().GetResult();

    /// <summary>Every disk is written to and synced without a break from now on.</summary>
    public void StartLoad()
    {
        for (int i = 0; i < _spec.Disks.Count; i++)
            Shell($"(while :; do dd if=/dev/zero of=/dev/vd{(char)('a' + i)} bs=64k count=16 conv=notrunc,fsync 2>/dev/null; done) >/dev/null 2>&1 &");
    }

    /// <summary>Lets the guest fill so much of its memory with what does not compress.</summary>
    public void FillMemory(int mebibytes) => Shell($"mkdir -p /fill && mount -t tmpfs -o size=90% fill /fill && dd if=/dev/urandom of=/run/noise bs=1M count={Math.Min(mebibytes, 16)} 2>/dev/null; for i in $(seq {mebibytes / 16}); do cat /run/noise; done >/fill/data", 240);

    /// <summary>The node that each disk writes to.</summary>
    public string[] TopNodes()
    {
        var graph = Wait(BlockGraph.QueryAsync(Machine));
        return [.. _spec.Disks.Select(d => graph.FindDevice(d.DeviceId)!.TopNode)];
    }

    /// <summary>New heads made and opened by us, not yet switched to.</summary>
    public DiskSwitch Prepare()
    {
        var graph = Wait(BlockGraph.QueryAsync(Machine));
        var heads = _spec.Disks.Select(d =>
        {
            var device = graph.FindDevice(d.DeviceId)!;
            string below = graph.LayersOf(device.TopNode)[0].Path;
            return new DiskHead(device, new ChainFile(Images.Create(NewFile(), (long)DiskMiB << 20, backing: below), LayerFormat.Qcow2));
        }).ToArray();
        return Wait(DiskSwitch.PrepareAsync(Machine, heads));
    }

    public JsonElement Qmp(string command, JsonObject? arguments = null) => Wait(Machine.Monitor.ExecuteAsync(command, arguments));

    /// <summary>Does something to the guest; gives for how long the guest showed no sign of life around it.</summary>
    public double GapAround(Action work)
    {
        Thread.Sleep(Settle);
        _ticks!.Take();
        work();
        Thread.Sleep(Settle);
        return _ticks.Take().Gap.TotalSeconds;
    }

    public void Dispose()
    {
        _ticks?.Dispose();
        _shell?.Dispose();
        if (Machine is not null) Machine.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _limit.KillAll();
        if (_launcher.FolderOf(_spec.Id).Load() is { } record) Wait(record.Process.WaitForExitAsync(TimeSpan.FromSeconds(10)));
        _limit.Dispose();
        Directory.Delete(_folder, recursive: true);
        Directory.Delete(Folder, recursive: true);
    }

    public static T Wait<T>(Task<T> task) => task.GetAwaiter().GetResult();

    private void Boot()
    {
        Machine = Wait(_launcher.StartAsync(_spec));
        _shell = Wait(GuestShell.ConnectAsync(GuestPorts.Shell(_folder), BootSeconds));
        _ticks = new GuestTicks(GuestPorts.Ticks(_folder));
        Shell("workload ticks /dev/virtio-ports/ticks >/dev/null 2>&1 &");
        var clock = Stopwatch.StartNew();
        while (_ticks.Take().Ticks == 0 && clock.Elapsed.TotalSeconds < 30) Thread.Sleep(Settle);
    }
}
