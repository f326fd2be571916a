namespace SnapshotTools.Qcow2.Tests.Matrix;

/// <summary>How one file of a generated chain is made: its format, creation options and what is done to it.</summary>
/// <param name="Size">Virtual size in bytes; a multiple of 512, as qemu-img wants.</param>
/// <param name="Seed">Chooses what is written where.</param>
public sealed record LayerRecipe(long Size, int Seed)
{
    /// <summary>"qcow2" or "raw".</summary>
    public string Format { get; init; } = "qcow2";

    /// <summary>The qcow2 version, 2 or 3.</summary>
    public int Version { get; init; } = 3;

    public int ClusterSize { get; init; } = 65536;

    public int RefcountBits { get; init; } = 16;

    public bool ExtendedL2 { get; init; }

    /// <summary>Compression of compressed clusters: null for none, else "zlib" or "zstd".</summary>
    public string? Compression { get; init; }

    /// <summary>How many random writes, zero writes and discards.</summary>
    public int Operations { get; init; } = 24;

    /// <summary>How many internal snapshots are taken between operations.</summary>
    public int Snapshots { get; init; }

    /// <summary>How many persistent bitmaps are added (version 3).</summary>
    public int Bitmaps { get; init; }

    /// <summary>What qemu-img preallocates at creation: off, metadata, falloc or full.</summary>
    public string Preallocation { get; init; } = "off";

    /// <summary>Whether the backing file is named absolutely instead of relative to its overlay.</summary>
    public bool AbsoluteBacking { get; init; }

    /// <summary>Lets qemu set the lazy_refcounts bit.</summary>
    public bool LazyRefcounts { get; init; }

    /// <summary>Grows (positive) or shrinks (negative) the image by so many bytes after everything else.</summary>
    public long ResizeBy { get; init; }

    /// <summary>The "-o" argument of qemu-img create.</summary>
    public string Options
    {
        get
        {
            List<string> options = [$"compat={(Version == 2 ? "0.10" : "1.1")}", $"cluster_size={ClusterSize}"];
            if (Version == 3) options.Add($"refcount_bits={RefcountBits}");
            if (ExtendedL2) options.Add("extended_l2=on");
            if (Compression == "zstd") options.Add("compression_type=zstd");
            if (Preallocation != "off") options.Add($"preallocation={Preallocation}");
            if (LazyRefcounts) options.Add("lazy_refcounts=on");
            return string.Join(',', options);
        }
    }
}

/// <summary>A chain of files, base first, that one test image consists of.</summary>
public sealed record ImageRecipe(string Name, params LayerRecipe[] Layers)
{
    /// <summary>Whether the default test run includes it; the others need <c>SNAPSHOTTOOLS_FULL_MATRIX=1</c>.</summary>
    public bool Default { get; init; } = true;

    /// <inheritdoc/>
    public override string ToString() => Name;
}
