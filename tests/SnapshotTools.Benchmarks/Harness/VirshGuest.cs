using System.Globalization;
using System.Security;
using SnapshotTools.Guest;
using SnapshotTools.Testing;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>A twin of <see cref="BenchGuest"/> that libvirt started: the same kernel, memory, disks and ports. It stands still while it is not its turn.</summary>
internal sealed class VirshGuest : IDisposable
{
    private const string Name = "bench";

    private readonly string _folder, _disks;
    private readonly PrivateLibvirt _libvirt;
    private readonly GuestView? _view;
    private GuestView? _restored;
    private int _snapshots;

    private VirshGuest(string folder, int disks, int memoryMiB)
    {
        RowRun.Require("virsh", "libvirtd");
        PrivateLibvirt.RequireReach(folder);
        // Sockets have short names only.
        _folder = Directory.CreateTempSubdirectory("st-virsh-").FullName;
        _disks = Directory.CreateDirectory(Path.Combine(folder, "virsh-disks")).FullName;
        PrivateLibvirt.OpenToAll(_folder);
        PrivateLibvirt.OpenToAll(_disks);
        try
        {
            _libvirt = new PrivateLibvirt(_folder, BenchGuest.LimitSeconds);
            File.WriteAllText(Path.Combine(_folder, "domain.xml"), Domain(disks, memoryMiB));
            _libvirt.Virsh("create", Path.Combine(_folder, "domain.xml"));
            _view = new GuestView(_folder);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The guest through its own ports.</summary>
    public GuestView View => _restored ?? _view!;

    /// <summary>Boots it, lets it be made ready, and lets it stand still; null with a reason where it cannot be had.</summary>
    public static VirshGuest? TryStart(RowRun run, int disks, int memoryMiB, Action<GuestView> ready, out string? reason)
    {
        reason = null;
        VirshGuest? guest = null;
        try
        {
            guest = new VirshGuest(run.Folder, disks, memoryMiB);
            ready(guest.View);
            guest.Suspend();
            return guest;
        }
        catch (NotHereException e)
        {
            reason = e.Message;
        }
        catch (Exception e) when (run.Scale != Scale.Smoke)
        {
            guest?.Dispose();
            run.Log($"virsh: {e}");
            reason = $"it failed: {e.Message}";
        }
        return null;
    }

    public void Suspend() => _libvirt.Virsh("suspend", Name);

    public void Resume() => _libvirt.Virsh("resume", Name);

    /// <summary>A snapshot of all disks; each gets a new file beside its present one.</summary>
    public void Snapshot() => _libvirt.Virsh("snapshot-create-as", Name, "--disk-only", "--atomic", "--name", string.Create(CultureInfo.InvariantCulture, $"s{++_snapshots}"));

    /// <summary>Saves the guest's memory, with which the guest is gone, and restores it. Gives the time from its last sign of
    /// life until the file was there, the time until the file was durable, and its size.</summary>
    public (double Lost, double Time, double Size) SaveAndRestore()
    {
        string path = Path.Combine(_disks, "saved");
        double time = 0;
        double lost = View.LostBy(() => time = Contender.Time(() => _libvirt.Virsh("save", Name, path)));
        time += Contender.Time(() => { using var file = File.OpenHandle(path, access: FileAccess.ReadWrite); Native.SyncData(file); });
        long size = new FileInfo(path).Length;
        View.Dispose();
        _libvirt.Virsh("restore", path);
        _restored = new GuestView(_folder, isTicking: true);
        File.Delete(path);
        return (lost, time, size);
    }

    public void Dispose()
    {
        _view?.Dispose();
        _restored?.Dispose();
        _libvirt?.Dispose();
        Directory.Delete(_folder, recursive: true);
        Directory.Delete(_disks, recursive: true);
    }

    private string Domain(int disks, int memoryMiB)
    {
        string kernel = Path.Combine(_folder, "vmlinuz"), initrd = Path.Combine(_folder, "initrd");
        File.Copy(GuestKit.Instance.Kernel, kernel);
        File.Copy(GuestKit.Instance.Initrd, initrd);
        return $"""
            <domain type='qemu'>
              <name>{Name}</name>
              <memory unit='MiB'>{memoryMiB}</memory>
              <vcpu>1</vcpu>
              <os>
                <type arch='x86_64' machine='q35'>hvm</type>
                <kernel>{Xml(kernel)}</kernel><initrd>{Xml(initrd)}</initrd><cmdline>{Xml(GuestKit.KernelCommandLine)}</cmdline>
              </os>
              <features><acpi/></features>
              <devices>
                <emulator>{Xml(Tool.Find("qemu-system-x86_64")!)}</emulator>
                <controller type='usb' model='none'/>
                <memballoon model='none'/>
                {string.Concat(Enumerable.Range(0, disks).Select(Disk))}
                {Port("shell", GuestPorts.Shell(_folder))}
                {Port("ticks", GuestPorts.Ticks(_folder))}
              </devices>
            </domain>
            """;
    }

    private string Disk(int number)
    {
        string path = Images.Create(Path.Combine(_disks, string.Create(CultureInfo.InvariantCulture, $"{number}.qcow2")), (long)BenchGuest.DiskMiB << 20);
        PrivateLibvirt.OpenToAll(path);
        return $"<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='writeback' discard='unmap'/><source file='{Xml(path)}'/><target dev='vd{(char)('a' + number)}' bus='virtio'/></disk>\n";
    }

    private static string Port(string name, string socket) => $"<channel type='unix'><source mode='bind' path='{Xml(socket)}'/><target type='virtio' name='{name}'/></channel>";

    private static string Xml(string text) => SecurityElement.Escape(text);
}
