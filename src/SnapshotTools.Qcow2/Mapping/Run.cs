namespace SnapshotTools.Qcow2;

/// <summary>Adjacent guest bytes that one layer holds in one way and, for data, in one piece of its file.</summary>
/// <param name="Kind">How they are held.</param>
/// <param name="Count">How many bytes.</param>
/// <param name="Host">Host offset of the first byte; of the compressed data; of a cluster kept for zeroes; or -1.</param>
/// <param name="Descriptor">The L2 entry of a compressed cluster.</param>
internal readonly record struct Run(ExtentKind Kind, long Count, long Host = -1, ulong Descriptor = 0);
