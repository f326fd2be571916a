using SnapshotTools.IO;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Writing;

/// <summary>An image in memory that crashes and faults are tried on.</summary>
internal sealed class TroubledImage
{
    public const string Head = "/d/head.qcow2";
    private const string Base = "/d/base.qcow2";

    public static readonly ImageOpenOptions Open = new() { Write = true, Backing = BackingPolicy.Allowed, AllowedBacking = ["/d"] };

    public static readonly Dictionary<string, ImageCreateOptions> Shapes = new()
    {
        ["512"] = new() { VirtualSize = 200 << 10, ClusterSize = 512 },
        ["512, 64-bit counts"] = new() { VirtualSize = 300 << 10, ClusterSize = 512, RefcountBits = 64 },
        ["4K, 1-bit counts"] = new() { VirtualSize = 500 << 10, ClusterSize = 4096, RefcountBits = 1 },
        ["16K extended"] = new() { VirtualSize = 600 << 10, ClusterSize = 16384, ExtendedL2 = true },
        ["version 2, 1K"] = new() { VirtualSize = 300 << 10, ClusterSize = 1024, Version = 2 },
        ["64K"] = new() { VirtualSize = 1 << 20 },
    };

    public TroubledImage(string shape, int seed, bool overlay, int steps)
    {
        ImageCreateOptions options = Shapes[shape];
        overlay &= options.Version == 3;
        Random = new Random(seed);
        Unit = options.ExtendedL2 ? options.ClusterSize / 32 : options.ClusterSize;
        Files.CreateDirectory("/d");
        byte[] content = new byte[options.VirtualSize];
        if (overlay)
        {
            using Qcow2Image below = Qcow2Image.Create(Files, Base, options with { VirtualSize = options.VirtualSize / 1024 * 512, ClusterSize = 65536, ExtendedL2 = false, RefcountBits = 16 });
            Random.NextBytes(content.AsSpan(0, (int)below.VirtualSize));
            below.Write(0, content.AsSpan(0, (int)below.VirtualSize));
        }
        options = options with { BackingFile = overlay ? "base.qcow2" : null, BackingFormat = overlay ? ImageFormat.Qcow2 : null, Open = Open };
        using (Qcow2Image image = Qcow2Image.Create(Files, Head, options))
        {
            for (int i = 0; i < 4; i++)
            {
                RandomStep step = RandomStep.Next(Random, content.Length);
                step.Do(image);
                content = step.Do(content, Unit);
            }
            image.Flush();
        }
        Content = content;
        int size = content.Length;
        for (int i = 0; i < steps; i++)
        {
            RandomStep step = RandomStep.Next(Random, size);
            Steps.Add(step);
            if (step.Kind == StepKind.Resize) size = step.Offset;
        }
    }

    public Random Random { get; }

    public MemoryFileSystem Files { get; } = new();

    /// <summary>What it holds before the steps.</summary>
    public byte[] Content { get; }

    /// <summary>What is to be done to it.</summary>
    public List<RandomStep> Steps { get; } = [];

    /// <summary>What it discards as a whole.</summary>
    public int Unit { get; }

    public static void RequireNoErrors(IFileSystem files)
    {
        CheckResult result = ImageCheck.Run(files, Head);
        Assert.True(result.IsComplete);
        Assert.True(result.Errors == 0, string.Join('\n', result.Findings.Where(f => f.Severity != CheckSeverity.Leak).Select(f => f.Message).Take(5)));
    }

    /// <summary>Asserts that an image holds, sector by sector, one of some contents.</summary>
    public static void RequireOneOf(Qcow2Image image, IReadOnlyCollection<byte[]> allowed)
    {
        const int Sector = 512;
        Assert.Contains(allowed, c => c.Length == image.VirtualSize);
        byte[] actual = new byte[image.VirtualSize];
        image.Read(0, actual);
        for (int at = 0; at < actual.Length; at += Sector)
        {
            ReadOnlySpan<byte> sector = actual.AsSpan(at, Sector);
            bool known = false;
            foreach (byte[] content in allowed)
                known |= at < content.Length ? content.AsSpan(at, Sector).SequenceEqual(sector) : !sector.ContainsAnyExcept((byte)0);
            Assert.True(known, $"The sector at {at} holds what it never did, or lost what was flushed.");
        }
    }
}
