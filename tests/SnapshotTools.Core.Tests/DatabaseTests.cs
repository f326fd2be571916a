using SnapshotTools.Core.Catalog;
using SnapshotTools.IO;
using SnapshotTools.Testing;

namespace SnapshotTools.Core.Tests;

/// <summary>How the catalog's file is opened.</summary>
public sealed class DatabaseTests : IDisposable
{
    private readonly TempFolder _folder = TempFolder.InMemory();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_connection_is_durable_checks_references_and_waits_for_others()
    {
        using (Database.Open(SystemFiles.Instance, _folder.File("catalög"), create: true))
        {
            // Only the journal's mode is written into the file.
        }

        using var database = Database.Open(SystemFiles.Instance, _folder.File("catalög"), create: false);

        Assert.Equal("wal", database.Text("PRAGMA journal_mode"));
        Assert.Equal(2, database.Number("PRAGMA synchronous"));   // FULL
        Assert.Equal(1, database.Number("PRAGMA foreign_keys"));
        Assert.Equal(30_000, database.Number("PRAGMA busy_timeout"));
        Assert.True(File.Exists(_folder.File("catalög-wal")));
    }

    [Fact]
    public void A_file_that_cannot_be_opened_is_named_with_SQLites_reason_and_not_made()
    {
        string path = _folder.File("none");

        var error = Assert.Throws<SnapshotException>(() => Database.Open(SystemFiles.Instance, path, create: false).Dispose());

        Assert.Equal(ErrorIds.StoreIoFailed, error.ErrorId);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.Contains("SQLite Error 14: 'unable to open database file'", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(path));
    }
}
