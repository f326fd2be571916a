using System.Diagnostics;
using System.Management.Automation;
using System.Reflection;
using System.Text;

namespace PwshEngine.Unix;

/// <summary>How programs are started and get their arguments.</summary>
public static class Programs
{
    private const BindingFlags Any = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

    /// <summary>Start-Process has two ways to start; this sends it the one that is replaced below.</summary>
    [ReplacesCall("ProcessStartInfo.get_UseShellExecute", "StartProcessCommand")]
    public static bool UseShellExecute(ProcessStartInfo info) => true;

    /// <summary>Starts a program for Start-Process.</summary>
    [Replaces("StartProcessCommand.StartWithShellExecute")]
    public static Process? Start(object command, ProcessStartInfo info)
    {
        ArgumentNullException.ThrowIfNull(info);
        string? File(string name) => command.GetType().GetProperty(name)!.GetValue(command) as string;
        var (input, output, error) = (File("RedirectStandardInput"), File("RedirectStandardOutput"), File("RedirectStandardError"));
        info.UseShellExecute = false;
        (info.RedirectStandardInput, info.RedirectStandardOutput, info.RedirectStandardError) = (input is not null, output is not null, error is not null);
        var process = Process.Start(info);
        if (process is null) return null;
        if (input is not null) _ = Copy(System.IO.File.OpenRead(input), process.StandardInput.BaseStream);
        if (output is not null) _ = Copy(process.StandardOutput.BaseStream, System.IO.File.Create(output));
        if (error is not null) _ = Copy(process.StandardError.BaseStream, System.IO.File.Create(error));
        return process;
    }

    /// <summary>An argument of a program: wildcards and a leading ~ are expanded as a shell does; what matches nothing stays as it is.</summary>
    [Replaces("NativeCommandParameterBinder.PossiblyGlobArg")]
    public static void AddArgument(object binder, string argument, object parameter, bool usedQuotes)
    {
        var type = binder.GetType();
        var line = (StringBuilder)type.GetField("_arguments", Any)!.GetValue(binder)!;
        void Add(string text)
        {
            line.Append(text);
            type.GetMethod("AddToArgumentList", Any)!.Invoke(binder, [parameter, text]);
        }
        if (usedQuotes)
        {
            Add(argument);
        }
        else if (WildcardPattern.ContainsWildcardCharacters(argument) && Session(binder) is { } session && Expand(session, argument) is { Length: > 0 } paths)
        {
            foreach (string path in paths)
            {
                if (path != paths[0]) line.Append(' ');
                Add(path);
            }
        }
        else if (!(bool)type.GetMethod("ExpandTilde", Any)!.Invoke(binder, [argument, parameter])!)
        {
            Add(argument);
        }
    }

    private static SessionState? Session(object binder)
    {
        object? context = binder.GetType().GetProperty("Context", Any)?.GetValue(binder);
        return context?.GetType().GetProperty("SessionState", Any)?.GetValue(context) as SessionState;
    }

    private static string[] Expand(SessionState session, string pattern)
    {
        try
        {
            var here = session.Path.CurrentLocation;
            if (here.Provider.Name != "FileSystem") return [];
            bool full = pattern.StartsWith('/') || pattern.StartsWith('~');
            return [.. session.Path.GetResolvedPSPathFromPSPath(pattern).Where(p => p.Provider.Name == "FileSystem")
                .Select(p => full ? p.ProviderPath : Path.GetRelativePath(here.ProviderPath, p.ProviderPath))];
        }
        catch (Exception e) when (e is ItemNotFoundException or System.Management.Automation.DriveNotFoundException or WildcardPatternException or IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static async Task Copy(Stream from, Stream to)
    {
        await using (from.ConfigureAwait(false))
        await using (to.ConfigureAwait(false))
            await from.CopyToAsync(to).ConfigureAwait(false);
    }
}
