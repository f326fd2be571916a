using System.Diagnostics;
using System.Globalization;
using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;
using SnapshotTools.Testing;
using Xunit.Abstractions;

namespace SnapshotTools.Core.Tests;

/// <summary>Workers and sessions as processes of their own, killed at random moments of a copy. With more effort than usual it is the whole: four GiB of data, a hundred kills.</summary>
[Trait("Category", "Torture")]
[Collection("Processes")]
public sealed class WorkerProcessTests(ITestOutputHelper output) : IDisposable
{
    private const long DiskSize = 4L << 30;
    private const int Chunk = 1 << 20;

    private static readonly bool Whole = Effort.Factor > 1;
    private static readonly int Stride = Whole ? 1 : 16;   // one chunk in so many holds data
    private static readonly int DataChunks = (int)(DiskSize / Chunk / Stride);
    private static readonly int Kills = Whole ? 100 : 40;
    private static readonly long Rate = Whole ? 160 << 20 : 24 << 20;

    private readonly TestStore _store = new();
    private readonly Random _random = new(Effort.Seed);

    [Fact]
    public void Killed_at_random_moments_the_clone_reads_right_throughout_and_the_copy_goes_on_where_it_was()
    {
        _store.NewVolume("data", DiskSize);
        Fill(_store.Engine.Volumes.Get("data").Path);
        var made = _store.Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("data")], Pace = new CopyPace(MaxBytesPerSecond: Rate) }).Run();
        Guid id = made.Copies[0].Id;
        long durable = 0;
        int kills = 0, reads = 0;
        int sessions = 0, working = 0;
        for (; kills < Kills; kills++)
        {
            // A worker, or a session that copies in the foreground.
            bool isSession = _random.Next(2) == 0;
            using var worker = isSession ? Start("copy", _store.Directory, id.ToString()) : StartWorker();
            if (isSession) sessions++;
            // Of four kills two come at any moment, one after the copy began, and one after more of it became durable, however slow the machine is.
            switch (kills % 4)
            {
                case 1:
                    TestStore.Until(() => _store.Engine.Operations.Get(id).ProcessId == worker.Id || worker.HasExited);
                    break;
                case 3:
                    TestStore.Until(() => _store.Engine.Context.Catalog.Copies.All() is not [var copy] || copy.CopiedTo > durable || worker.HasExited);
                    break;
            }
            Thread.Sleep(_random.Next(5, 500));
            reads += CheckSamples(4);
            if (_store.Engine.Operations.Get(id) is { State: OperationState.Running } it && it.ProcessId == worker.Id) working++;
            worker.Kill();
            worker.WaitForExit();
            _store.Reopen();
            var now = _store.Engine.Operations.Get(id);
            if (now.State == OperationState.Completed) break;
            Assert.Contains(now.State, new[] { OperationState.Interrupted, OperationState.Pending });
            long to = CopiedTo();
            Assert.True(to >= durable, $"what was durable up to {durable} is to be copied again from {to}");
            durable = to;
            reads += CheckSamples(2);
        }
        Assert.InRange(kills, 20, int.MaxValue);
        Assert.True(durable > 0, "nothing became durable before the last kill");

        long first = -1;
        var ended = _store.Engine.Operations.Run([id], new RunOptions { Progress = new Direct(p => first = first < 0 ? p.BytesDone : first) })[0];

        Assert.Equal(OperationState.Completed, ended.State);
        long durableData = durable / Chunk / Stride * Chunk;
        Assert.True(first >= durableData - Chunk, $"{durableData} bytes were durable, but the copy went on at {first}");
        Assert.True(ended.BytesDone - first <= (DataChunks * (long)Chunk) - durableData + Chunk, $"{ended.BytesDone - first} bytes were copied in the end");
        for (int i = 0; i < DataChunks; i++) Check(i);
        Assert.Equal(1, _store.Engine.Volumes.Get("data-copy").ChainLength);
        Assert.Equal(1, _store.Engine.Volumes.Get("data").ChainLength);
        _store.AssertClean(layers: 2);
        Effort.Count("kills", kills);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{kills} kills, {sessions} of them of sessions, {working} in the midst of copying, {reads} reads; {durable >> 20} MiB of {DiskSize >> 20} were durable then, the last run went on at {first >> 20} of {DataChunks} MiB"));
    }

    [Fact]
    public void One_worker_copies_all_that_waits_and_ends_by_itself()
    {
        _store.NewVolume("data", 64 << 20);
        Fill(_store.Engine.Volumes.Get("data").Path);
        var made = _store.Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("data", null, "a"), new CloneSource("data", null, "b")], Pace = new CopyPace(MaxBytesPerSecond: (16 << 20) / Stride) }).Run();
        using var worker = StartWorker();
        TestStore.Until(() => _store.Engine.Operations.Get(made.Copies[0].Id).State == OperationState.Running);
        Assert.True(_store.Engine.Operations.IsWorkerRunning());
        Assert.False(_store.Engine.Operations.Work(TimeSpan.Zero));
        foreach (var copy in made.Copies) Assert.Equal(OperationState.Completed, _store.Engine.Operations.Wait(copy.Id, TimeSpan.FromSeconds(60)).State);
        Assert.True(worker.WaitForExit(30_000));
        Assert.Equal(0, worker.ExitCode);
        Assert.False(_store.Engine.Operations.IsWorkerRunning());
        _store.AssertClean(layers: 3);
    }

    public void Dispose() => _store.Dispose();

    /// <summary>What a worker process runs.</summary>
    internal static int Work(string store)
    {
        using var engine = EmbeddedStore.Open(store);
        return engine.Operations.Work(TimeSpan.FromMilliseconds(500)) ? 0 : 1;
    }

    /// <summary>What a session runs that copies in the foreground.</summary>
    internal static int Copy(string store, Guid operation)
    {
        using var engine = EmbeddedStore.Open(store);
        return engine.Operations.Run([operation]) is [{ State: OperationState.Completed }] ? 0 : 1;
    }

    private Process StartWorker() => Start("work", _store.Directory);

    private static Process Start(params string[] arguments) => Process.Start(new ProcessStartInfo(
        Environment.ProcessPath is { } p && Path.GetFileNameWithoutExtension(p) == "dotnet" ? p : "dotnet", ["exec", typeof(WorkerProcessTests).Assembly.Location, .. arguments]))!;

    private long CopiedTo() => _store.Engine.Context.Catalog.Copies.All()[0].CopiedTo;

    private static void Fill(string path)
    {
        using var image = Open(path, write: true);
        for (int i = 0; i < image.VirtualSize / Chunk / Stride; i++) image.Write((long)i * Stride * Chunk, Content(i));
        image.Flush();
    }

    private int CheckSamples(int count)
    {
        for (int i = 0; i < count; i++) Check(_random.Next(DataChunks));
        return count;
    }

    private void Check(int index)
    {
        using var image = Open(Path.Combine(_store.Directory, "volumes", "data-copy.qcow2"), write: false);
        byte[] found = new byte[Chunk];
        image.Read((long)index * Stride * Chunk, found);
        Assert.True(found.AsSpan().SequenceEqual(Content(index)), $"chunk {index} of the clone reads wrong");
    }

    private static byte[] Content(int index)
    {
        byte[] data = new byte[Chunk];
        new Random(index).NextBytes(data);
        return data;
    }

    private static Qcow2Image Open(string path, bool write) => TestStore.Open(path, write);

    private sealed class Direct(Action<OperationProgress> report) : IProgress<OperationProgress>
    {
        public void Report(OperationProgress value) => report(value);
    }
}
