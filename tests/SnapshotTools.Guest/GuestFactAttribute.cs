using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Guest;

/// <summary>A test that starts the real guest: without the programs for it it is skipped with the reason, under CI=true it fails.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class GuestFactAttribute : FactAttribute
{
    /// <summary>Names further programs that the test needs.</summary>
    public GuestFactAttribute(params string[] tools) => Skip = new ToolFactAttribute([.. GuestKit.Tools, .. tools]).Skip;
}
