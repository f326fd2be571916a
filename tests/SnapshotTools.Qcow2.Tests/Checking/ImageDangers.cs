using SnapshotTools.IO;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Qcow2.Tests.Checking;

/// <summary>What of an image's state can destroy data at the next write.</summary>
public static class ImageDangers
{
    private const string Image = "/a.qcow2";

    /// <summary>Clusters in use that may be handed out, shared ones that may be written in place, and tables that lead astray.</summary>
    public static HashSet<string> Of(MemoryFileSystem files)
    {
        using IBlockFile file = files.Open(Image, FileOpenMode.Read);
        (Examination image, CheckResult result) = Examination.Run(file, new CheckOptions { MaxFindings = int.MaxValue }, null, default);
        var dangers = new HashSet<string>();
        foreach (CheckFinding finding in result.Findings)
        {
            for (long i = 0; finding.Kind == CheckFindingKind.RefcountTooLow && i < finding.Count; i++)
            {
                long cluster = (finding.HostOffset >> image.Header.ClusterBits) + i;
                if (image.Refcounts!.Get(cluster) == 0 && cluster << image.Header.ClusterBits < file.Length) dangers.Add($"cluster {cluster} in use counted 0 times");
            }
            int says = finding.Message.IndexOf(" says that", StringComparison.Ordinal);
            if (finding.Kind is CheckFindingKind.CopiedFlag && says >= 0) dangers.Add(finding.Message[..says]);
            if (finding.Kind is CheckFindingKind.RefcountTable) dangers.Add($"refcounts {finding.HostOffset}");
            if (finding.Kind is CheckFindingKind.OutOfFile or CheckFindingKind.Unaligned or CheckFindingKind.ReservedBits or CheckFindingKind.Overlap)
                dangers.Add($"{finding.Kind} {finding.HostOffset}");
        }
        return dangers;
    }
}
