using System.Globalization;
using System.Text.Json.Nodes;
using SnapshotTools.Core;
using SnapshotTools.Qemu.Blocks;

namespace SnapshotTools.Qemu.Launch;

/// <summary>Writes QEMU's arguments for a machine. Values go in as JSON or escaped, so no name or path can become an option.</summary>
internal static class CommandLine
{
    /// <summary>The arguments, without the program.</summary>
    /// <exception cref="ArgumentException">The machine cannot be built like this.</exception>
    public static IReadOnlyList<string> Build(MachineSpec spec, RunFolder folder, bool kvm)
    {
        Check(spec);
        return
        [
            "-name", new QemuOption(spec.Name).ToString(),
            "-uuid", spec.Id.ToString(),
            "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", MachineOf(spec, kvm),
            .. Processor(spec, kvm),
            "-m", new QemuOption(string.Create(CultureInfo.InvariantCulture, $"{spec.MemoryBytes >> 20}M")).ToString(),
            .. Firmware(spec),
            .. Boot(spec),
            .. Ports(spec, folder),
            .. DeviceTree.RootPorts(spec).SelectMany(port => Pair("-device", port)),
            .. Disks(spec),
            .. Adapters(spec),
            .. spec.GenerationId is { } generation ? Pair("-device", new QemuOption("vmgenid").With("guid", generation.ToString()).ToString()) : [],
            .. Monitors(folder),
            .. spec.AwaitsMemory ? Pair("-incoming", "defer") : [],
            .. spec.AwaitsMemory || spec.StartPaused ? ["-S"] : Array.Empty<string>(),
            "-daemonize", "-pidfile", folder.PidFile,
            // With a log file QEMU's stderr stays open behind -daemonize: its last words. It opens one only when some
            // category is on; this one has nothing to say in a system emulation.
            "-D", folder.Log, "-d", "strace",
            .. spec.ExtraArguments,
        ];
    }

