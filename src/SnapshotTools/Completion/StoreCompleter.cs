using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using SnapshotTools.Cmdlets;
using SnapshotTools.Core;

namespace SnapshotTools.Completion;

/// <summary>
/// Completes a parameter from what the store holds. It never throws and never makes a store: where there is none, there is nothing to
/// complete.
/// </summary>
public abstract class StoreCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        try
        {
            using var engine = OpenedStore.Open(StorePath(fakeBoundParameters));
            string typed = (wordToComplete ?? "").Trim('\'', '"');
            var pattern = WildcardPattern.Get(WildcardPattern.Escape(typed).Replace("`*", "*", StringComparison.Ordinal) + "*", WildcardOptions.IgnoreCase);
            return [.. Candidates(engine, fakeBoundParameters ?? new Hashtable())
                .Where(c => pattern.IsMatch(c.Value))
                .DistinctBy(c => c.Value, StringComparer.OrdinalIgnoreCase)
                .OrderBy(c => c.Value, StringComparer.OrdinalIgnoreCase)
                .Select(c => new CompletionResult(Quoted(c.Value), c.Value, CompletionResultType.ParameterValue, c.Hint))];
        }
        catch (Exception)
        {
            return [];
        }
    }

    /// <summary>What there is to choose from, each with a line that says more about it.</summary>
    protected abstract IEnumerable<(string Value, string Hint)> Candidates(SnapshotEngine engine, IDictionary bound);

    /// <summary>The values given for the first of some parameters that is bound, as texts; none where none is.</summary>
    protected static string[] Given(IDictionary bound, params string[] names)
    {
        ArgumentNullException.ThrowIfNull(bound);
        ArgumentNullException.ThrowIfNull(names);
        object? value = names.Select(n => bound[n]).FirstOrDefault(v => v is not null);
        value = value is PSObject wrapped ? wrapped.BaseObject : value;
        return value switch
        {
            null => [],
            string one => [one],
            IEnumerable many => [.. many.Cast<object?>().Select(v => v?.ToString() ?? "")],
            _ => [value.ToString() ?? ""],
        };
    }

    /// <summary>The text in single quotes where PowerShell would not take it as it is.</summary>
    internal static string Quoted(string value)
    {
        bool plain = value.Length > 0 && (char.IsLetter(value[0]) || value[0] == '_') && value.All(c => char.IsLetterOrDigit(c) || c is '_' or '-' or '.');
        return plain ? value : $"'{CodeGeneration.EscapeSingleQuotedStringContent(value)}'";
    }

    private static string StorePath(IDictionary? bound)
    {
        string path = OpenedStore.Named(bound is null ? null : Given(bound, "Store").FirstOrDefault());
        using var shell = PowerShell.Create(RunspaceMode.CurrentRunspace);
        return shell.AddScript("$ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($args[0])").AddArgument(path).Invoke<string>().Single();
    }
}
