namespace SnapshotTools.Qemu.Live;

/// <summary>The steps inside of an operation on a running guest, for tests that let something die between two of them.</summary>
internal static class LiveSteps
{
    /// <summary>Is told of each step, on the thread that takes it.</summary>
    public static Action<string>? Observer { get; set; }

    public static void Reached(string step) => Observer?.Invoke(step);
}
