using SnapshotTools.IO;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Memory;
using SnapshotTools.Qemu.Qmp;
using SnapshotTools.Qemu.Tests.Qmp;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qemu.Tests;

/// <summary>What is done to a QEMU that does what a real one does only by chance.</summary>
public sealed class ScriptedQemuTests
{
    [Fact]
    public async Task A_precopy_tells_the_time_since_the_guest_stood_not_that_of_saving_before()
    {
        int refusals = 0;
        await using var qemu = await ScriptedQemu.StartAsync((qemu, command) =>
        {
            if (command == "cont" && ++refusals < 3) return Error("Failed to get shared \\\"write\\\" lock");   // another program looks at an image
            if (command == "migrate")
            {
                qemu.Tell("MIGRATION", """{"status": "setup"}""");
                qemu.Tell("MIGRATION", """{"status": "active"}""");
            }
            if (command != "query-migrate") return null;
            if (qemu.Heard.Contains("migrate-continue")) return """ "return": {"status": "completed"} """;
            Thread.Sleep(2000);     // the memory is saved, while the guest runs
            qemu.Tell("STOP");
            qemu.Tell("MIGRATION", """{"status": "pre-switchover"}""");
            return """ "return": {"status": "pre-switchover"} """;
        });
        await using var disks = await DiskSwitch.PrepareAsync(qemu.Machine, []);
        using var work = new CheckpointWork(qemu.Machine, disks, new GuestPause(TimeSpan.FromSeconds(1), isLimited: true)) { WasRunning = true, IsLast = false };
        Assert.Equal(MemoryMethod.Precopy, await new PrecopyCheckpoint(work, "fd:x").TakeAsync(MemoryMethod.Precopy, default));
        Assert.True(work.Pause.Elapsed < TimeSpan.FromSeconds(1), $"{work.Pause.Elapsed}");
        Assert.Equal(["cont", "cont", "cont"], qemu.Heard.TakeLast(3));
    }

    [Theory]
    [InlineData(MemoryMethod.Stopped)]
    [InlineData(MemoryMethod.Background)]
    public async Task A_checkpoint_that_cannot_be_taken_back_lets_the_guest_go_on_and_tells_why_it_failed(MemoryMethod method)
    {
        int refusals = 0;
        await using var qemu = await ScriptedQemu.StartAsync((qemu, command) => command switch
        {
            "query-migrate" => """ "return": {"status": "pre-switchover"} """,
            "migrate-continue" => Error("the first"),
            "migrate" when method == MemoryMethod.Background => Error("the first"),
            "migrate_cancel" => Error("the second"),
            "stop" when qemu.Heard.Contains("migrate") => Error("the second"),
            "cont" when ++refusals < 3 => Error("Failed to get shared \\\"write\\\" lock"),
            _ => null,
        });
        await using var disks = await DiskSwitch.PrepareAsync(qemu.Machine, []);
        using var work = new CheckpointWork(qemu.Machine, disks, new GuestPause(null, isLimited: true)) { WasRunning = true, IsLast = false };
        await using var pipe = new SavingPipe(isFull: false);
        var error = await Assert.ThrowsAsync<QmpException>(() => method == MemoryMethod.Background
            ? new BackgroundCheckpoint(work, pipe, "fd:x").TakeAsync(default)
            : new PrecopyCheckpoint(work, "fd:x").TakeAsync(method, default));
        Assert.Equal("the first", error.Description);
        Assert.Equal(["cont", "cont", "cont"], qemu.Heard.TakeLast(3));
    }

    [Fact]
    public async Task A_guest_whose_memory_was_saved_goes_on_although_qemu_refuses_it_at_first()
    {
        int refusals = 0;
        await using var qemu = await ScriptedQemu.StartAsync((qemu, command) => command switch
        {
            "query-status" => """ "return": {"status": "running"} """,
            "qom-get" => """ "return": "pc-q35-7.2-machine" """,
            "query-migrate" => $$""" "return": {"status": "{{(qemu.Heard.Contains("migrate-continue") ? "completed" : "pre-switchover")}}"} """,
            "cont" when ++refusals < 3 => Error("Failed to get shared \\\"write\\\" lock"),
            _ => null,
        });
        using var folder = new TempFolder();
        using (await StandingMachine.SaveAsync(qemu.Machine, SystemFiles.Instance, folder.File("memory"), default))
        {
            Assert.DoesNotContain("cont", qemu.Heard);
        }
        Assert.Equal(["cont", "cont", "cont"], qemu.Heard.TakeLast(3));
    }

    [Theory]
    [InlineData("running", true)]
    [InlineData("suspended", true)]
    [InlineData("shutdown", false)]
    public async Task A_guest_that_slept_or_had_shut_down_does_so_after_a_standstill(string state, bool goesOn)
    {
        await using var qemu = await ScriptedQemu.StartAsync((_, command) => command == "query-status" ? $$""" "return": {"status": "{{state}}"} """ : null);
        await Task.Run(() =>
        {
            using var standstill = new Standstill(qemu.Machine, guard: null);
            standstill.Begin();
        });
        Assert.DoesNotContain("system_wakeup", qemu.Heard);
        Assert.Equal(goesOn, qemu.Heard.Contains("cont"));
    }

    [Fact]
    public async Task A_job_that_is_cancelled_while_qemu_begins_it_does_not_go_on()
    {
        using var cancel = new CancellationTokenSource();
        string job = "";
        await using var qemu = await ScriptedQemu.StartAsync((qemu, command) =>
        {
            if (command == "query-jobs") return $$""" "return": [{"id": "{{job}}", "status": "{{(qemu.Heard.Contains("job-cancel") ? "concluded" : "running")}}"}] """;
            if (command != "block-stream") return null;
            job = qemu.Arguments!["job-id"]!.GetValue<string>();
            cancel.Cancel();
            Thread.Sleep(200);
            return null;
        });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => BlockJob.StreamAsync(qemu.Machine, "node", null, null, cancellation: cancel.Token));
        Assert.Equal("job-dismiss", qemu.Heard[^1]);
    }

    private static string Error(string description) => $$""" "error": {"class": "GenericError", "desc": "{{description}}"} """;
}
