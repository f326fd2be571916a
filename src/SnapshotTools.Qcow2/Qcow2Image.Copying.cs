using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <content>What copies need: the files, clusters to fill, zeroes that hide what will be below.</content>
public sealed partial class Qcow2Image
{
    /// <summary>The file of a layer, by the number that a map gives it.</summary>
    internal IBlockFile? FileOf(int layer)
    {
        if (layer == 0) return _file;
        return layer > _below.Count ? null : _below[layer - 1] switch
        {
            Qcow2Image image => image._file,
            RawImage raw => raw.File,
            _ => null,
        };
    }

    /// <summary>log2 of the smallest part of a cluster that is allocated by itself.</summary>
    internal int UnitBits => _layer.UnitBits;

    /// <summary>Clusters for a range of whole clusters, to be filled and then given to <see cref="Place"/> or <see cref="GiveBack"/>.</summary>
    internal IReadOnlyList<ReservedRange> Reserve(long offset, long count)
    {
        IReadOnlyList<ReservedRange> ranges = [];
        Change(() => ranges = new ClusterReserver(BeginChange()).Reserve(offset, count));
        return ranges;
    }

    /// <summary>Lets the guest see what reserved clusters were filled with.</summary>
    internal void Place(IReadOnlyList<ReservedRange> ranges) => Change(() => new ClusterReserver(BeginChange()).Place(ranges));

    /// <summary>Gives reserved clusters back.</summary>
    internal void GiveBack(IReadOnlyList<ReservedRange> ranges) => Change(() => new ClusterReserver(BeginChange()).GiveBack(ranges));

    /// <summary>Makes a range read as zeroes whatever file will be put below.</summary>
    internal void HideWithZeroes(long offset, long count) => Change(() => ZeroWriterFor(BeginChange()).WriteZeroes(offset, count, hide: true));
}
