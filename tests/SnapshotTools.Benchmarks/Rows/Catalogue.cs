using SnapshotTools.Benchmarks.Harness;

namespace SnapshotTools.Benchmarks.Rows;

/// <summary>All rows, in the order of the table.</summary>
internal static class Catalogue
{
    public static IReadOnlyList<Row> Rows { get; } =
    [
        .. SnapshotRows.All,
        .. FlatRows.All,
        .. MergeRows.All,
        .. CopyRows.All,
        .. CloneRows.All,
        .. InspectRows.All,
        .. ReadRows.All,
        .. LiveRows.All,
        .. CheckpointRows.All,
        .. SessionRows.All,
    ];

    /// <summary>The rows whose id matches a pattern with * and ?, or begins with it.</summary>
    public static IReadOnlyList<Row> Matching(string? filter, Scale scale) =>
        [.. Rows.Where(r => (filter is not null || scale == Scale.Full || r.IsQuick)
            && (filter is null || r.Id.StartsWith(filter, StringComparison.OrdinalIgnoreCase) || System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(filter, r.Id)))];
}