    private static void Check(MachineSpec spec)
    {
        if (spec.ProcessorCount is < 1 or > 255)
            throw new ArgumentException($"Machine '{spec.Name}' cannot have {spec.ProcessorCount} processors: 1 to 255.");
        if (spec.MemoryBytes < 1 << 20 || spec.MemoryBytes % (1 << 20) != 0)
            throw new ArgumentException($"Machine '{spec.Name}' cannot have {spec.MemoryBytes} bytes of memory: whole MiB are needed.");
        if (spec.Adapters.Count > DeviceTree.MaxAdapters)
            throw new ArgumentException($"Machine '{spec.Name}' cannot have {spec.Adapters.Count} network adapters: at most {DeviceTree.MaxAdapters}.");
        foreach (var disk in spec.Disks)
        {
            DeviceTree.CheckSlot(spec, disk);
            if (disk.Layers.Count == 0) throw new ArgumentException($"Disk {disk.DeviceId} of machine '{spec.Name}' has no layer.");
        }
        if (spec.Disks.GroupBy(d => d.DeviceId).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw new ArgumentException($"Machine '{spec.Name}' has two disks {twice.Key}.");
    }

    private static string MachineOf(MachineSpec spec, bool kvm)
    {
        var machine = new QemuOption(spec.MachineType).With("accel", kvm ? "kvm" : "tcg");
        if (spec.FirmwareCode is not null) machine.With("pflash0", NodeName.Firmware);
        if (spec.FirmwareVariables is { Count: > 0 } variables) machine.With("pflash1", NodeName.OfLayer(variables[0].Path));
        return machine.ToString();
    }

    private static IEnumerable<string> Processor(MachineSpec spec, bool kvm) =>
    [
        "-smp", spec.ProcessorCount.ToString(CultureInfo.InvariantCulture),
        .. (spec.ProcessorModel ?? (kvm ? "host" : null)) is { } model ? Pair("-cpu", model) : [],
    ];

    private static IEnumerable<string> Firmware(MachineSpec spec)
    {
        if (spec.FirmwareCode is null) return [];
        return
        [
            .. BlockDevice(new JsonObject { ["driver"] = "file", ["node-name"] = NodeName.FirmwareFile, ["filename"] = spec.FirmwareCode, ["read-only"] = true }),
            .. BlockDevice(new JsonObject { ["driver"] = "raw", ["node-name"] = NodeName.Firmware, ["file"] = NodeName.FirmwareFile, ["read-only"] = true }),
            .. spec.FirmwareVariables is { Count: > 0 } variables ? Layers(variables, spec.Cache, readOnly: false) : [],
        ];
    }

    private static IEnumerable<string> Boot(MachineSpec spec) =>
    [
        .. spec.Kernel is null ? [] : Pair("-kernel", spec.Kernel),
        .. spec.Initrd is null ? [] : Pair("-initrd", spec.Initrd),
        .. spec.KernelCommandLine is null ? [] : Pair("-append", spec.KernelCommandLine),
    ];

    /// <summary>The serial console into a file, and the guest agent's channel.</summary>
    private static IEnumerable<string> Ports(MachineSpec spec, RunFolder folder) =>
    [
        "-chardev", new QemuOption("file").With("id", "console").With("path", folder.Console).With("append", "on").ToString(),
        "-serial", "chardev:console",
        "-device", $"virtio-serial-pci,id=serial0,{DeviceTree.SerialPlace(spec.MachineType)}",
        "-chardev", new QemuOption("socket").With("id", "agent").With("path", folder.AgentSocket).With("server", "on").With("wait", "off").ToString(),
        "-device", "virtserialport,bus=serial0.0,nr=1,chardev=agent,name=org.qemu.guest_agent.0",
    ];

    private static IEnumerable<string> Disks(MachineSpec spec) =>
    [
        .. Pair("-device", $"virtio-scsi-pci,id=scsi0,{DeviceTree.ScsiPlace(spec.MachineType)}"),
        .. !DeviceTree.IsPcie(spec.MachineType) && spec.Disks.Any(d => d.Bus == DiskBus.Sata) ? Pair("-device", "ahci,id=ahci0,bus=pci.0,addr=0x0b") : [],
        .. spec.Disks.SelectMany(disk => Layers(disk.Layers, spec.Cache, disk.ReadOnly)
            .Concat(Pair("-device", DeviceTree.Disk(spec.MachineType, disk).ToJsonString()))),
    ];

    /// <summary>The nodes of a chain, the base first; each is named and none is left to QEMU to find.</summary>
    private static IEnumerable<string> Layers(IReadOnlyList<ChainFile> layers, BlockCache cache, bool readOnly)
    {
        for (int i = layers.Count - 1; i >= 0; i--)
        {
            string? backing = i + 1 < layers.Count ? NodeName.OfLayer(layers[i + 1].Path) : null;
            foreach (string argument in BlockDevice(BlockDefinition.OfFile(layers[i], cache))) yield return argument;
            foreach (string argument in BlockDevice(BlockDefinition.OfFormat(layers[i], backing, readOnly || i > 0))) yield return argument;
        }
    }

    private static IEnumerable<string> Adapters(MachineSpec spec)
    {
        for (int i = 0; i < spec.Adapters.Count; i++)
        {
            var adapter = spec.Adapters[i];
            string id = string.Create(CultureInfo.InvariantCulture, $"net{i}");
            bool connected = adapter.Network != "none";
            if (connected)
            {
                if (adapter.Network != "user")
                    throw new ArgumentException($"Machine '{spec.Name}' cannot be connected to network '{adapter.Network}': QEMU alone knows 'user' and 'none'.");
                yield return "-netdev";
                yield return new QemuOption("user").With("id", id).ToString();
            }
            var device = new JsonObject { ["driver"] = adapter.Model, ["id"] = "adapter" + id[3..], ["mac"] = adapter.MacAddress };
            if (connected) device["netdev"] = id;
            string[] place = DeviceTree.AdapterPlace(spec.MachineType, i).Split(',');
            foreach (string part in place) device[part[..part.IndexOf('=')]] = part[(part.IndexOf('=') + 1)..];
            yield return "-device";
            yield return device.ToJsonString();
        }
    }

    /// <summary>Two monitors, since QEMU serves one client on each: operations have one, and a look at the state is always possible.</summary>
    private static IEnumerable<string> Monitors(RunFolder folder) =>
        new[] { (Id: "qmp", Path: folder.MonitorSocket), (Id: "status", Path: folder.StatusSocket) }.SelectMany(monitor => (string[])
        [
            "-chardev", new QemuOption("socket").With("id", monitor.Id).With("path", monitor.Path).With("server", "on").With("wait", "off").ToString(),
            "-mon", $"chardev={monitor.Id},mode=control",
        ]);

    private static string[] BlockDevice(JsonObject definition) => ["-blockdev", definition.ToJsonString()];

    private static string[] Pair(string option, string value) => [option, value];
}
