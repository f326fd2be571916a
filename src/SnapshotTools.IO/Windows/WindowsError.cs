using System.Runtime.InteropServices;

namespace SnapshotTools.IO.Windows;

/// <summary>Turns Win32 errors into exceptions whose message names the path, what failed, and why.</summary>
internal static class WindowsError
{
    private const int FromWin32 = unchecked((int)0x80070000);

    /// <summary>An exception for this thread's last call. <paramref name="cannotBe"/> ends the sentence "it cannot be …".</summary>
    public static IOException Failed(string path, string cannotBe) => Failed(path, cannotBe, Marshal.GetLastPInvokeError());

    /// <summary>The same for an exception of the framework, which carries the number in its HResult.</summary>
    public static IOException Failed(string path, string cannotBe, Exception cause) => Failed(path, cannotBe, cause.HResult & 0xffff);

    private static IOException Failed(string path, string cannotBe, int number)
    {
        string text = $"'{path}' cannot be {cannotBe}: {Marshal.GetPInvokeErrorMessage(number).TrimEnd('.', ' ', '\r', '\n')} (error {number}).";
        return number switch
        {
            Kernel32.ErrorDiskFull or Kernel32.ErrorHandleDiskFull or Kernel32.ErrorQuota => new DiskFullException(path),
            Kernel32.ErrorFileNotFound => new FileNotFoundException(text, path),
            Kernel32.ErrorPathNotFound => new DirectoryNotFoundException(text),
            _ => new IOException(text, FromWin32 | number),
        };
    }
}
