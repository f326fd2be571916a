namespace SnapshotTools.Qcow2.Tests.Matrix;

/// <summary>
/// The feature matrix of qcow2 as recipes for real images: every value of every feature in the default run, every
/// sensible pair of them when <c>SNAPSHOTTOOLS_FULL_MATRIX=1</c> is set.
/// </summary>
public static class ImageMatrix
{
    private static readonly int[] ClusterSizes =
        [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288, 1 << 20, 2 << 20];

    private static readonly int[] RefcountWidths = [1, 2, 4, 8, 16, 32, 64];

    /// <summary>True when the environment asks for the whole matrix.</summary>
    public static bool Full => Environment.GetEnvironmentVariable("SNAPSHOTTOOLS_FULL_MATRIX") == "1";

    /// <summary>The recipes of this run.</summary>
    public static IReadOnlyList<ImageRecipe> Recipes { get; } = [.. All().Where(r => r.Default || Full)];

    /// <summary>Names of the recipes, for theories.</summary>
    public static IEnumerable<object[]> Names() => Recipes.Select(r => new object[] { r.Name });

    /// <summary>The recipe of a name.</summary>
    public static ImageRecipe Get(string name) => Recipes.Single(r => r.Name == name);

    /// <summary>Several L2 tables of small clusters, at least six large clusters, and an odd tail.</summary>
    private static long SizeFor(int clusterSize) => Math.Max(Math.Clamp(clusterSize * 50L, 192 * 1024, 4 << 20), clusterSize * 6L) + 3 * 512;

    private static IEnumerable<ImageRecipe> All() =>
        [.. ClusterAndVersion(), .. Refcounts(), .. ExtendedL2(), .. Compressed(), .. Snapshots(), .. Bitmaps(), .. Sizes(), .. Chains()];

    private static IEnumerable<ImageRecipe> ClusterAndVersion()
    {
        int[] often = [512, 4096, 65536, 2 << 20];
        int seed = 100;
        foreach (int size in ClusterSizes)
        {
            foreach (int version in new[] { 2, 3 })
            {
                yield return new($"v{version} cluster {size}", new LayerRecipe(SizeFor(size), seed++) { Version = version, ClusterSize = size })
                {
                    Default = version == 3 || often.Contains(size),
                };
            }
        }
        yield return new("v3 lazy refcounts", new LayerRecipe(SizeFor(65536), seed++) { LazyRefcounts = true });
        foreach (string preallocation in new[] { "metadata", "falloc", "full" })
            yield return new($"v3 preallocation {preallocation}", new LayerRecipe(SizeFor(16384), seed++) { ClusterSize = 16384, Preallocation = preallocation });
    }

    private static IEnumerable<ImageRecipe> Refcounts()
    {
        int seed = 200;
        foreach (int bits in RefcountWidths)
        {
            foreach (int size in ClusterSizes)
            {
                yield return new($"v3 refcount {bits} cluster {size}", new LayerRecipe(SizeFor(size), seed++)
                {
                    RefcountBits = bits,
                    ClusterSize = size,
                    Snapshots = bits > 2 ? 2 : 0,
                })
                { Default = size == (bits % 3 == 1 ? 512 : 4096) };
            }
        }
    }

    private static IEnumerable<ImageRecipe> ExtendedL2()
    {
        int seed = 300;
        foreach (int size in ClusterSizes.Where(s => s >= 16384))
        {
            foreach (string? compression in new[] { null, "zlib", "zstd" })
            {
                yield return new($"v3 extended L2 cluster {size} {compression ?? "plain"}", new LayerRecipe(SizeFor(size), seed++)
                {
                    ExtendedL2 = true,
                    ClusterSize = size,
                    Compression = compression,
                    Operations = 60,
                    Snapshots = compression is null ? 1 : 0,
                })
                { Default = compression is null ? size is 16384 or 65536 or 2 << 20 : size == 32768 };
            }
        }
    }

    private static IEnumerable<ImageRecipe> Compressed()
    {
        int seed = 400;
        foreach (string compression in new[] { "zlib", "zstd" })
        {
            foreach (int size in ClusterSizes)
            {
                yield return new($"v3 {compression} cluster {size}", new LayerRecipe(SizeFor(size), seed++)
                {
                    ClusterSize = size,
                    Compression = compression,
                })
                { Default = size is 512 or 4096 or 65536 or 2 << 20 };
            }
        }
        yield return new("v2 zlib", new LayerRecipe(SizeFor(65536), seed++) { Version = 2, Compression = "zlib" });
        yield return new("v2 zlib snapshots", new LayerRecipe(SizeFor(4096), seed++) { Version = 2, ClusterSize = 4096, Compression = "zlib", Snapshots = 2 });
        yield return new("zstd over zlib over zstd",
            new LayerRecipe(SizeFor(65536), seed++) { Compression = "zstd", Operations = 8 },
            new LayerRecipe(SizeFor(65536), seed++) { Compression = "zlib", ClusterSize = 4096, Operations = 8 },
            new LayerRecipe(SizeFor(65536), seed++) { Compression = "zstd", ClusterSize = 131072, Operations = 8 });
    }

