using System.Runtime.ExceptionServices;
using SnapshotTools.Core;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Embedded;

/// <summary>New layers, durable when they are made.</summary>
internal sealed partial class LayerStorage
{
    // Measured with 16 disks: four to eight threads wait for 32 flushes half as long as one does; for four flushes a second one costs what it gains.
    private const int FlushesPerThread = 4, MostThreads = 8, StackBytes = 256 << 10;
    private const int MostOpenFiles = 64;

    public void Create(IReadOnlyList<NewLayer> layers)
    {
        try
        {
            if (layers.Count == 0) return;
            foreach (var some in layers.Chunk(MostOpenFiles)) CreateSome(some);
            files.SyncDirectory(layout.Layers);
        }
        catch (Exception error)
        {
            Delete([.. layers.Select(l => l.File.Location)]);
            if (error is Qcow2Exception image) throw ImageErrors.Translate(image);
            throw;
        }
    }

    /// <summary>All files are written before one is waited for, so that one commit of the file system's journal does for most of them.</summary>
    private void CreateSome(NewLayer[] layers)
    {
        var images = new List<Qcow2Image>(layers.Length);
        try
        {
            foreach (var layer in layers)
            {
                var image = Qcow2Image.Create(files, PathOf(layer.File), CreateOptionsOf(layer));
                images.Add(image);
                image.BeginFlush();
            }
            // What a parent holds may still be in the page cache; a snapshot must not lose it to a power cut.
            var parents = layers.Where(l => !l.IsParentDurable).Select(l => l.Parent).OfType<LayerFile>().Distinct();
            AtOnce([.. parents.Select<LayerFile, Action>(p => () => MakeDurable([p])), .. images.Select<Qcow2Image, Action>(i => i.Flush)]);
        }
        finally
        {
            foreach (var image in images) image.Dispose();
        }
    }

    /// <summary>Does all of the work, on some threads where it is much; the first failure is told when all has ended.</summary>
    private static void AtOnce(IReadOnlyList<Action> work)
    {
        int next = -1;
        Exception? failure = null;
        var threads = new Thread[Math.Min((work.Count - 1) / FlushesPerThread, MostThreads - 1)];
        for (int i = 0; i < threads.Length; i++) (threads[i] = new Thread(Work, StackBytes) { IsBackground = true }).Start();
        Work();
        foreach (var thread in threads) thread.Join();
        if (failure is not null) ExceptionDispatchInfo.Throw(failure);

        void Work()
        {
            for (int i; (i = Interlocked.Increment(ref next)) < work.Count;)
            {
                try
                {
                    work[i]();
                }
#pragma warning disable CA1031 // It is thrown on the thread that asked for the work.
                catch (Exception error)
#pragma warning restore CA1031
                {
                    Interlocked.CompareExchange(ref failure, error, null);
                }
            }
        }
    }

    private static ImageCreateOptions CreateOptionsOf(NewLayer layer) => new()
    {
        VirtualSize = layer.Size,
        ClusterSize = layer.ClusterSize,
        BackingFile = layer.Parent is null ? null : StoreLayout.ReferenceTo(layer.Parent),
        BackingFormat = layer.Parent is null ? null : FormatOf(layer.Parent),
        Extensions = [IdentityExtension.Write(layer.Identity)],
        Open = new ImageOpenOptions { Lock = false },
    };
}
