using System.Runtime.ExceptionServices;

namespace SnapshotTools.Embedded;

/// <summary>Some threads that do the parts of a work together, and then those of the next.</summary>
internal static class Crew
{
    private const int StackBytes = 256 << 10;

    /// <summary>Does all parts of <paramref name="first"/>, then all of <paramref name="second"/>.</summary>
    /// <exception cref="Exception">The first failure, when all have stopped; what was not begun by then is left out.</exception>
    public static void Do(int threads, Phase first, Phase second)
    {
        Exception? failure = null;
        using var between = new Barrier(threads);
        var others = new Thread[threads - 1];
        for (int i = 0; i < others.Length; i++) (others[i] = new Thread(Work, StackBytes) { IsBackground = true }).Start();
        Work();
        foreach (var other in others) other.Join();
        if (failure is not null) ExceptionDispatchInfo.Throw(failure);

        void Work()
        {
            Try(first);
            between.SignalAndWait();
            Try(second);
        }

        void Try(Phase phase)
        {
            try
            {
                while (failure is null && phase.Next())
                {
                    // The next part.
                }
            }
#pragma warning disable CA1031 // It is thrown on the thread that asked for the work.
            catch (Exception error)
#pragma warning restore CA1031
            {
                Interlocked.CompareExchange(ref failure, error, null);
            }
        }
    }

    /// <summary>A work of so many parts, by their numbers.</summary>
    internal sealed class Phase(int count, Action<int> part)
    {
        private int _next = -1;

        /// <summary>Does the next part; false when there is none.</summary>
        public bool Next()
        {
            int i = Interlocked.Increment(ref _next);
            if (i >= count) return false;
            part(i);
            return true;
        }
    }
}
