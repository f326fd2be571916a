using System.Runtime.ExceptionServices;

namespace SnapshotTools.Embedded;

/// <summary>Some threads that do the parts of a work together.</summary>
internal static class Crew
{
    /// <summary>
    /// Does all parts of a work, by their numbers. The other threads are of the pool, which may come late or never: whoever is there does what is left.
    /// </summary>
    /// <exception cref="Exception">The first failure, when all have stopped; what was not begun by then is left out.</exception>
    public static void Do(int threads, int count, Action<int> part)
    {
        object gate = new();
        int taken = 0, done = 0;
        Exception? failure = null;
        for (int i = 1; i < threads; i++) ThreadPool.UnsafeQueueUserWorkItem(static work => work(), (Action)Work, preferLocal: false);
        Work();
        lock (gate)
        {
            while (Volatile.Read(ref done) < count) Monitor.Wait(gate);
        }
        if (failure is not null) ExceptionDispatchInfo.Throw(failure);

        void Work()
        {
            for (int i; (i = Interlocked.Increment(ref taken) - 1) < count;)
            {
                try
                {
                    if (failure is null) part(i);
                }
#pragma warning disable CA1031 // It is thrown on the thread that asked for the work.
                catch (Exception error)
#pragma warning restore CA1031
                {
                    Interlocked.CompareExchange(ref failure, error, null);
                }
                if (Interlocked.Increment(ref done) < count) continue;
                lock (gate) Monitor.PulseAll(gate);
            }
        }
    }
}
