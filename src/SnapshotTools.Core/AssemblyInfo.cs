using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("SnapshotTools.Core.Tests")]
[assembly: InternalsVisibleTo("SnapshotTools.Benchmarks")]

// SQLite gets numbers and addresses only.
[assembly: DisableRuntimeMarshalling]
