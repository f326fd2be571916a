using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("SnapshotTools.Core.Tests")]

// SQLite gets numbers and addresses only.
[assembly: DisableRuntimeMarshalling]
