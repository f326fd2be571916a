using System.Text;
using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.Core.Catalog;

/// <summary>A SQLite file that is open.</summary>
internal sealed unsafe class Connection : SafeHandleZeroOrMinusOneIsInvalid
{
    private Connection(nint handle)
        : base(ownsHandle: true) => SetHandle(handle);

    /// <summary>Opens a file that is there, to read and write it.</summary>
    /// <exception cref="SqliteFailure">It cannot be opened. Whether it is a catalog is found out when it is first read.</exception>
    public static Connection Open(string path)
    {
        NativeSqlite.EnsureReady();
        nint handle;
        int result;
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0')) result = Sqlite3.Open(name, out handle, Sqlite3.ReadWrite, null);
        // There is one to close, and to ask, when it failed, too.
        var connection = new Connection(handle);
        if (result == Sqlite3.Ok) return connection;
        using (connection) throw SqliteFailure.Last(handle);
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle() => Sqlite3.CloseConnection(handle) == Sqlite3.Ok;
}
