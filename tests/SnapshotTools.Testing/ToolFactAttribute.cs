using Xunit;

namespace SnapshotTools.Testing;

/// <summary>A test that needs programs of the machine: without them it is skipped with the reason, under CI=true it fails.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ToolFactAttribute : FactAttribute
{
    /// <summary>Names the programs that the test needs.</summary>
    public ToolFactAttribute(params string[] tools) => Skip = Missing.Reason(tools);
}

/// <summary>A theory that needs programs of the machine; see <see cref="ToolFactAttribute"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ToolTheoryAttribute : TheoryAttribute
{
    /// <summary>Names the programs that the test needs.</summary>
    public ToolTheoryAttribute(params string[] tools) => Skip = Missing.Reason(tools);
}

internal static class Missing
{
    public static string? Reason(string[] tools)
    {
        if (Environment.GetEnvironmentVariable("CI") == "true") return null;
        string[] missing = [.. tools.Where(t => Tool.Find(t) is null)];
        return missing.Length == 0 ? null : $"not on this machine: {string.Join(", ", missing)}";
    }
}
