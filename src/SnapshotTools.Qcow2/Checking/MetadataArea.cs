namespace SnapshotTools.Qcow2;

/// <summary>Tables and directories that take a stretch of the file.</summary>
internal static class MetadataArea
{
    /// <summary>Counts a stretch as referenced by metadata.</summary>
    /// <param name="name">What it is, for messages.</param>
    /// <param name="offset">Where it is.</param>
    /// <param name="bytes">Its length.</param>
    /// <param name="reader">The file.</param>
    /// <param name="geometry">The sizes of the image.</param>
    /// <param name="counts">Where it is counted.</param>
    /// <param name="findings">Where what is wrong is noted.</param>
    /// <param name="canBeRebuilt">Whether it can be built anew from the rest, as the refcount table: then what is wrong with it hides
    /// no reference, and it gives way to what was there before.</param>
    /// <returns>False when it cannot be there: then it must not be read.</returns>
    public static bool Claim(string name, long offset, long bytes, SparseReader reader, Geometry geometry, ReferenceCounts counts, FindingCollector findings, bool canBeRebuilt = false)
    {
        bool Refuse(CheckFindingKind kind, FormattableString message)
        {
            findings.AddError(canBeRebuilt ? CheckFindingKind.RefcountTable : kind, offset, -1, message, hidesReferences: !canBeRebuilt);
            return false;
        }
        if (!geometry.IsAligned(offset) || offset == 0) return Refuse(CheckFindingKind.Unaligned, $"The {name} at {offset} does not begin at a cluster of its own.");
        if (offset > reader.Length - bytes) return Refuse(CheckFindingKind.OutOfFile, $"The {name} at {offset} to {offset + bytes} goes past the end of the file at {reader.Length}.");
        ClusterUse before = ClusterUse.None;
        long first = geometry.ClusterOf(offset), end = first + geometry.ClustersFor(bytes);
        for (long cluster = first; cluster < end; cluster++)
        {
            ClusterUse use = counts.Add(cluster, 1, ClusterUse.Metadata);
            if (use > before) before = use;
        }
        if (before == ClusterUse.None) return true;
        for (long cluster = first; canBeRebuilt && cluster < end; cluster++) counts.Remove(cluster);
        return Refuse(CheckFindingKind.Overlap, $"The {name} at {offset} to {offset + bytes} lies where {Describe(before)} is.");
    }

    /// <summary>What a cluster is used for, in words.</summary>
    public static string Describe(ClusterUse use) => use switch
    {
        ClusterUse.Metadata => "the header or another table",
        ClusterUse.Compressed => "compressed data",
        _ => "a data cluster",
    };
}
