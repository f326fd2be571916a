using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Embedded;

/// <summary>Checks of single layers: is the image sound, is it the one that it should be, does it lie on the right base.</summary>
internal sealed partial class LayerStorage
{
    public IReadOnlyList<StoreFinding> Check(LayerFile layer, LayerFile? parent, LayerIdentity identity, CancellationToken cancellation)
    {
        if (layer.Format == LayerFormat.Raw) return [];   // any bytes are a raw disk
        var findings = new List<StoreFinding>();
        try
        {
            var result = ImageCheck.Run(files, PathOf(layer), new CheckOptions { Lock = false, FollowLinks = layer.External }, cancellation: cancellation);
            findings.AddRange(result.Findings.Where(f => f.Severity != CheckSeverity.Note).Select(f => new StoreFinding(
                f.Severity == CheckSeverity.Error ? FindingSeverity.Error : FindingSeverity.Information,
                f.Severity == CheckSeverity.Error ? FindingCodes.LayerDamaged : FindingCodes.LayerLeaks, layer.Location, f.Message)));
            if (!layer.External) CheckIdentity(layer, parent, identity, findings);
        }
        catch (Exception error) when (error is Qcow2Exception or IOException)
        {
            findings.Add(new StoreFinding(FindingSeverity.Error, FindingCodes.LayerUnreadable, layer.Location, error.Message));
        }
        return findings;
    }

    private void CheckIdentity(LayerFile layer, LayerFile? parent, LayerIdentity expected, List<StoreFinding> findings)
    {
        using var image = OpenAlone(layer, write: false);
        string? reference = parent is null ? null : StoreLayout.ReferenceTo(parent);
        if (image.BackingFile != reference)
            findings.Add(new StoreFinding(FindingSeverity.Error, FindingCodes.LayerBaseWrong, layer.Location,
                $"The layer names '{image.BackingFile ?? "nothing"}' as its base; by the catalog it is '{reference ?? "nothing"}'."));
        if (IdentityExtension.Read(image) is not { } found)
            findings.Add(new StoreFinding(FindingSeverity.Warning, FindingCodes.LayerWithoutIdentity, layer.Location, "The layer does not carry its identity any more; should the catalog be lost, it cannot be put in its place."));
        else if (found.Store != expected.Store || found.Layer != expected.Layer || found.Volume != expected.Volume)
            findings.Add(new StoreFinding(FindingSeverity.Error, FindingCodes.LayerExchanged, layer.Location, $"By its own identity the file is layer {found.Layer} of volume '{found.VolumeName}' of store {found.Store}, another than the catalog says."));
    }
}
