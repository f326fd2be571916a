namespace SnapshotTools.IO;

/// <summary>The real files of this machine.</summary>
public static class SystemFiles
{
    /// <summary>The file system of the running operating system. Stateless and safe for many threads.</summary>
    /// <remarks>Linux is tried and tested. Windows and macOS stand behind the same contract by their own means, and have
    /// been compiled but not been tried on a machine.</remarks>
    public static IFileSystem Instance { get; } = ForThisMachine();

    private static IFileSystem ForThisMachine()
    {
        if (OperatingSystem.IsLinux()) return new Linux.LinuxFileSystem();
        if (OperatingSystem.IsMacOS()) return new MacOS.MacFileSystem();
        if (OperatingSystem.IsWindows()) return new Windows.WindowsFileSystem();
        throw new PlatformNotSupportedException("SnapshotTools runs on Linux, macOS and Windows.");
    }
}
