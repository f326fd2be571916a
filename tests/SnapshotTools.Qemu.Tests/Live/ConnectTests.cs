using System.Net;
using System.Net.Sockets;
using SnapshotTools.Core;
using SnapshotTools.Guest;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qemu.Tests.Live;

/// <summary>A QEMU that someone else started, as a VM of the store.</summary>
[Collection(LiveTests.Name)]
public sealed class ConnectTests : IDisposable
{
    private readonly LiveStore _store = new();

    public void Dispose() => _store.Dispose();

    [GuestFact("e2fsck", "debugfs")]
    public async Task A_qemu_that_someone_else_started_is_refused_then_connected_snapshotted_merged_and_let_go()
    {
        _store.AddVm("web01");
        _store.AddVm("other", disks: 1);
        string monitor = _store.File("their-monitor");
        int port = FreePort();
        StartTheirs(["web01-0", "web01-1"], ["-qmp", $"unix:{monitor},server=on,wait=off", "-qmp", $"tcp:127.0.0.1:{port},server=on,wait=off"]);
        var shell = await _store.ConnectAsync("web01");
        await LiveStore.StartWorkAsync(shell, disks: 2);

        // Nobody told the store: the image locks do.
        Assert.Equal(VmState.Stopped, _store.Engine.Machines.Get("web01").State);
        var inUse = Assert.Throws<SnapshotException>(() => _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "x" }).Run());
        Assert.Equal(ErrorIds.ImageInUse, inUse.ErrorId);
        Assert.ThrowsAny<SnapshotException>(() => _store.Engine.Machines.Start("web01").Run());

        var mismatch = Assert.Throws<SnapshotException>(() => _store.Engine.Machines.Connect("other", monitor).Run());
        Assert.Equal(ErrorIds.MachineMismatch, mismatch.ErrorId);
        Assert.Contains("other-0", mismatch.Message, StringComparison.Ordinal);
        Assert.Equal(ErrorIds.ComputeFailed, Assert.Throws<SnapshotException>(() => _store.Engine.Machines.Connect("web01", monitor + "x").Run()).ErrorId);
        Assert.Equal(ErrorIds.InvalidArgument, Assert.Throws<SnapshotException>(() => _store.Engine.Machines.Connect("web01", "http://x").Run()).ErrorId);

        Assert.Equal(VmState.Running, _store.Engine.Machines.Connect("web01", monitor).Run().State);
        foreach (string name in new[] { "s1", "s2" }) _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = name }).Run();
        Assert.True(_store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "check", Memory = true }).Run().HasMemory);
        await LiveStore.WaitForWorkAsync(shell);

        // A later session finds it, although it knows nothing but the store; so it does over TCP.
        _store.Reopen();
        Assert.Equal(VmState.Running, _store.Engine.Machines.Get("web01").State);
        foreach (string name in new[] { "s1", "check" }) _store.Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = name }).Run(new RunOptions { Warn = w => Assert.Fail(w) });
        Assert.Equal(2 * 2 + 1, _store.CountLayers());
        Assert.Equal(VmState.Stopped, _store.Engine.Machines.Disconnect("web01").Run().State);
        Assert.Equal(VmState.Running, _store.Engine.Machines.Connect("web01", $"tcp:127.0.0.1:{port}").Run().State);
        _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "s3" }).Run();
        Assert.Equal(ErrorIds.MemoryNotAvailable, Assert.Throws<SnapshotException>(() => _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "s4", Memory = true }).Run()).ErrorId);
        await LiveStore.WaitForWorkAsync(shell);
        long record = await LiveStore.RecordAsync(shell);

        _store.TurnOff("web01");
        await LiveGuest.WaitUntilAsync(() => _store.Engine.Machines.Get("web01").State == VmState.Stopped, "it has ended");
        Assert.DoesNotContain(_store.Engine.Test(), f => f.Severity == FindingSeverity.Error);
        Assert.True(_store.LastRecordOf("web01-0", null, "first") >= record);
        Assert.True(_store.LastRecordOf("web01-1", null, "second") >= record);

        // Another machine at the same address is not stopped for it; its own, started again, is.
        string[] address = ["-qmp", $"tcp:127.0.0.1:{port},server=on,wait=off"];
        var another = StartTheirs(["other-0"], address);
        mismatch = Assert.Throws<SnapshotException>(() => _store.TurnOff("web01"));
        Assert.Equal(ErrorIds.MachineMismatch, mismatch.ErrorId);
        Assert.Contains("web01-0", mismatch.Message, StringComparison.Ordinal);
        Assert.Throws<SnapshotException>(() => _store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "s2", StopVm = true }).Run());
        Assert.True(another.IsAlive);
        another.Kill();
        Assert.True(await another.WaitForExitAsync(TimeSpan.FromSeconds(10)));
        var again = StartTheirs(["web01-0", "web01-1"], address);
        _store.TurnOff("web01");
        Assert.True(await again.WaitForExitAsync(TimeSpan.FromSeconds(10)));
    }

    /// <summary>A QEMU as an administrator would start it by hand, over the stable paths.</summary>
    private Launch.ProcessIdentity StartTheirs(string[] volumes, string[] monitors)
    {
        string pidFile = Path.Combine(Directory.CreateDirectory(Path.Combine(_store.RunRoot, "theirs")).FullName, "pid");
        Tool.Run("qemu-system-x86_64", [
            "-nodefaults", "-display", "none", "-machine", "q35,accel=tcg", "-m", "128M",
            "-kernel", GuestKit.Instance.Kernel, "-initrd", GuestKit.Instance.Initrd, "-append", GuestKit.KernelCommandLine,
            "-device", "virtio-serial-pci,id=serial0", .. GuestPorts.Arguments(_store.File("web01")),
            .. volumes.SelectMany(v => new[] { "-drive", $"file={_store.Engine.Volumes.Get(v).Path},format=qcow2,if=virtio" }),
            .. monitors, "-daemonize", "-pidfile", pidFile]);
        return Launch.ProcessIdentity.Of(int.Parse(File.ReadAllText(pidFile), System.Globalization.CultureInfo.InvariantCulture))!;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
