using System.Reflection;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.Qcow2;

/// <summary>A decompression context of libzstd.</summary>
internal sealed class ZstdContext : SafeHandleZeroOrMinusOneIsInvalid
{
    public ZstdContext()
        : base(ownsHandle: true)
    {
    }

    /// <exception cref="NotSupportedException">The machine has no libzstd.</exception>
    public static ZstdContext Create(int windowLogMax)
    {
        ZstdContext context;
        try
        {
            context = ZstdNative.CreateContext();
        }
        catch (DllNotFoundException e)
        {
            throw new NotSupportedException(ZstdNative.MissingMessage, e);
        }
        if (context.IsInvalid) throw new InsufficientMemoryException("libzstd could not allocate a decompression context.");
        nuint result = ZstdNative.SetParameter(context, ZstdNative.WindowLogMaxParameter, windowLogMax);
        if (ZstdNative.IsError(result) != 0) throw new NotSupportedException("libzstd does not accept a limit for its window; a version from 1.4.0 is needed.");
        return context;
    }

    public void Reset() => ZstdNative.ResetContext(this, ZstdNative.ResetSession);

    protected override bool ReleaseHandle()
    {
        ZstdNative.FreeContext(handle);
        return true;
    }
}

/// <summary>The functions of libzstd that are used (zstd.h, stable since 1.4.0; C calling convention, results checked with ZSTD_isError).</summary>
internal static unsafe partial class ZstdNative
{
    /// <summary>Names a libzstd to be used in place of the system's.</summary>
    public const string PathVariable = "SNAPSHOTTOOLS_LIBZSTD";

    public const int WindowLogMaxParameter = 100;

    public const int ResetSession = 1;

    private const string Library = "libzstd";

    static ZstdNative() => NativeLibrary.SetDllImportResolver(typeof(ZstdNative).Assembly, Resolve);

    public static string MissingMessage
    {
        get
        {
            string? chosen = Environment.GetEnvironmentVariable(PathVariable);
            return string.IsNullOrEmpty(chosen)
                ? $"The image has clusters compressed with zstd, and this machine has no libzstd. Install it (Debian: libzstd1, Fedora: libzstd, macOS: brew install zstd), or set {PathVariable} to the path of the library."
                : $"The image has clusters compressed with zstd, and {PathVariable} names '{chosen}', which cannot be loaded. Correct it or unset it.";
        }
    }

    private static string[] Names =>
        OperatingSystem.IsWindows() ? ["libzstd.dll", "zstd.dll"]
        : OperatingSystem.IsMacOS() ? ["libzstd.1.dylib", "/opt/homebrew/lib/libzstd.1.dylib", "/usr/local/lib/libzstd.1.dylib"]
        : ["libzstd.so.1", "libzstd.so"];

    [LibraryImport(Library, EntryPoint = "ZSTD_createDCtx")]
    public static partial ZstdContext CreateContext();

    [LibraryImport(Library, EntryPoint = "ZSTD_freeDCtx")]
    public static partial nuint FreeContext(nint context);

    [LibraryImport(Library, EntryPoint = "ZSTD_DCtx_setParameter")]
    public static partial nuint SetParameter(ZstdContext context, int parameter, int value);

    [LibraryImport(Library, EntryPoint = "ZSTD_DCtx_reset")]
    public static partial nuint ResetContext(ZstdContext context, int directive);

    [LibraryImport(Library, EntryPoint = "ZSTD_decompressStream")]
    public static partial nuint DecompressStream(ZstdContext context, ref Buffer output, ref Buffer input);

    [LibraryImport(Library, EntryPoint = "ZSTD_isError")]
    public static partial uint IsError(nuint result);

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? search)
    {
        if (name != Library) return 0;
        string? chosen = Environment.GetEnvironmentVariable(PathVariable);
        IEnumerable<string> names = string.IsNullOrEmpty(chosen) ? Names : [chosen];
        foreach (string candidate in names)
        {
            if (NativeLibrary.TryLoad(candidate, out nint library)) return library;
        }
        throw new DllNotFoundException(MissingMessage);
    }

    /// <summary>ZSTD_inBuffer and ZSTD_outBuffer.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Buffer
    {
        public byte* Start;
        public nuint Size;
        public nuint Position;
    }
}
