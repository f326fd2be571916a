using System.Diagnostics;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>What a contender is to its row.</summary>
public enum Role
{
    /// <summary>This project.</summary>
    Ours,

    /// <summary>What people use today.</summary>
    Peer,

    /// <summary>What the machine at least needs for it: the physical limit.</summary>
    Limit,

    /// <summary>This project under easier conditions: what ours should not be slower than.</summary>
    Reference,

    /// <summary>Measured to be known; nothing is compared with it.</summary>
    Aside,
}

/// <summary>One of those that do the same work in turn.</summary>
/// <param name="Name">What it is, for the table: a program with its arguments, or a method.</param>
/// <param name="Role">What it is to the row.</param>
/// <param name="Measure">Does the work once and gives the measurement in the row's unit.</param>
internal sealed record Contender(string Name, Role Role, Func<double> Measure)
{
    /// <summary>Is called before each measurement, outside of it.</summary>
    public Action? Before { get; init; }

    /// <summary>Is called after each measurement, outside of it.</summary>
    public Action? After { get; init; }

    /// <summary>Times some work, in seconds.</summary>
    public static Contender Timed(string name, Role role, Action work, Action? before = null, Action? after = null) =>
        new(name, role, () => Time(work)) { Before = before, After = after };

    /// <summary>How many seconds some work takes.</summary>
    public static double Time(Action work)
    {
        long begun = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(begun).TotalSeconds;
    }
}
