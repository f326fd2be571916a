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

    /// <summary>The row of this id; else those whose id matches it as a pattern with * and ?, or begins with it. Without one, all of the scale.</summary>
    public static IReadOnlyList<Row> Matching(string? filter, Scale scale)
    {
        if (filter is null) return [.. Rows.Where(r => scale == Scale.Full || r.IsQuick)];
        Row[] exact = [.. Rows.Where(r => r.Id.Equals(filter, StringComparison.OrdinalIgnoreCase))];
        return exact.Length > 0 ? exact
            : [.. Rows.Where(r => r.Id.StartsWith(filter, StringComparison.OrdinalIgnoreCase) || System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(filter, r.Id))];
    }
}