    private static IEnumerable<ImageRecipe> Snapshots()
    {
        int seed = 500;
        foreach (int version in new[] { 2, 3 })
        {
            yield return new($"v{version} three snapshots", new LayerRecipe(SizeFor(4096), seed++)
            {
                Version = version,
                ClusterSize = 4096,
                Snapshots = 3,
                Operations = 40,
            });
        }
        yield return new("v3 snapshots then resized", new LayerRecipe(SizeFor(4096), seed++) { ClusterSize = 4096, Snapshots = 2, ResizeBy = 1 << 20 });
        yield return new("v3 snapshots under an overlay",
            new LayerRecipe(SizeFor(4096), seed++) { ClusterSize = 4096, Snapshots = 2 },
            new LayerRecipe(SizeFor(4096), seed++) { Snapshots = 1, Operations = 8 });
    }

    private static IEnumerable<ImageRecipe> Bitmaps()
    {
        int seed = 600;
        yield return new("v3 one bitmap", new LayerRecipe(SizeFor(65536), seed++) { Bitmaps = 1 });
        yield return new("v3 three bitmaps cluster 4096", new LayerRecipe(SizeFor(4096), seed++) { ClusterSize = 4096, Bitmaps = 3 });
        yield return new("v3 bitmaps and snapshots", new LayerRecipe(SizeFor(4096), seed++) { ClusterSize = 4096, Bitmaps = 2, Snapshots = 1 });
    }

    private static IEnumerable<ImageRecipe> Sizes()
    {
        int seed = 700;
        foreach (long size in new[] { 512L, 1024, 65536 - 512, 65536, 65536 + 512, 1_000_448 })
            yield return new($"v3 size {size}", new LayerRecipe(size, seed++) { Operations = 4 });
        yield return new("v3 grown", new LayerRecipe(SizeFor(4096), seed++) { ClusterSize = 4096, ResizeBy = 3 << 20 });
        yield return new("v3 shrunk", new LayerRecipe(SizeFor(4096), seed++) { ClusterSize = 4096, ResizeBy = -64 * 512 });
        yield return new("v3 many L2 tables", new LayerRecipe(1_200_000_512, seed++));
        yield return new("v3 empty", new LayerRecipe(1 << 20, seed++) { Operations = 0 });
    }

    private static IEnumerable<ImageRecipe> Chains()
    {
        int seed = 800;
        LayerRecipe Layer(long size, int cluster = 65536, int version = 3) => new(size, seed++) { ClusterSize = cluster, Version = version, Operations = 12 };
        LayerRecipe Raw(long size) => new(size, seed++) { Format = "raw", Operations = 12 };

        yield return new("chain qcow2 on raw", Raw(2 << 20), Layer(2 << 20));
        yield return new("chain qcow2 on odd raw", Raw((1 << 20) + 512 * 7), Layer(2 << 20));
        yield return new("chain absolute name", Layer(2 << 20), Layer(2 << 20) with { AbsoluteBacking = true });
        yield return new("chain larger than base", Layer(1_000_448, 4096), Layer(3 << 20));
        yield return new("chain smaller than base", Layer(3 << 20), Layer(1_000_448, 4096));
        yield return new("chain larger, smaller, larger", Layer(2 << 20, 4096), Layer(700_416, 65536), Layer(3 << 20, 512));
        yield return new("chain v2 on v3 on v2", Layer(2 << 20, 4096, 2), Layer(2 << 20, 512), Layer(2 << 20, 65536, 2));
        yield return new("chain extended L2 on plain", Layer(2 << 20, 4096), Layer(2 << 20) with { ExtendedL2 = true, Operations = 40 });
        yield return new("chain plain on extended L2", Layer(2 << 20, 32768) with { ExtendedL2 = true, Operations = 40 }, Layer(2 << 20, 4096));
        yield return new("chain of eight", [Raw(1 << 20), .. Enumerable.Range(0, 7).Select(i => Layer((1 << 20) + i * 4096L, i % 2 == 0 ? 4096 : 65536) with { Operations = 5 })]);
    }
}
