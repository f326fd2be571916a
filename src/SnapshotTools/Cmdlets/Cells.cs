namespace SnapshotTools.Cmdlets;

/// <summary>Texts as the rows of a table have them: an empty cell is a value that was not given.</summary>
internal static class Cells
{
    /// <summary>The text, or null where it is empty.</summary>
    public static string? Text(string? cell) => string.IsNullOrEmpty(cell) ? null : cell;

    /// <summary>The texts that are not empty, or null where all are; an array of none was given as such, and stays.</summary>
    public static string[]? Texts(string[]? cells) =>
        cells is null or [] ? cells : cells.Where(c => !string.IsNullOrEmpty(c)).ToArray() is { Length: > 0 } texts ? texts : null;
}
