using Xunit;

namespace SnapshotTools.Testing;

/// <summary>A file system of a kind and size of its own, mounted for one test; needs root. Use with <see cref="MountFactAttribute"/>.</summary>
public sealed class ScratchMount : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly string _device = "none";

    private ScratchMount(string[] mountOptions, Action<string>? format, long bytes, string? folder = null)
    {
        Path = _folder.File("mnt");
        Directory.CreateDirectory(Path);
        try
        {
            if (format is not null)
            {
                _device = folder is null ? _folder.File("disk") : System.IO.Path.Combine(folder, "disk");
                using (FileStream disk = File.Create(_device)) disk.SetLength(bytes);
                format(_device);
            }
            Tool.Run("mount", [.. mountOptions, _device, Path]);
        }
        catch
        {
            _folder.Dispose();
            throw;
        }
    }

    /// <summary>Where it is mounted.</summary>
    public string Path { get; }

    /// <summary>A small file system in memory, to fill it up.</summary>
    public static ScratchMount Tmpfs(long bytes) => new(["-t", "tmpfs", "-o", $"size={bytes}"], null, 0);

    /// <summary>XFS with reflinks, in a sparse loop-mounted file.</summary>
    public static ScratchMount Xfs(long bytes = 512L << 20) => new(["-o", "loop"], d => Tool.Run("mkfs.xfs", ["-q", "-m", "reflink=1", d]), bytes);

    /// <summary>ext4, in a sparse loop-mounted file.</summary>
    public static ScratchMount Ext4(bool journal = true, string? folder = null) =>
        new(["-o", "loop"], d => Tool.Run("mkfs.ext4", ["-q", "-O", journal ? "has_journal" : "^has_journal", d]), 512L << 20, folder);

    /// <summary>What a power cut at this moment would leave of another one: a copy of its disk.</summary>
    public static ScratchMount After(ScratchMount other, bool isXfs) => new(["-o", isXfs ? "loop,nouuid" : "loop"], d => File.Copy(other._device, d, overwrite: true), 0);

    /// <summary>Btrfs, in a sparse loop-mounted file.</summary>
    public static ScratchMount Btrfs(long bytes = 512L << 20) => new(["-o", "loop"], d => Tool.Run("mkfs.btrfs", ["-q", d]), bytes);

    /// <summary>The path of a file in it.</summary>
    public string At(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Makes it read-only, or writable again.</summary>
    public void Remount(bool readOnly) => Tool.Run("mount", ["-o", readOnly ? "remount,ro" : "remount,rw", Path]);

    /// <inheritdoc/>
    public void Dispose()
    {
        // What a failing test left open must not hide why it failed.
        if (Tool.TryRun("umount", [Path]).ExitCode != 0) Tool.TryRun("umount", ["-l", Path]);
        _folder.Dispose();
    }
}

/// <summary>A test that mounts file systems: skipped with the reason where this user cannot, or where a program is missing.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class MountFactAttribute : FactAttribute
{
    private static readonly Lazy<string?> CannotMount = new(() =>
    {
        try
        {
            ScratchMount.Tmpfs(1 << 20).Dispose();
            return null;
        }
        catch (Exception e) when (e is InvalidOperationException or IOException)
        {
            return "this user cannot mount file systems here: " + e.Message.Trim();
        }
    });

    /// <summary>Names the programs that the test needs.</summary>
    public MountFactAttribute(params string[] tools) => Skip = CannotMount.Value ?? Missing.Reason(tools);
}
