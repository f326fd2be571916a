namespace SnapshotTools.Benchmarks.Harness;

/// <summary>How much is measured.</summary>
public enum Scale
{
    /// <summary>The sizes and repetitions that the published table has.</summary>
    Full,

    /// <summary>Smaller and fewer, in under three minutes: to see where one stands.</summary>
    Quick,

    /// <summary>As little as shows that every row works; its figures say nothing.</summary>
    Smoke,
}

internal static class ScaleExtensions
{
    /// <summary>The value for a scale.</summary>
    public static T Pick<T>(this Scale scale, T full, T quick, T smoke) => scale switch { Scale.Full => full, Scale.Quick => quick, _ => smoke };
}
