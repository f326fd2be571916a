using System.Diagnostics;
using SnapshotTools.Cmdlet.Driver;
using SnapshotTools.Cmdlet.Tests.Engine;
using SnapshotTools.Guest;
using SnapshotTools.Testing;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Cmdlet.Tests.Live;

/// <summary>PowerShell is killed (SIGKILL) at every step of a snapshot of a guest at work; its guard is PowerShell too.</summary>
public sealed class KilledSessionTests(PwshSession session, ITestOutputHelper output) : LiveVmTest(session)
{
    private static readonly (string Parameters, string Step, bool IsGuarded)[] Steps =
    [
        ("", "new heads are durable", false),
        ("", "has opened the new heads", false),
        ("", "the disks are switched", false),
        ("", "all disks write to the new heads", false),
        ("", "committed", false),
        ("-Consistency FileSystem", "file systems are frozen", true),
        ("-Consistency FileSystem", "the disks are switched", true),
        ("-Memory", "the guest stands", true),
        ("-Memory", "the disks are switched", true),
        ("-Memory", "the memory is being saved", true),
        ("-Memory", "the memory is protected", true),
        ("-Memory", "the memory is durable", false),
        ("-Memory", "committed", false),
    ];

    private Process? _next;

    [GuestFact("e2fsck", "debugfs")]
    public async Task PowerShell_killed_at_any_step_leaves_a_guest_that_works_on_and_a_store_that_is_whole()
    {
        var host = new PwshHost(Directory.CreateDirectory(Session.File("host")).FullName);
        MakeGuest(withAgent: true);
        Run("Start-VmInstance web01");
        _next = Begin(host, 0);
        long record;
        using (var shell = await ConnectAsync())
        {
            await shell.RunAsync("mkdir -p /mnt/a /mnt/b; mount -t ext4 /dev/vda /mnt/a; mount -t ext4 /dev/vdb /mnt/b; for i in 1 2 3 4 5 6 7 8 9; do pidof qemu-ga >/dev/null && break; sleep 1; done");
            await shell.RunAsync("workload /mnt/a/first /mnt/b/second 16 >/run/work 2>&1 &");
            await WaitForWorkAsync(shell);
            for (int i = 0; i < Steps.Length; i++)
            {
                var (parameters, step, isGuarded) = Steps[i];
                using var killed = _next!;
                _next = i + 1 < Steps.Length ? Begin(host, i + 1) : null;      // it waits to be told
                await killed.StandardInput.WriteLineAsync();
                killed.StandardInput.Close();
                string said = await killed.StandardError.ReadToEndAsync() + await killed.StandardOutput.ReadToEndAsync();
                Assert.True(killed.WaitForExit(TimeSpan.FromSeconds(60)), "It ended.");
                Assert.True(killed.ExitCode == 137, $"{parameters} {step}: {killed.ExitCode} {said}");
                var clock = Stopwatch.StartNew();
                await WaitForWorkAsync(shell);
                output.WriteLine($"New-VmSnapshot {parameters}: killed at '{step}'; the guest went on within {clock.Elapsed.TotalSeconds:0.0} s");
                string guard = await File.ReadAllTextAsync(Note(i));
                Assert.Equal(isGuarded, guard.Contains("GuestGuard", StringComparison.Ordinal));
                if (isGuarded) Assert.StartsWith(host.Program, guard, StringComparison.Ordinal);
                Assert.Equal([$"{(step == "committed" ? 1 : 0)} 0"], Texts($"\"$(@(Get-VmSnapshot web01 | Where-Object Name -EQ s{i}).Count) $(@(Get-SnapshotOperation | Where-Object State -EQ Running).Count)\""));
            }
            // And the next session can do everything.
            Run("New-VmSnapshot web01 frozen -Consistency FileSystem; New-VmSnapshot web01 memory -Memory");
            await WaitForWorkAsync(shell);
            record = long.Parse((await shell.RunAsync("tail -n 1 /run/work")).Trim().Split(' ')[1]);
        }
        Run("Stop-VmInstance web01 -TurnOff -Force; Optimize-SnapshotStore");
        Assert.Equal(["True", $"{2 * 5}"], Texts("[string](Test-SnapshotStore -Quiet); (Get-ChildItem \"$env:SNAPSHOTTOOLS_STORE/layers\").Count"));   // two committed, two more, the present
        Run("Start-VmInstance web01");
        using var again = await ConnectAsync();
        foreach (string file in new[] { "vda first", "vdb second" })
        {
            string[] at = file.Split(' ');
            long size = long.Parse((await again.RunAsync($"mkdir -p /mnt/{at[0]}; mount -t ext4 /dev/{at[0]} /mnt/{at[0]}; stat -c %s /mnt/{at[0]}/{at[1]}")).Trim());
            Assert.True(size / 512 >= record, $"{at[1]}: {size} bytes for {record} records");
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (_next is { HasExited: false }) _next.Kill();
        _next?.Dispose();
        base.Dispose(disposing);
    }

    private static async Task WaitForWorkAsync(GuestShell shell) =>
        await shell.RunAsync("n=$(wc -l </run/work); while [ $(wc -l </run/work) -lt $((n+2)) ]; do sleep 0.02; done; tail -n 1 /run/work | grep -q 'mem ok'");

    private string Note(int i) => Session.File($"note{i}");

    /// <summary>Starts a PowerShell that takes the snapshot of a step when it reads a line, and dies there.</summary>
    private Process Begin(PwshHost host, int i) => host.Start($$"""
        $ErrorActionPreference = 'Stop'
        Import-Module '{{Repository.Module}}'
        $null = [Reflection.Assembly]::LoadFrom('{{typeof(KillAt).Assembly.Location}}')
        $context = [Runtime.Loader.AssemblyLoadContext]::All | Where-Object Name -eq SnapshotTools
        $kill = [SnapshotTools.Cmdlet.Driver.KillAt]::Step('{{Steps[i].Step}}', '{{Note(i)}}')
        foreach ($place in 'SnapshotTools.Core Engine.OperationRun', 'SnapshotTools.Qemu Live.LiveSteps') {
            $library, $type = -split $place
            $context.LoadFromAssemblyName($library).GetType("$library.$type").GetProperty('Observer', [Reflection.BindingFlags]'Static, NonPublic, Public').SetValue($null, $kill)
        }
        $null = [Console]::In.ReadLine()
        New-VmSnapshot web01 s{{i}} {{Steps[i].Parameters}}
        """, new Dictionary<string, string> { ["SNAPSHOTTOOLS_STORE"] = Store, ["SNAPSHOTTOOLS_RUN"] = RunFolder });
}
