using SnapshotTools.IO;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Qcow2.Tests.Hostile;

/// <summary>Does with an image all that the library can do, and tells how each thing ended: well, or with which code. Any
/// exception that is not the library's own goes through: it is a bug.</summary>
public static class Exerciser
{
    /// <summary>Bytes that each operation may allocate in all, beside a multiple of what the file holds.</summary>
    public const long MemoryAllowance = 48 << 20;

    private const string Image = "/a.qcow2";
    private const int MaxExtents = 2000;
    private const int Step = 64 << 10;

    /// <summary>The operations by name.</summary>
    public static IReadOnlyDictionary<string, Action<IFileSystem>> Operations { get; } = new Dictionary<string, Action<IFileSystem>>
    {
        ["open"] = files => Open(files).Dispose(),
        ["read"] = Read,
        ["map"] = Map,
        ["snapshots"] = Snapshots,
        ["bitmaps"] = Bitmaps,
        ["check"] = files => ImageCheck.Run(files, Image, new CheckOptions { MemoryLimit = MemoryAllowance / 2 }),
        ["repair"] = Repair,
    };

    /// <summary>Runs everything over copies of the files.</summary>
    /// <returns>By operation: null, or the code of its error.</returns>
    /// <exception cref="InvalidOperationException">Something was touched, or memory taken, that must not be.</exception>
    public static Dictionary<string, Qcow2ErrorCode?> Run(MemoryFileSystem files)
    {
        var outcomes = new Dictionary<string, Qcow2ErrorCode?>();
        long held = files.Stat(Image)!.AllocatedBytes;
        foreach ((string name, Action<IFileSystem> operation) in Operations)
        {
            var guarded = new GuardedFileSystem(files.Copy(), Image);
            long before = GC.GetAllocatedBytesForCurrentThread();
            outcomes[name] = Outcome(operation, guarded);
            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            if (guarded.Attempts.Count > 0) throw new InvalidOperationException($"{name} reached for {string.Join(", ", guarded.Attempts)}");
            if (allocated > MemoryAllowance + (64 * held)) throw new InvalidOperationException($"{name} allocated {allocated >> 20} MiB for an image that holds {held} bytes");
        }
        return outcomes;
    }

    /// <summary>The code with which an operation fails, or null.</summary>
    public static Qcow2ErrorCode? Outcome(Action<IFileSystem> operation, IFileSystem files)
    {
        try
        {
            operation(files);
            return null;
        }
        catch (Qcow2Exception e)
        {
            return e.Code;
        }
    }

    private static Qcow2Image Open(IFileSystem files) => Qcow2Image.Open(files, Image, new ImageOpenOptions { CacheBytes = 1 << 20 });

    /// <summary>Reads the start, the end and the start of each stretch that the map tells; the first error ends it.</summary>
    private static void Read(IFileSystem files)
    {
        using Qcow2Image image = Open(files);
        ReadSome(image);
    }

    private static void ReadSome(IDiskImage image)
    {
        byte[] buffer = new byte[Step];
        void At(long offset)
        {
            long from = Math.Clamp(offset, 0, image.VirtualSize);
            image.Read(from, buffer.AsSpan(0, (int)Math.Min(Step, image.VirtualSize - from)));
        }
        for (long at = 0; at < Math.Min(image.VirtualSize, 16 * Step); at += Step) At(at);
        At(image.VirtualSize - Step);
        foreach (MapExtent extent in image.Map(0, image.VirtualSize).Where(e => e.Kind is ExtentKind.Data or ExtentKind.Compressed).Take(MaxExtents / 10)) At(extent.Offset);
    }

    private static void Map(IFileSystem files)
    {
        using Qcow2Image image = Open(files);
        long end = 0;
        foreach (MapExtent extent in image.Map(0, image.VirtualSize).Take(MaxExtents))
        {
            if (extent.Offset != end || extent.Count <= 0) throw new InvalidOperationException($"The map has a gap or overlap at {end}: {extent}");
            end = extent.End;
        }
        if (end > image.VirtualSize) throw new InvalidOperationException($"The map ends at {end}, the disk at {image.VirtualSize}");
        image.GetUsage();
    }

    private static void Snapshots(IFileSystem files)
    {
        using Qcow2Image image = Open(files);
        foreach (InternalSnapshot snapshot in image.ReadSnapshots().Take(4))
        {
            using IDiskImage old = image.OpenSnapshot(snapshot);
            ReadSome(old);
        }
    }

    private static void Bitmaps(IFileSystem files)
    {
        using Qcow2Image image = Open(files);
        image.ReadBitmaps();
    }

    private static void Repair(IFileSystem files)
    {
        var options = new CheckOptions { MemoryLimit = MemoryAllowance / 2 };
        RepairPlan plan = ImageRepair.Plan(files, Image, RepairScope.All, options);
        CheckResult after = ImageRepair.Execute(files, plan, options);
        if (plan.Remaining.Count == 0 && !after.IsClean) throw new InvalidOperationException($"Repaired and not clean: {after.Findings[0]}");
    }
}
