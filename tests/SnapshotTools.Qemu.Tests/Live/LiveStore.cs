using SnapshotTools.Core;
using SnapshotTools.Embedded;
using SnapshotTools.Guest;
using SnapshotTools.IO;
using SnapshotTools.Testing;

namespace SnapshotTools.Qemu.Tests.Live;

/// <summary>A store with VMs that run the test guest; all gone at the end.</summary>
internal sealed class LiveStore : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly GuestLimit _limit;
    private readonly List<GuestShell> _shells = [];

    public LiveStore()
    {
        _limit = new GuestLimit(RunRoot);
        EmbeddedStore.Initialize(Store).Run();
        Engine = Open();
    }

    public SnapshotEngine Engine { get; private set; }

    public string Store => _folder.File("store");

    public string RunRoot => _folder.File("run");

    public string File(string name) => _folder.File(name);

    public SnapshotEngine Open(IFileSystem? files = null) =>
        EmbeddedStore.Open(files ?? SystemFiles.Instance, Store, compute: NewCompute());

    public IComputePlane NewCompute() => new QemuComputePlane(SystemFiles.Instance, runRoot: RunRoot);

    /// <summary>Opens the store anew, as the next session does.</summary>
    public SnapshotEngine Reopen()
    {
        Engine.Dispose();
        return Engine = Open();
    }

    /// <summary>Makes a VM of empty ext4 disks; its volumes are named after it and their number.</summary>
    public void AddVm(string name, int disks = 2, int memoryMiB = 128, bool withAgent = false)
    {
        var volumes = Enumerable.Range(0, disks).Select(i => $"{name}-{i}").ToList();
        foreach (string volume in volumes)
        {
            string raw = File(volume + ".img");
            using (var file = System.IO.File.Create(raw)) file.SetLength(64 << 20);
            Tool.Run("mkfs.ext4", ["-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", raw]);
            Engine.Volumes.Create(new NewVolumeRequest { Name = volume, ImagePath = raw }).Run();
            System.IO.File.Delete(raw);
        }
        Directory.CreateDirectory(File(name));
        Engine.Machines.Create(new NewVmRequest
        {
            Name = name,
            MemoryBytes = (long)memoryMiB << 20,
            Volumes = [.. volumes.Select(v => new AttachRequest(v))],
            Boot = new VmBoot
            {
                Kernel = GuestKit.Instance.Kernel,
                Initrd = withAgent ? GuestKit.Instance.InitrdWithAgent : GuestKit.Instance.Initrd,
                KernelCommandLine = GuestKit.KernelCommandLine,
                ExtraArguments = GuestPorts.Arguments(File(name)),
            },
        }).Run();
    }

    /// <summary>Starts a VM, waits for its shell, and lets it write records to its first two disks.</summary>
    public async Task<GuestShell> StartAndWorkAsync(string name, int memoryMiB = 16)
    {
        Engine.Machines.Start(name).Run();
        var shell = await ConnectAsync(name);
        await StartWorkAsync(shell, Engine.Machines.Get(name).Volumes.Count, memoryMiB);
        return shell;
    }

    public async Task<GuestShell> ConnectAsync(string name)
    {
        var shell = await GuestShell.ConnectAsync(GuestPorts.Shell(File(name)));
        _shells.Add(shell);
        return shell;
    }

    public GuestTicks ListenToTicks(string name) => new(GuestPorts.Ticks(File(name)));

    public static async Task StartWorkAsync(GuestShell shell, int disks, int memoryMiB = 16)
    {
        string second = disks > 1 ? "/mnt/b" : "/mnt/a";
        await shell.RunAsync("mkdir -p /mnt/a /mnt/b; mount -t ext4 /dev/vda /mnt/a; [ ! -e /dev/vdb ] || mount -t ext4 /dev/vdb /mnt/b");
        await shell.RunAsync($"workload /mnt/a/first {second}/second {memoryMiB} >/run/work 2>&1 & workload ticks /dev/virtio-ports/ticks &");
        await WaitForWorkAsync(shell);
    }

    /// <summary>The newest record that the work has told of, which is durable on both disks.</summary>
    public static async Task<long> RecordAsync(GuestShell shell)
    {
        string line = (await shell.RunAsync("tail -n 1 /run/work")).Trim();
        return line.EndsWith("mem ok", StringComparison.Ordinal) ? long.Parse(line.Split(' ')[1]) : throw new InvalidOperationException($"The work says: {line}");
    }

    public static async Task WaitForWorkAsync(GuestShell shell) =>
        await shell.RunAsync("n=$(wc -l </run/work); while [ $(wc -l </run/work) -lt $((n+2)) ]; do sleep 0.02; done; tail -n 1 /run/work | grep -q 'mem ok'");

    public void TurnOff(string name) => Engine.Machines.Stop(name, turnOff: true, TimeSpan.FromSeconds(10)).Run();

    /// <summary>The number of the last whole record on a volume, or on its part of a snapshot, after the journal was replayed and the file system checked.</summary>
    public long LastRecordOf(string volume, string? snapshot, string file)
    {
        string raw = File($"{Guid.NewGuid():N}.raw"), records = raw + ".records";
        Engine.Volumes.Export(volume, snapshot, raw, ImageFileFormat.Raw).Run();
        Tool.Run("e2fsck", ["-p", raw], 1);
        Tool.Run("e2fsck", ["-f", "-n", raw]);
        Tool.Run("debugfs", ["-R", $"dump /{file} {records}", raw]);
        byte[] all = System.IO.File.ReadAllBytes(records);
        long last = 0;
        for (; (last + 1) * 512 <= all.Length; last++)
        {
            var record = all.AsSpan((int)last * 512, 512);
            if (BitConverter.ToInt64(record) != last + 1 || record[16] != (byte)(last + 1) || record[511] != record[16]) break;
        }
        System.IO.File.Delete(raw);
        System.IO.File.Delete(records);
        return last;
    }

    /// <summary>Gives a VM that was cloned ports of its own.</summary>
    public void MovePorts(string vm)
    {
        Directory.CreateDirectory(File(vm));
        Engine.Machines.Set(vm, new VmChanges { ExtraArguments = GuestPorts.Arguments(File(vm)) }).Run();
    }

    public Launch.QemuLauncher Launcher => new(SystemFiles.Instance, runRoot: RunRoot);

    /// <summary>The process of a running VM's QEMU.</summary>
    public Launch.ProcessIdentity QemuOf(string vm) => Launcher.FolderOf(Engine.Machines.Get(vm).Id).Load()!.Process;

    /// <summary>The files of the store that a running VM's QEMU has open, those that were deleted too.</summary>
    public IReadOnlyList<string> OpenFilesOf(string vm)
    {
        return [.. new DirectoryInfo($"/proc/{QemuOf(vm).Id}/fd").EnumerateFileSystemInfos().Select(f => f.LinkTarget ?? "").Where(t => t.StartsWith(Store, StringComparison.Ordinal)).Distinct()];
    }

    /// <summary>The names of the files of a volume's layers, the head's first.</summary>
    public IReadOnlyList<string> LayerFilesOf(string volume)
    {
        string head = new FileInfo(Engine.Volumes.Get(volume).Path).ResolveLinkTarget(returnFinalTarget: true)!.FullName;
        using var chain = System.Text.Json.JsonDocument.Parse(Tool.Run("qemu-img", ["info", "-U", "--backing-chain", "--output=json", head]));
        return [.. chain.RootElement.EnumerateArray().Select(l => Path.GetFileName(l.GetProperty("filename").GetString()!))];
    }

    /// <summary>Layer files that there are.</summary>
    public int CountLayers() => Directory.GetFiles(Path.Combine(Store, "layers")).Length;

    public void Dispose()
    {
        foreach (var shell in _shells) shell.Dispose();
        Engine.Dispose();
        _limit.KillAll();
        _limit.Dispose();
        _folder.Dispose();
    }
}
