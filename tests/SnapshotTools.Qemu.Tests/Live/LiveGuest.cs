using SnapshotTools.Core;
using SnapshotTools.Guest;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Blocks;
using SnapshotTools.Qemu.Launch;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Testing;

namespace SnapshotTools.Qemu.Tests.Live;

/// <summary>A real guest on a real QEMU with disks of its own, all gone at the end.</summary>
internal sealed class LiveGuest : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly List<GuestShell> _shells = [];
    private readonly GuestLimit _limit;

    public LiveGuest(int disks = 0, int memoryMiB = 160, bool withAgent = false, DiskBus bus = DiskBus.Virtio, string machineType = "q35")
    {
        Launcher = new QemuLauncher(SystemFiles.Instance, runRoot: _folder.File("run"));
        _limit = new GuestLimit(_folder.File("run"));
        Spec = new MachineSpec
        {
            Id = Guid.NewGuid(),
            Name = "web,01",
            MemoryBytes = (long)memoryMiB << 20,
            MachineType = machineType,
            Accelerator = Accelerator.Tcg,
            Kernel = GuestKit.Instance.Kernel,
            Initrd = withAgent ? GuestKit.Instance.InitrdWithAgent : GuestKit.Instance.Initrd,
            KernelCommandLine = GuestKit.KernelCommandLine,
            Disks = [.. Enumerable.Range(0, disks).Select(slot => new DiskSpec { Slot = slot, Bus = bus, Layers = [NewDisk(slot)], Serial = $"serial-{slot}" })],
            ExtraArguments = GuestPorts.Arguments(_folder.Path),
        };
    }

    public QemuLauncher Launcher { get; }

    public MachineSpec Spec { get; set; }

    public QemuMachine Machine { get; private set; } = null!;

    public GuestShell Shell { get; private set; } = null!;

    public string File(string name) => _folder.File(name);

    /// <summary>Starts the machine and waits for the guest's shell.</summary>
    public async Task<LiveGuest> BootAsync()
    {
        await StartAsync();
        await ConnectShellAsync();
        return this;
    }

    public async Task<QemuMachine> StartAsync() => Machine = await Launcher.StartAsync(Spec);

    public async Task ConnectShellAsync()
    {
        Shell = await GuestShell.ConnectAsync(GuestPorts.Shell(_folder.Path));
        _shells.Add(Shell);
    }

    /// <summary>A new empty layer over another, as the storage plane would make it.</summary>
    public ChainFile NewLayer(ChainFile backing)
    {
        var layer = new ChainFile(File($"{Guid.NewGuid():N}.qcow2"), LayerFormat.Qcow2);
        Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", backing.Path, "-F", backing.Format == LayerFormat.Raw ? "raw" : "qcow2", layer.Path]);
        return layer;
    }

    /// <summary>Mounts the first two disks (one, when there is one) and begins to write records to them.</summary>
    public async Task StartWorkAsync(int memoryMiB = 16)
    {
        string second = Spec.Disks.Count > 1 ? "/mnt/b" : "/mnt/a";
        await Shell.RunAsync("mkdir -p /mnt/a /mnt/b; mount -t ext4 /dev/vda /mnt/a; [ ! -e /dev/vdb ] || mount -t ext4 /dev/vdb /mnt/b");
        await Shell.RunAsync($"workload /mnt/a/first {second}/second {memoryMiB} >/run/work 2>&1 & workload ticks /dev/virtio-ports/ticks &");
        await WaitForWorkAsync();
    }

    /// <summary>The newest record that the work has told of; fails when its memory is torn.</summary>
    public async Task<long> QueryWorkAsync()
    {
        string line = (await Shell.RunAsync("tail -n 1 /run/work")).Trim();
        if (!line.EndsWith("mem ok", StringComparison.Ordinal)) throw new InvalidOperationException($"The work says: {line}");
        return long.Parse(line.Split(' ')[1]);
    }

    /// <summary>Waits until the work has gone on.</summary>
    public async Task WaitForWorkAsync() =>
        await Shell.RunAsync("n=$(wc -l </run/work); while [ $(wc -l </run/work) -lt $((n+3)) ]; do sleep 0.02; done; tail -n 1 /run/work | grep -q 'mem ok'");

    /// <summary>Waits for a condition, at most 30 s.</summary>
    public static async Task WaitUntilAsync(Func<bool> condition, string what)
    {
        for (int i = 0; i < 300; i++, await Task.Delay(100)) if (condition()) return;
        throw new TimeoutException($"Waited in vain until {what}.");
    }

    /// <summary>The number of the last whole record on a layer, read as after a power cut: the journal is replayed first.</summary>
    public long LastRecordOf(ChainFile layer, string file)
    {
        string raw = File($"{Guid.NewGuid():N}.raw"), records = raw + ".records";
        Tool.Run("qemu-img", ["convert", "-q", "-U", "-f", "qcow2", "-O", "raw", layer.Path, raw]);
        Tool.Run("e2fsck", ["-p", raw], 1);
        Tool.Run("e2fsck", ["-f", "-n", raw]);
        Tool.Run("debugfs", ["-R", $"dump /{file} {records}", raw]);
        using var reader = new BinaryReader(System.IO.File.OpenRead(records));
        long last = 0;
        for (; reader.BaseStream.Position + 512 <= reader.BaseStream.Length; last++)
        {
            byte[] record = reader.ReadBytes(512);
            if (BitConverter.ToInt64(record) != last + 1 || record[16] != (byte)(last + 1) || record[511] != record[16]) break;
        }
        System.IO.File.Delete(raw);
        return last;
    }

    public async Task<DiskSwitch> PrepareAsync(IReadOnlyList<ChainFile> heads)
    {
        var graph = await BlockGraph.QueryAsync(Machine);
        return await DiskSwitch.PrepareAsync(Machine, [.. heads.Select((h, i) => new DiskHead(LayersOf(graph, i)[0].Path, h))]);
    }

    /// <summary>The layers of a disk.</summary>
    public IReadOnlyList<RunningLayer> LayersOf(BlockGraph graph, int disk) =>
        graph.LayersOf(graph.Devices.Single(d => d.Id.Split('/').Contains(Spec.Disks[disk].DeviceId)).TopNode);

    /// <summary>Ends the machine and starts it over the given layers, with new heads, from a saved memory. It stands then.</summary>
    public async Task RestoreAsync(IReadOnlyList<ChainFile> layers, string memory)
    {
        await Machine.TurnOffAsync();
        await Machine.DisposeAsync();
        Spec = Spec with
        {
            AwaitsMemory = true,
            Disks = [.. Spec.Disks.Select((d, i) => d with { Layers = [NewLayer(layers[i]), layers[i]] })],
        };
        await StartAsync();
        using var image = SystemFiles.Instance.Open(memory, FileOpenMode.Read);
        await MemoryRestore.LoadAsync(Machine, image);
    }

    public GuestTicks ListenToTicks() => new(GuestPorts.Ticks(_folder.Path));

    private ChainFile NewDisk(int slot)
    {
        // The base holds an ext4 file system and an identity by which the guest can be asked.
        string raw = File($"disk{slot}.raw");
        Tool.Run("qemu-img", ["create", "-q", "-f", "raw", raw, "256M"]);
        Tool.Run("mkfs.ext4", ["-q", "-L", $"disk{slot}", "-E", "lazy_itable_init=1,lazy_journal_init=1", raw]);
        var layer = new ChainFile(File($"disk{slot}.qcow2"), LayerFormat.Qcow2);
        Tool.Run("qemu-img", ["convert", "-q", "-f", "raw", "-O", "qcow2", raw, layer.Path]);
        System.IO.File.Delete(raw);
        return layer;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var shell in _shells) shell.Dispose();
        if (Machine is not null) await Machine.DisposeAsync();
        if (Launcher.FolderOf(Spec.Id).Load() is { } record)
        {
            record.Process.Kill();
            await record.Process.WaitForExitAsync(TimeSpan.FromSeconds(10));
        }
        _limit.Dispose();
        _folder.Dispose();
    }
}

/// <summary>Tests with a guest run one after the other: two guests at once would only wait for each other.</summary>
[Xunit.CollectionDefinition(Name)]
public sealed class LiveTests
{
    public const string Name = "live";
}
