namespace SnapshotTools.Core.Engine.Clones;

/// <summary>What linked clones, which lie on the layers of others, forbid.</summary>
internal static class Dependants
{
    private const int MostNamed = 10;

    /// <summary>Refuses to remove what linked clones lie on.</summary>
    /// <param name="clones">Their names.</param>
    /// <param name="what">What would be removed, as the subject of a sentence.</param>
    /// <param name="target">Its name.</param>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.HasDependants"/>.</exception>
    public static void RequireNone(IReadOnlyList<string> clones, string what, string target)
    {
        if (clones.Count == 0) return;
        bool isOne = clones.Count == 1;
        string names = string.Join(", ", clones.Take(MostNamed).Select(c => $"'{c}'")) + (clones.Count > MostNamed ? $" and {clones.Count - MostNamed} more" : "");
        throw new SnapshotException(ErrorIds.HasDependants, ErrorKind.Conflict,
            $"{what} is the base of {names} and cannot be removed. Make {(isOne ? "it" : "them")} independent first with -Flatten; or use -Defer, which keeps what {(isOne ? "it needs until it goes" : "they need until the last one goes")}.", target);
    }
}
