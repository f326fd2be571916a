using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>Two runbooks make the same store: one does, and the other finds it, with what is in it by then.</summary>
public sealed class InitializeTests : IDisposable
{
    private readonly TempFolder _folder = TempFolder.InMemory();

    [Fact]
    public void A_store_that_another_process_makes_and_uses_meanwhile_is_left_as_it_is()
    {
        int races = 0;
        for (int at = 1; ; at++)
        {
            string store = _folder.File($"store{at}");
            var files = new FaultyFileSystem(SystemFiles.Instance);
            Guid made = default;
            files.Before = (_, _) =>
            {
                if (files.AllCalls + 1 < at || made != default) return;
                made = Guid.Empty;
                if (IsBeingMade(store)) return;
                made = EmbeddedStore.Initialize(store).Run().Id;
                using var engine = EmbeddedStore.Open(store);
                engine.Volumes.Create(new NewVolumeRequest { Name = "data", SizeBytes = 1 << 20 }).Run();
            };
            var found = EmbeddedStore.Initialize(files, store).Run();
            if (files.AllCalls < at) break;
            if (made == default) continue;
            races++;
            Assert.Equal(made, found.Id);
            using var after = EmbeddedStore.Open(store);
            Assert.Equal("data", Assert.Single(after.Volumes.Find()).Name);
            StoreScenario.AssertClean(after);
        }
        Assert.True(races > 10, $"only {races}");
    }

    /// <summary>Whether the lock is held for the making: then the other one would wait for this very thread.</summary>
    private static bool IsBeingMade(string store)
    {
        string locks = Path.Combine(store, "locks");
        if (!File.Exists(locks)) return false;
        using var file = SystemFiles.Instance.Open(locks, FileOpenMode.ReadWrite);
        return !file.TryLock(Core.Engine.LockKey.Store.Offset, 1, LockKind.Exclusive);
    }

    public void Dispose() => _folder.Dispose();
}
