using SnapshotTools.Core;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Embedded;

/// <summary>
/// Merging a layer away. In both directions the child reads the same at every instant: upwards only ranges are written that
/// it had from the layer already; downwards only ranges of the layer that the child hides, until one rename puts the layer
/// into the child's place.
/// </summary>
internal sealed partial class LayerStorage
{
    public string NameAsBase(LayerFile layer) => StoreLayout.ReferenceTo(layer);

    public string? BaseNameOf(LayerFile layer)
    {
        using var image = OpenAlone(layer, write: false);
        return image.BackingFile;
    }

    public MergeCost EstimateMerge(LayerFile layer, LayerFile child)
    {
        using var lower = OpenAlone(layer, write: false);
        using var upper = OpenAlone(child, write: false);
        return new MergeCost(
            LayerMerge.Plan(lower, upper, MergeSelection.WhereTargetUnallocated).CopyBytes,
            LayerMerge.Plan(upper, lower, MergeSelection.All).CopyBytes);
    }

    public void MergeUp(LayerFile layer, LayerFile child, LayerFile? parent, LayerIdentity childIdentity, IProgress<long>? progress, CancellationToken cancellation)
    {
        SetFrozen(child, false);
        using var lower = OpenAlone(layer, write: false);
        RequireBase(lower, layer, parent);
        using var upper = OpenLayer(child, write: true);
        LayerMerge.CopyAllocated(lower, upper, MergeSelection.WhereTargetUnallocated, ByteProgress.To(progress), cancellation);
        upper.SetBacking(parent is null ? null : StoreLayout.ReferenceTo(parent), parent is null ? null : FormatOf(parent));
        IdentityExtension.Update(upper, childIdentity);
        upper.Flush();
    }

    public void MergeDown(LayerFile layer, LayerFile child, LayerFile? parent, LayerIdentity childIdentity, IProgress<long>? progress, CancellationToken cancellation)
    {
        if (files.Stat(PathOf(layer)) is null)
        {
            RequireMerged(layer, child, childIdentity);
            return;
        }
        SetFrozen(layer, false);
        using (var upper = OpenAlone(child, write: false))
        using (var lower = OpenLayer(layer, write: true))
        {
            RequireBase(lower, layer, parent);
            LayerMerge.CopyAllocated(upper, lower, MergeSelection.All, ByteProgress.To(progress), cancellation);
            IdentityExtension.Update(lower, childIdentity);
            lower.Flush();
        }
        files.Rename(PathOf(layer), PathOf(child));
        files.SyncDirectory(layout.Layers);
    }

    /// <summary>What lies under a layer that is merged away has to be what the catalog means: the other layer is laid on that.</summary>
    private void RequireBase(Qcow2Image lower, LayerFile layer, LayerFile? parent)
    {
        if (lower.BackingFile is not { } named || (parent is not null && named == StoreLayout.ReferenceTo(parent))) return;
        throw new SnapshotException(ErrorIds.LayerDamaged, ErrorKind.Damaged,
            $"The layer file '{PathOf(layer)}' lies on '{named}', and by the catalog it lies on {(parent is null ? "nothing" : $"'{StoreLayout.ReferenceTo(parent)}'")}, so it was not merged. Run Test-SnapshotStore to see what it affects.", layer.Location);
    }

    /// <summary>Where the layer's file is gone, an earlier merge has put it into the child's place; then the child says so itself.</summary>
    private void RequireMerged(LayerFile layer, LayerFile child, LayerIdentity expected)
    {
        using var merged = OpenAlone(child, write: false);
        if (IdentityExtension.Read(merged) is { } found && found.Layer == child.Id && found.Parent == expected.Parent) return;
        throw new SnapshotException(ErrorIds.LayerDamaged, ErrorKind.Damaged,
            $"The layer file '{PathOf(layer)}' is missing, and it was not merged into '{PathOf(child)}'. Put the file back, and run Test-SnapshotStore to see what it affects.", layer.Location);
    }

    /// <summary>Opens one layer without those below it.</summary>
    private Qcow2Image OpenAlone(LayerFile layer, bool write)
    {
        try
        {
            return Qcow2Image.Open(files, PathOf(layer), new ImageOpenOptions { Write = write, Lock = false });
        }
        catch (Qcow2Exception error)
        {
            throw ImageErrors.Translate(error);
        }
    }
}
