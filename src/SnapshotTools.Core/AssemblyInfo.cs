using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("SnapshotTools.Core.Tests")]
