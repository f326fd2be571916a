namespace SnapshotTools.Core.Engine.Snapshots;

/// <summary>The rules for tags.</summary>
internal static class SnapshotTags
{
    /// <summary>Tags without doubles, in order; each obeys the rules for names.</summary>
    public static string[] Validate(IReadOnlyList<string> tags)
    {
        if (tags.Count > 100) throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"A snapshot has at most 100 tags; {tags.Count} were given.");
        return [.. tags.Select(t => Names.Validate(t, "tag")).Distinct(StringComparer.OrdinalIgnoreCase)];
    }

    /// <summary>The tags that the catalog has for a snapshot. Most have none, and then nothing is to be parsed.</summary>
    public static string[] Read(string json) => json == "[]" ? [] : Json.Read<string[]>(json);
}
