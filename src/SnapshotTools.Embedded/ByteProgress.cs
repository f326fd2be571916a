using SnapshotTools.Qcow2;

namespace SnapshotTools.Embedded;

/// <summary>Passes on how many bytes a copy has done.</summary>
internal sealed class ByteProgress(IProgress<long> target) : IProgress<CopyProgress>
{
    public static ByteProgress? To(IProgress<long>? target) => target is null ? null : new ByteProgress(target);

    public void Report(CopyProgress value) => target.Report(value.DoneBytes);
}
