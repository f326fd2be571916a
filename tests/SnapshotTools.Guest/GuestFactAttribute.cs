using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Guest;

/// <summary>A test that starts the real guest: without the programs for it it is skipped with the reason, under CI=true it fails.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class GuestFactAttribute : FactAttribute
{
    /// <summary>How long such a test may take. A test that waits in a way that cannot be given up is ended by <see cref="GuestLimit"/>, a little earlier.</summary>
    public const int LimitSeconds = 180;

    /// <summary>Names further programs that the test needs.</summary>
    public GuestFactAttribute(params string[] tools)
    {
        Skip = new ToolFactAttribute([.. GuestKit.Tools, .. tools]).Skip;
        Timeout = LimitSeconds * 1000;
    }
}
