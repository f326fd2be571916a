using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Embedded;

/// <summary>Checks of single layers: is the image sound, is it the one that it should be, does it lie on the right base.</summary>
internal sealed partial class LayerStorage
{
    public IReadOnlyList<StoreFinding> CheckPlace(LayerFile layer, LayerFile? parent, LayerIdentity identity)
    {
        if (layer.External || layer.Format == LayerFormat.Raw) return [];   // carries nothing of ours
        try
        {
            using var image = Qcow2Image.Open(files, PathOf(layer), new ImageOpenOptions { Lock = false });
            var findings = new List<StoreFinding>();
            string? reference = parent is null ? null : StoreLayout.ReferenceTo(parent);
            if (image.BackingFile != reference)
                findings.Add(new StoreFinding(FindingSeverity.Error, FindingCodes.LayerBaseWrong, layer.Location,
                    $"The layer names '{image.BackingFile ?? "nothing"}' as its base; by the catalog it is '{reference ?? "nothing"}'."));
            if (IdentityExtension.Read(image) is not { } found)
                findings.Add(new StoreFinding(FindingSeverity.Warning, FindingCodes.LayerWithoutIdentity, layer.Location, "The layer does not carry its identity any more; should the catalog be lost, it cannot be put in its place."));
            else if (found.Store != identity.Store || found.Layer != identity.Layer || found.Volume != identity.Volume)
                findings.Add(new StoreFinding(FindingSeverity.Error, FindingCodes.LayerExchanged, layer.Location, $"By its own identity the file is layer {found.Layer} of volume '{found.VolumeName}' of store {found.Store}, another than the catalog says."));
            return findings;
        }
        catch (Exception error) when (error is Qcow2Exception or IOException)
        {
            return [Unreadable(layer, error)];
        }
    }

    public IReadOnlyList<StoreFinding>? CheckTables(LayerFile layer, CancellationToken cancellation)
    {
        if (layer.Format == LayerFormat.Raw) return [];   // any bytes are a raw disk
        try
        {
            if (IsWritten(layer)) return null;
            var before = Measure(layer);
            var result = ImageCheck.Run(files, PathOf(layer), new CheckOptions { Lock = false, FollowLinks = layer.External }, cancellation: cancellation);
            var findings = result.Findings.Where(f => f.Severity != CheckSeverity.Note).Select(f => new StoreFinding(
                f.Severity == CheckSeverity.Error ? FindingSeverity.Error : FindingSeverity.Information,
                f.Severity == CheckSeverity.Error ? FindingCodes.LayerDamaged : FindingCodes.LayerLeaks, layer.Location, f.Message)).ToList();
            return findings.Count > 0 && (IsWritten(layer) || Measure(layer) != before) ? null : findings;
        }
        catch (FileNotFoundException)
        {
            return [];   // whether it is to be there is its place's matter
        }
        catch (Exception error) when (error is Qcow2Exception or IOException)
        {
            return [Unreadable(layer, error)];
        }
    }

    public bool IsHeld(LayerFile layer)
    {
        if (files.Stat(PathOf(layer)) is not { Kind: FileKind.Regular }) return false;
        try
        {
            using var file = files.Open(PathOf(layer), FileOpenMode.Read);
            // Whoever writes an image excludes its readers too, so this sees a reader and a writer.
            return !ImageLock.IsFree(file, ImageUse.Write);
        }
        catch (FileNotFoundException)
        {
            return false;   // it was deleted just now
        }
    }

    private bool IsWritten(LayerFile layer)
    {
        using var file = OpenToFlush(layer);
        return !ImageLock.IsFree(file, ImageUse.Read);
    }

    private static StoreFinding Unreadable(LayerFile layer, Exception error) => new(FindingSeverity.Error, FindingCodes.LayerUnreadable, layer.Location, error.Message);
}
