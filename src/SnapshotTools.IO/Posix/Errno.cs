using System.Runtime.InteropServices;

namespace SnapshotTools.IO.Posix;

/// <summary>Error numbers by their Linux values; <see cref="PosixError.Last"/> translates those that macOS numbers otherwise.</summary>
internal enum Errno
{
    NotPermitted = 1,
    NotFound = 2,
    Interrupted = 4,
    InputOutput = 5,
    NoDeviceOrAddress = 6,
    BadHandle = 9,
    Again = 11,
    AccessDenied = 13,
    Exists = 17,
    CrossDevice = 18,
    NotADirectory = 20,
    IsADirectory = 21,
    Invalid = 22,
    TooManyFilesInSystem = 23,
    TooManyFiles = 24,
    TextBusy = 26,
    FileTooBig = 27,
    NoSpace = 28,
    ReadOnlyFileSystem = 30,
    NoLocks = 37,
    NotImplemented = 38,
    NotEmpty = 39,
    Loop = 40,
    NotSupported = 95,
    QuotaExceeded = 122,
}

/// <summary>Turns error numbers into exceptions whose message names the path, what failed, and why.</summary>
internal static class PosixError
{
    /// <summary>The error of this thread's last call.</summary>
    public static Errno Last => Normalize(Marshal.GetLastPInvokeError());

    /// <summary>An exception for a call that failed with <see cref="PosixError.Last"/>. <paramref name="cannotBe"/> ends the sentence "it cannot be …".</summary>
    public static IOException Failed(string path, string cannotBe) => Failed(path, cannotBe, Marshal.GetLastPInvokeError());

    /// <summary>An exception for a call that failed with the operating system's number.</summary>
    public static IOException Failed(string path, string cannotBe, int number)
    {
        string text = $"'{path}' cannot be {cannotBe}: {Cause(Normalize(number), number)}.";
        return Normalize(number) switch
        {
            Errno.NoSpace or Errno.QuotaExceeded => new DiskFullException(path),
            Errno.NotFound => new FileNotFoundException(text, path),
            Errno.NotADirectory => new DirectoryNotFoundException(text),
            _ => new IOException(text, number),
        };
    }

    private static string Cause(Errno errno, int number) => errno switch
    {
        Errno.NotFound => "there is no such file or directory",
        Errno.AccessDenied => "this user has no permission",
        Errno.NotPermitted => "the operation is not permitted (is the file immutable, or another user's?)",
        Errno.Exists => "something of that name exists already",
        Errno.InputOutput => "the disk reported an I/O error",
        Errno.ReadOnlyFileSystem => "its file system is mounted read-only",
        Errno.TooManyFiles => "this process has too many files open (see ulimit -n)",
        Errno.TooManyFilesInSystem => "the system has too many files open",
        Errno.CrossDevice => "the two paths are on different file systems",
        Errno.NotEmpty => "the directory is not empty",
        Errno.NotADirectory => "a part of the path is not a directory",
        Errno.Loop => "a symbolic link stands where none is followed",
        Errno.FileTooBig => "the file system, or the process limit, allows no file of that size",
        Errno.NoLocks => "the system has no more file locks",
        Errno.BadHandle => "it is not open in the way that this needs",
        _ => Marshal.GetPInvokeErrorMessage(number) + " (error " + number + ")",
    };

    private static Errno Normalize(int number) => (Errno)(OperatingSystem.IsMacOS()
        ? number switch { 35 => 11, 62 => 40, 66 => 39, 69 => 122, 45 or 102 => 95, 77 => 37, 78 => 38, _ => number }
        : number);
}
