using SnapshotTools.Cmdlet.Tests.Engine;
using SnapshotTools.Guest;
using SnapshotTools.Testing;

namespace SnapshotTools.Cmdlet.Tests.Live;

/// <summary>A test with a VM that can be run: a real guest of two small disks, driven through its shell.</summary>
public abstract class LiveVmTest : ModuleTest, IDisposable
{
    // Socket addresses are short, so not in the session's folder.
    private readonly TempFolder _run = new();

    protected LiveVmTest(PwshSession session)
        : base(session) => Run($"$env:SNAPSHOTTOOLS_RUN = '{_run.Path}'");

    /// <summary>Makes the VM 'web01' with ext4 on its disks 'os' and 'db'.</summary>
    protected void MakeGuest(bool withAgent = false)
    {
        foreach (string name in new[] { "os", "db" })
        {
            string raw = _run.File(name + ".img");
            using (var file = File.Create(raw)) file.SetLength(96 << 20);
            Tool.Run("mkfs.ext4", ["-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", raw]);
            Run($"New-VmVolume {name} -ImagePath '{raw}'");
        }
        var kit = GuestKit.Instance;
        string ports = string.Join(", ", GuestPorts.Arguments(_run.Path).Select(a => $"'{a}'"));
        Run($"$env:SNAPSHOTTOOLS_ACCELERATOR = 'tcg'; New-VmInstance web01 os, db -MemoryBytes 160MB -Kernel '{kit.Kernel}' -Initrd '{(withAgent ? kit.InitrdWithAgent : kit.Initrd)}' " +
            $"-KernelCommandLine '{GuestKit.KernelCommandLine}' -ExtraArgument {ports}");
    }

    /// <summary>Waits for the guest's shell.</summary>
    protected Task<GuestShell> ConnectAsync() => GuestShell.ConnectAsync(GuestPorts.Shell(_run.Path));

    /// <summary>The state of the VM that a script writes.</summary>
    protected string State(string script) => Texts($"[string]({script}).State")[0];

    /// <summary>A property of the VM.</summary>
    protected string Vm(string property) => Texts($"[string](Get-VmInstance web01).{property}")[0];

    /// <summary>Where the run folders are.</summary>
    protected string RunFolder => _run.Path;

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Ends the machines.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (!disposing) return;
        Session.Run("Get-VmInstance | Where-Object State -in Running, Paused | Stop-VmInstance -TurnOff -Force -Confirm:$false; Remove-Item env:SNAPSHOTTOOLS_RUN");
        _run.Dispose();
    }
}
