using System.Globalization;
using System.Text.RegularExpressions;

namespace SnapshotTools.Core.Engine.Clones;

/// <summary>Names of clones.</summary>
internal static class CloneNames
{
    /// <summary>Names for several: each run of # becomes a number of as many digits; without one the number is put behind. Taken names are passed over.</summary>
    /// <param name="pattern">A name, with # for digits.</param>
    /// <param name="count">How many names.</param>
    /// <param name="isTaken">Whether there is something of a name already.</param>
    public static List<string> Numbered(string pattern, int count, Func<string, bool> isTaken)
    {
        int digits = count.ToString(CultureInfo.InvariantCulture).Length;
        string full = pattern.Contains('#', StringComparison.Ordinal) ? pattern : $"{pattern}-{new string('#', digits)}";
        var names = new List<string>();
        for (int number = 1; names.Count < count; number++)
        {
            string name = Regex.Replace(full, "#+", run => number.ToString(new string('0', run.Length), CultureInfo.InvariantCulture));
            if (!isTaken(name)) names.Add(name);
        }
        return names;
    }

    /// <summary>The name of a VM's volume in a replica: the replica's name takes the place of the VM's, or goes before.</summary>
    public static string OfVolume(string volume, string vm, string replica) =>
        volume.StartsWith(vm, StringComparison.OrdinalIgnoreCase) ? replica + volume[vm.Length..] : $"{replica}-{volume}";

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
