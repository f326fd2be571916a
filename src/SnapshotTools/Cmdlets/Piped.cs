using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>
/// The order of positional arguments when objects come from the pipeline. <c>New-VmSnapshot web01 before-upgrade</c> names the VM
/// first; in <c>Get-VmInstance web* | New-VmSnapshot before-upgrade</c> the VM is there already and the one argument, which PowerShell
/// binds to the first position, is the snapshot's name.
/// </summary>
internal static class Piped
{
    /// <summary>The values of the second position, one of which may sit in the first.</summary>
    /// <param name="first">What was bound to the first position, which the piped object already answers.</param>
    /// <param name="firstName">Its parameter's name.</param>
    /// <param name="second">What was bound to the second position.</param>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.InvalidArgument"/>: both were given.</exception>
    public static string[] Second(string[]? first, string firstName, params string[]? second)
    {
        second = second?.Where(s => s is not null).ToArray() ?? [];
        if (first is not { Length: > 0 }) return second;
        if (second.Length == 0) return first;
        throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput,
            $"-{firstName} '{string.Join(", ", first)}' was given although the pipeline names it. Leave -{firstName} out, or pipe nothing.", first);
    }

    /// <summary>What must have been given, by the command line or by the object from the pipeline.</summary>
    /// <param name="given">The value, or null.</param>
    /// <param name="what">What it is, such as <c>snapshot</c>.</param>
    /// <param name="example">A command that names it.</param>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.InvalidArgument"/>: it was not.</exception>
    public static T Required<T>(T? given, string what, string example)
        where T : class =>
        given is not null and not (string[] and []) ? given : throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"No {what} is named. Name it, such as in: {example}");

    /// <summary>As <see cref="Second"/>, for one value.</summary>
    public static string? SecondOne(string[]? first, string firstName, string? second)
    {
        string[] values = second is null ? Second(first, firstName) : Second(first, firstName, second);
        return values.Length <= 1 ? values.FirstOrDefault() : throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput,
            $"One name is needed, not {values.Length}: {string.Join(", ", values)}.", values);
    }
}
