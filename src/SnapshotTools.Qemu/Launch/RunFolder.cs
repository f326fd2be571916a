using System.Globalization;
using System.Text;
using System.Text.Json;
using SnapshotTools.IO;

namespace SnapshotTools.Qemu.Launch;

/// <summary>
/// What belongs to one running machine: its sockets, console, last words, and the record by which every session finds it.
/// The folder is private to its owner and its paths are short enough for socket addresses.
/// </summary>
public sealed class RunFolder
{
    private const int MaxRecordBytes = 1 << 20;
    private readonly IFileSystem _files;

    private RunFolder(IFileSystem files, string path) => (_files, Path) = (files, path);

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>The QMP monitor for operations.</summary>
    public string MonitorSocket => In("qmp");

    /// <summary>The QMP monitor for a look at the state.</summary>
    public string StatusSocket => In("status");

    /// <summary>The host's end of the guest agent's channel.</summary>
    public string AgentSocket => In("agent");

    /// <summary>What the guest wrote to its serial console.</summary>
    public string Console => In("console.log");

    /// <summary>What QEMU wrote to its standard error: its last words.</summary>
    public string Log => In("qemu.log");

    internal string PidFile => In("pid");

    private string Record => In("machine.json");

    private bool IsInUse => Load() is { Process.IsAlive: true };

    /// <summary>The folder of a machine, whether it exists or not: where it runs, else where it would be started.</summary>
    /// <param name="files">The files.</param>
    /// <param name="machine">The machine.</param>
    /// <param name="roots">The folders in which run folders may be, that for new ones first; see <see cref="RunRoots"/>.</param>
    public static RunFolder Of(IFileSystem files, Guid machine, IReadOnlyList<string> roots)
    {
        // Its last eight bytes, which are random: socket addresses are short.
        string name = machine.ToString("N")[^16..];
        var folders = roots.Select(r => new RunFolder(files, System.IO.Path.Combine(r, name))).ToList();
        return folders.Count == 1 || folders[0].IsInUse ? folders[0] : folders.Skip(1).FirstOrDefault(f => f.IsInUse) ?? folders[0];
    }

    /// <summary>Makes the folder, for its owner only.</summary>
    /// <exception cref="IOException">The folder, or the one above it, is a link or belongs to someone else.</exception>
    public void Create()
    {
        MakePrivate(System.IO.Path.GetDirectoryName(Path)!);
        MakePrivate(Path);
        if (Encoding.UTF8.GetByteCount(StatusSocket) > Qmp.QmpEndpoint.MaxSocketPathBytes)
            throw new IOException($"'{Path}' is too long for the sockets of a machine. Name a shorter folder in SNAPSHOTTOOLS_RUN.");
    }

    /// <summary>Removes what an ended machine left, the folder too.</summary>
    public void Delete()
    {
        if (_files.Stat(Path) is not { Kind: FileKind.Directory }) return;
        foreach (var entry in _files.List(Path).ToArray()) _files.Delete(entry.Path);
        _files.DeleteDirectory(Path);
    }

    /// <summary>The machine that was started in this folder, or null. It may have ended since.</summary>
    public MachineRecord? Load()
    {
        if (_files.Stat(Record) is null || !IsMine()) return null;   // most machines of a large store do not run
        try
        {
            using var file = _files.Open(Record, FileOpenMode.Read);
            byte[] json = new byte[Math.Min(file.Length, MaxRecordBytes)];
            int count = file.Read(0, json);
            var record = JsonSerializer.Deserialize<MachineRecord>(json.AsSpan(0, count));
            // The session that started it has not come to write down its process, and may be dead.
            return record is not { Process: null } ? record : FindProcess() is { } process ? record with { Process = process } : null;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException or JsonException)
        {
            return null;
        }
    }

    /// <summary>The process of the machine that answers in this folder, by QEMU's own word: it keeps its pid file locked as long as it lives
    /// (util/oslib-posix.c, qemu_write_pidfile). Null when there is none, or when it does not answer yet.</summary>
    internal ProcessIdentity? FindProcess()
    {
        if (_files.Stat(PidFile) is not { Length: > 0 and < 32 } || _files.Stat(StatusSocket) is null) return null;
        try
        {
            using var file = _files.Open(PidFile, FileOpenMode.ReadWrite);
            if (file.TryLock(0, 1, LockKind.Exclusive)) return null;
            byte[] text = new byte[32];
            return int.TryParse(Encoding.ASCII.GetString(text, 0, file.Read(0, text)).Trim(), CultureInfo.InvariantCulture, out int id) ? ProcessIdentity.Of(id) : null;
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    /// <summary>What QEMU wrote to its standard error, at most the last 4 KiB; empty when nothing.</summary>
    public string LastWords()
    {
        const int most = 4096;
        if (_files.Stat(Log) is null) return "";
        try
        {
            using var file = _files.Open(Log, FileOpenMode.Read);
            byte[] tail = new byte[Math.Min(file.Length, most)];
            int count = file.Read(file.Length - tail.Length, tail);
            return Encoding.UTF8.GetString(tail, 0, count).Trim();
        }
        catch (IOException)
        {
            return "";
        }
    }

    /// <summary>Forgets what QEMU said, since it ended as it was told to.</summary>
    internal void ForgetWords()
    {
        if (_files.Stat(Log) is not null) _files.Delete(Log);
    }

    internal void Save(MachineRecord record)
    {
        string fresh = Record + ".new";
        if (_files.Stat(fresh) is not null) _files.Delete(fresh);
        using (var file = _files.Create(fresh)) file.Write(0, JsonSerializer.SerializeToUtf8Bytes(record));
        _files.Rename(fresh, Record);
    }

    /// <summary>Whether the folder is this user's: where others may make folders too, they may make one that looks like ours.</summary>
    private bool IsMine()
    {
        try
        {
            MakePrivate(Path);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private void MakePrivate(string folder)
    {
        _files.CreateDirectory(folder);
        if (_files.Stat(folder) is not { Kind: FileKind.Directory })
            throw new IOException($"'{folder}' is not a folder but a link or file, so no sockets are made there. Remove it, or name another in SNAPSHOTTOOLS_RUN.");
        if (OperatingSystem.IsWindows()) return;
        try
        {
            // Only its owner may do this, so it is also the proof of whose it is.
            File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"'{folder}' belongs to another user, so no sockets are made there. Name another folder in SNAPSHOTTOOLS_RUN.", e);
        }
    }

    private string In(string name) => System.IO.Path.Combine(Path, name);
}

/// <summary>A machine that was started here.</summary>
/// <param name="Id">The machine's id.</param>
/// <param name="Name">Its name.</param>
/// <param name="Process">The process of QEMU.</param>
/// <param name="StartedAt">When it was started.</param>
/// <param name="Accelerated">Whether it runs on KVM.</param>
/// <param name="Arguments">The command line, the program first.</param>
public sealed record MachineRecord(
    Guid Id, string Name, ProcessIdentity Process, DateTimeOffset StartedAt, bool Accelerated, IReadOnlyList<string> Arguments);
