using System.Runtime.ExceptionServices;

namespace SnapshotTools.Embedded;

/// <summary>Some threads that do the parts of a work together, and then those of the next.</summary>
internal static class Crew
{
    /// <summary>
    /// Does all parts of <paramref name="first"/>, then all of <paramref name="second"/>. The others are threads of the pool, which may come
    /// late or never: whoever is there does what is left.
    /// </summary>
    /// <exception cref="Exception">The first failure, when all have stopped; what was not begun by then is left out.</exception>
    public static void Do(int threads, Phase first, Phase second)
    {
        Exception? failure = null;
        for (int i = 1; i < threads; i++) ThreadPool.UnsafeQueueUserWorkItem(static work => work(), (Action)Work, preferLocal: false);
        Work();
        if (failure is not null) ExceptionDispatchInfo.Throw(failure);

        void Work()
        {
            Do(first);
            Do(second);
        }

        // Ends when all parts are done, here or elsewhere.
        void Do(Phase phase)
        {
            while (phase.Take() is { } part)
            {
                try
                {
                    if (failure is null) part();
                }
#pragma warning disable CA1031 // It is thrown on the thread that asked for the work.
                catch (Exception error)
#pragma warning restore CA1031
                {
                    Interlocked.CompareExchange(ref failure, error, null);
                }
                phase.Done();
            }
            phase.Wait();
        }
    }

    /// <summary>A work of so many parts, by their numbers.</summary>
    internal sealed class Phase(int count, Action<int> part)
    {
        private readonly object _lock = new();
        private int _taken, _done;

        /// <summary>The next part; null when there is none.</summary>
        public Action? Take()
        {
            int i = Interlocked.Increment(ref _taken) - 1;
            return i < count ? () => part(i) : null;
        }

        /// <summary>A part was done, or left out.</summary>
        public void Done()
        {
            if (Interlocked.Increment(ref _done) < count) return;
            lock (_lock) Monitor.PulseAll(_lock);
        }

        /// <summary>Waits until all parts are done.</summary>
        public void Wait()
        {
            lock (_lock)
            {
                while (Volatile.Read(ref _done) < count) Monitor.Wait(_lock);
            }
        }
    }
}
