namespace SnapshotTools.Testing.Files;

/// <summary>One effect on files, as <see cref="RecordingFileSystem"/> writes it down. Files are numbered, because a name can
/// be given to another file while the first is still open.</summary>
public abstract record FileEffect
{
    /// <summary>An existing file was opened for the first time since the recording began.</summary>
    public sealed record Opened(string Path, int File) : FileEffect;

    /// <summary>A new file.</summary>
    public sealed record Created(string Path, int File) : FileEffect;

    /// <summary>Bytes written, by a write or by a copy of the kernel.</summary>
    public sealed record Written(int File, long Offset, byte[] Data) : FileEffect
    {
        /// <inheritdoc/>
        public override string ToString() => $"Written {{ File = {File}, Offset = {Offset}, Count = {Data.Length} }}";
    }

    /// <summary>A range punched out.</summary>
    public sealed record Punched(int File, long Offset, long Count) : FileEffect;

    /// <summary>The length set.</summary>
    public sealed record LengthSet(int File, long Length) : FileEffect;

    /// <summary>The time of the last change, as the system set it by the effect before.</summary>
    public sealed record TimeSet(int File, DateTimeOffset Time) : FileEffect;

    /// <summary>The file made durable.</summary>
    public sealed record Flushed(int File) : FileEffect;

    /// <summary>A new directory.</summary>
    public sealed record DirectoryCreated(string Path) : FileEffect;

    /// <summary>A file or link deleted.</summary>
    public sealed record Deleted(string Path) : FileEffect;

    /// <summary>An empty directory deleted.</summary>
    public sealed record DirectoryDeleted(string Path) : FileEffect;

    /// <summary>A file or link renamed.</summary>
    public sealed record Renamed(string Path, string NewPath) : FileEffect;

    /// <summary>A link made or replaced.</summary>
    public sealed record LinkReplaced(string Path, string Target) : FileEffect;

    /// <summary>The right to write taken or given.</summary>
    public sealed record FrozenSet(string Path, bool Frozen) : FileEffect;

    /// <summary>The names of a directory made durable.</summary>
    public sealed record DirectorySynced(string Path) : FileEffect;

    /// <summary>A watched file that others write (a database) was found with new content, or gone (null): one durable step.</summary>
    public sealed record ChangedByOthers(string Path, byte[]? Content) : FileEffect
    {
        /// <inheritdoc/>
        public override string ToString() => $"ChangedByOthers {{ Path = {Path}, Count = {Content?.Length} }}";
    }
}
