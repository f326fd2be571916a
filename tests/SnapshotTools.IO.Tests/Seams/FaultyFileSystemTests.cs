using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.IO.Tests.Seams;

/// <summary>Faults come where they were asked for, and only there.</summary>
public sealed class FaultyFileSystemTests
{
    private readonly MemoryFileSystem _memory = new();
    private readonly FaultyFileSystem _files;

    public FaultyFileSystemTests() => _files = new FaultyFileSystem(_memory);

    [Fact]
    public void The_nth_call_of_a_kind_fails_once()
    {
        using IBlockFile file = _files.Create("/a");
        _files.Fail(FileCall.Write, 2, FaultKind.InputOutput);
        file.Write(0, "1"u8);
        Assert.False(_files.Fired);
        Assert.Contains("I/O error", Assert.Throws<IOException>(() => file.Write(1, "2"u8)).Message, StringComparison.Ordinal);
        Assert.True(_files.Fired);
        file.Write(1, "3"u8);
        Assert.Equal(3, _files.Calls(FileCall.Write));
        Assert.Equal(2, file.Length);
    }

    [Fact]
    public void Or_from_there_on_always_until_it_is_healed()
    {
        using IBlockFile file = _files.Create("/a");
        _files.Fail(FileCall.Write, 1, FaultKind.NoSpace, always: true);
        Assert.Throws<DiskFullException>(() => file.Write(0, new byte[2048]));
        Assert.Equal(1024, file.Length);
        Assert.Throws<DiskFullException>(() => file.Write(0, new byte[1024]));
        file.Flush();
        _files.Heal();
        file.Write(0, new byte[2048]);
        Assert.Equal(2048, file.Length);
    }

    [Fact]
    public void After_a_failed_flush_the_file_takes_nothing_more()
    {
        using IBlockFile file = _files.Create("/a");
        _files.Fail(FileCall.Flush, 1, FaultKind.InputOutput);
        Assert.ThrowsAny<IOException>(file.Flush);
        Assert.ThrowsAny<IOException>(file.Flush);
        Assert.ThrowsAny<IOException>(() => file.Write(0, "1"u8));
        using IBlockFile again = _files.Open("/a", FileOpenMode.ReadWrite);
        again.Write(0, "1"u8);
        again.Flush();
    }

    [Fact]
    public void A_killed_process_does_nothing_more()
    {
        using IBlockFile file = _files.Create("/a");
        _files.FailAny(2, FaultKind.Kill);
        file.Write(0, "1"u8);
        Assert.Throws<SimulatedKillException>(() => _files.Rename("/a", "/b"));
        Assert.Throws<SimulatedKillException>(() => _files.Stat("/a"));
        Assert.Throws<SimulatedKillException>(() => file.Write(0, "2"u8));
        Assert.NotNull(_memory.Stat("/a"));
        Assert.Null(_memory.Stat("/b"));
    }
}
