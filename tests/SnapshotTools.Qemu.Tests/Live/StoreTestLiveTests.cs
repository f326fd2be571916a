using SnapshotTools.Core;
using SnapshotTools.Guest;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qemu.Tests.Live;

/// <summary>A store is tested, and repaired, while guests write to its volumes: their QEMU knows more of the tables than the files say.</summary>
[Collection(LiveTests.Name)]
public sealed class StoreTestLiveTests : IDisposable
{
    private readonly LiveStore _store = new();

    [GuestFact("e2fsck")]
    public async Task A_store_whose_guest_writes_is_neither_called_damaged_nor_repaired_under_it()
    {
        _store.AddVm("web01");
        var shell = await _store.StartAndWorkAsync("web01");
        await shell.RunAsync("(i=0; while [ $i -lt 400 ]; do dd if=/dev/urandom of=/mnt/b/x bs=64k count=300 2>/dev/null; sync; rm /mnt/b/x; i=$((i+1)); done) >/dev/null 2>&1 &");
        var logged = new List<string>();
        for (int i = 0; i < 5; i++)
        {
            // New heads, so that every write of the guest takes new clusters.
            _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = $"s{i}" }).Run();
            for (int n = 0; n < 15; n++)
            {
                Assert.Empty(_store.Engine.Test(new RunOptions { Log = logged.Add }));
                Assert.Empty(_store.Engine.Repair().Run());
            }
        }
        Assert.Contains(logged, l => l.Contains("web01-1", StringComparison.Ordinal));
        shell.Dispose();
        _store.TurnOff("web01");
        Assert.DoesNotContain(_store.Engine.Test(), f => f.Severity != FindingSeverity.Information);
        Assert.NotEqual(0, _store.LastRecordOf("web01-0", null, "first"));
    }

    public void Dispose() => _store.Dispose();
}
