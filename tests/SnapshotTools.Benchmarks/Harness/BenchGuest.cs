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
    public const int DiskMiB = 256, LimitSeconds = 600;

    private readonly string _folder;
    private readonly QemuLauncher _launcher;
    private readonly MachineSpec _spec;
    private readonly GuestLimit _limit;
    private GuestView? _view;
    private string[] _heads;
    private int _files;

    public BenchGuest(string folder, int disks, int memoryMiB)
    {
        RowRun.Require(GuestKit.Tools);
        // Sockets have short names only.
        _folder = Directory.CreateTempSubdirectory("st-bench-").FullName;
        Folder = Directory.CreateDirectory(Path.Combine(folder, "disks")).FullName;
        _launcher = new QemuLauncher(SystemFiles.Instance, runRoot: Path.Combine(_folder, "run"));
        _heads = [.. Enumerable.Range(0, disks).Select(_ => Images.Create(NewFile(), (long)DiskMiB << 20))];
        _limit = new GuestLimit(Path.Combine(_folder, "run"), LimitSeconds);
        _spec = new MachineSpec
        {
            Id = Guid.NewGuid(),
            Name = "bench",
            MemoryBytes = (long)memoryMiB << 20,
            Kernel = GuestKit.Instance.Kernel,
            Initrd = GuestKit.Instance.Initrd,
            KernelCommandLine = GuestKit.KernelCommandLine,
            Disks = [.. _heads.Select((head, slot) => new DiskSpec { Slot = slot, Layers = [new ChainFile(head, LayerFormat.Qcow2)] })],
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

    /// <summary>The guest through its own ports.</summary>
    public GuestView View => _view!;

    /// <summary>The node that each disk writes to. Every contender names it as we do, as it is in use.</summary>
    public string[] TopNodes() => [.. _heads.Select(NodeName.OfLayer)];

    /// <summary>Files that the disks are about to write to.</summary>
    public string[] NewHeads(Func<string, string> make) => _heads = [.. _heads.Select(make)];

    /// <summary>New heads made and opened by us; whoever asks for them switches to them.</summary>
    public DiskSwitch Prepare()
    {
        string[] present = _heads;
        return Wait(DiskSwitch.PrepareAsync(Machine, [.. present.Zip(NewHeads(MakeHead), (below, head) => new DiskHead(below, new ChainFile(head, LayerFormat.Qcow2)))]));
    }

    /// <summary>An empty image over another.</summary>
    public string MakeHead(string below) => Images.Create(NewFile(), (long)DiskMiB << 20, backing: below);

    public JsonElement Qmp(string command, JsonObject? arguments = null) => Wait(Machine.Monitor.ExecuteAsync(command, arguments));

    public void Dispose()
    {
        _view?.Dispose();
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
        _view = new GuestView(_folder);
    }
}
