namespace SnapshotTools.Core.Engine.Clones;

/// <summary>Names of clones.</summary>
internal static class CloneNames
{
    /// <summary>The name that a clone gets: the one asked for, with <c>*</c> for the source's; without one, the source's with "-copy".</summary>
    /// <param name="wanted">A name, a pattern with <c>*</c>, or null.</param>
    /// <param name="source">The source's name.</param>
    /// <param name="isTaken">Whether there is something of a name already.</param>
    public static string Of(string? wanted, string source, Func<string, bool> isTaken)
    {
        if (wanted is not null) return wanted.Replace("*", source, StringComparison.Ordinal);
        string name = $"{source}-copy";
        for (int i = 2; isTaken(name); i++) name = $"{source}-copy{i}";
        return name;
    }
}
