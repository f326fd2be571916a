using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace SnapshotTools.Qcow2;

/// <summary>
/// Expands deflate data by the system's libdeflate where there is one: faster than a stream, since it is given all of the data and all of the room
/// at once (libdeflate.h; this interface is unchanged since its version 1.0).
/// </summary>
internal static unsafe class Libdeflate
{
    private const int Success = 0;

    private static readonly ConcurrentBag<nint> Decompressors = [];   // of 11 KiB each, as many as threads ever expanded at once
    private static readonly delegate* unmanaged<nint> Create;
    private static readonly delegate* unmanaged<nint, byte*, nuint, byte*, nuint, nuint*, nuint*, int> Decompress;

    static Libdeflate()
    {
        foreach (string name in Names)
        {
            if (!NativeLibrary.TryLoad(name, out nint library)) continue;
            if (!NativeLibrary.TryGetExport(library, "libdeflate_alloc_decompressor", out nint create)
                || !NativeLibrary.TryGetExport(library, "libdeflate_deflate_decompress_ex", out nint decompress)) continue;
            Create = (delegate* unmanaged<nint>)create;
            Decompress = (delegate* unmanaged<nint, byte*, nuint, byte*, nuint, nuint*, nuint*, int>)decompress;
            return;
        }
    }

    /// <summary>Whether this machine has it.</summary>
    public static bool IsAvailable => Decompress != null;

    private static string[] Names =>
        OperatingSystem.IsWindows() ? []
        : OperatingSystem.IsMacOS() ? ["libdeflate.0.dylib", "/opt/homebrew/lib/libdeflate.0.dylib", "/usr/local/lib/libdeflate.0.dylib"]
        : ["libdeflate.so.0"];

    /// <summary>Expands data whose stream ends exactly where the target does; false for all else, whatever is in the target then.</summary>
    public static bool TryExpand(ReadOnlySpan<byte> source, Span<byte> target)
    {
        if (!IsAvailable) return false;
        if (!Decompressors.TryTake(out nint decompressor) && (decompressor = Create()) == 0) return false;
        try
        {
            nuint taken, given;
            fixed (byte* from = source)
            fixed (byte* to = target)
                return Decompress(decompressor, from, (nuint)source.Length, to, (nuint)target.Length, &taken, &given) == Success && given == (nuint)target.Length;
        }
        finally
        {
            Decompressors.Add(decompressor);
        }
    }
}
