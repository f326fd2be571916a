using System.Text;

namespace SnapshotTools.Qcow2;

/// <summary>Turns the recorded name of a backing file into the file to open, if the caller allowed it.</summary>
internal static class BackingName
{
    /// <exception cref="Qcow2Exception">The name is not one of a file, it is not allowed, or its format is unknown.</exception>
    public static BackingTarget Resolve(Qcow2Image layer, string name, ImageOpenOptions options)
    {
        if (options.ResolveBacking is { } resolve)
        {
            if (resolve(layer.Path, name, layer.BackingFormat) is { } target) return target;
            if (options.AllowedBacking.Count == 0) throw NotAllowed(layer, name, "the caller refused it");
        }
        if (NamesProtocol(name)) throw NotAllowed(layer, name, "only files are followed, no other protocol");
        string directory = Path.GetDirectoryName(Path.GetFullPath(layer.Path)) ?? "/";
        string path = Path.GetFullPath(Path.Combine(directory, name));
        if (!options.AllowedBacking.Any(allowed => IsWithin(path, Path.GetFullPath(allowed))))
            throw NotAllowed(layer, name, "it is not among the files that the caller allowed");
        ImageFormat format = layer.BackingFormat ?? options.DefaultBackingFormat ?? throw new Qcow2Exception(
            Qcow2ErrorCode.BackingFormatUnknown,
            layer.Path,
            $"'{layer.Path}' does not record the format of its backing file '{Printable.Text(name)}', and it is never guessed. Name it, or record it with: qemu-img rebase -u -b FILE -F FORMAT '{layer.Path}'");
        return new BackingTarget(path, format);
    }

    /// <summary>Checks a name that is to be recorded.</summary>
    /// <exception cref="ArgumentException">It is empty or too long, or QEMU would not take it as that of a file.</exception>
    public static void Check(string name)
    {
        if (name.Length == 0 || name.Contains('\0') || Encoding.UTF8.GetByteCount(name) > Limits.MaxBackingNameBytes)
            throw new ArgumentException($"The name of a backing file has 1 to {Limits.MaxBackingNameBytes} bytes and no NUL.", nameof(name));
        if (NamesProtocol(name))
            throw new ArgumentException($"QEMU would take '{Printable.Text(name)}' as the name of a protocol. Write ./ before it.", nameof(name));
    }

    /// <summary>Whether QEMU would take the name as that of a protocol (json:, nbd:, http: ...).</summary>
    private static bool NamesProtocol(string name)
    {
        int at = name.AsSpan().IndexOfAny(':', '/');
        bool drive = OperatingSystem.IsWindows() && at == 1;
        return at >= 0 && name[at] == ':' && !drive;
    }

    private static bool IsWithin(string path, string allowed)
    {
        allowed = Path.TrimEndingDirectorySeparator(allowed);
        return path == allowed || (path.StartsWith(allowed, StringComparison.Ordinal) && path[allowed.Length] == Path.DirectorySeparatorChar);
    }

    private static Qcow2Exception NotAllowed(Qcow2Image layer, string name, string why) => new(
        Qcow2ErrorCode.BackingNotAllowed,
        layer.Path,
        $"The backing file '{Printable.Text(name)}' of '{layer.Path}' is not opened: {why}.");
}
