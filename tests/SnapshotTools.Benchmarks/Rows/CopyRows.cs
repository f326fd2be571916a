using SnapshotTools.Benchmarks.Harness;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Benchmarks.Rows;

/// <summary>Full copies.</summary>
internal static class CopyRows
{
    private const long MiB = 1 << 20, GiB = 1L << 30;
    private const long MaxMemory = 150 * MiB;

    public static IEnumerable<Row> All =>
    [
        new("copy/4GiB", "full copy, 4 GiB of data in 20 GiB", run =>
            Copy(run, Images.Create(run.File("source.qcow2"), 20 * GiB, i => Images.Spread(i, run.Scale.Pick(4096, 128, 8) * MiB)), withCp: true)),
        new("copy/sparse", "full copy, 200 MiB of data in 100 GiB", run =>
            Copy(run, Images.Create(run.File("source.qcow2"), 100 * GiB, i => Images.Spread(i, run.Scale.Pick(200, 50, 8) * MiB, MiB / 4)), withCp: true, withAsides: true)) { IsQuick = false },
        new("copy/compressed", "full copy, 1 GiB of compressed source", run =>
        {
            RowRun.Require("qemu-img");
            string plain = Images.Create(run.File("plain.qcow2"), 4 * GiB, i => HalfNoise(i, run.Scale.Pick(1024, 128, 8) * MiB)), source = run.File("source.qcow2");
            Peer.Run("qemu-img", "convert", "-c", "-m", "16", "-W", "-f", "qcow2", "-O", "qcow2", plain, source);
            File.Delete(plain);
            Copy(run, source, withCp: false);
        }) { IsQuick = false },
        new("copy/chain", "full copy, 1 GiB of data in a chain of 8", run =>
        {
            long data = run.Scale.Pick(1024, 128, 8) * MiB;
            string top = Images.Create(run.File("layer0.qcow2"), 20 * GiB, i => Images.Spread(i, data));
            for (int n = 1; n < 8; n++) top = Images.Create(run.File($"layer{n}.qcow2"), 20 * GiB, i => Images.Spread(i, data / 16), top);
            Copy(run, top, withCp: false);
        }) { IsQuick = false },
        OnOtherFileSystem("xfs", "XFS", "mkfs.xfs", Testing.ScratchMount.Xfs),
        OnOtherFileSystem("btrfs", "Btrfs", "mkfs.btrfs", Testing.ScratchMount.Btrfs),
    ];

    /// <summary>What a process of its own does for the row, so that its memory can be measured.</summary>
    public static void CopyFile(string source, string target)
    {
        using var image = Images.Open(source);
        ImageCopy.ToQcow2(image, SystemFiles.Instance, target, new ImageCreateOptions { VirtualSize = image.VirtualSize });
        SystemFiles.Instance.SyncDirectory(Path.GetDirectoryName(target)!);
    }

    private static void Copy(RowRun run, string source, bool withCp, bool withAsides = false)
    {
        RowRun.Require("qemu-img", "cp");
        string target = run.File("target"), raw = source;
        // A raw copy of the source would leave out what the copy's work is: to decompress, to bring layers together.
        if (!withCp) CopyFile(source, raw = run.File("result"));
        List<Contender> contenders =
        [
            To("full copy, durable", Role.Ours, () => CopyFile(source, target)),
            Convert("qemu-img convert, then fsync"),
            Convert("qemu-img convert -m 16 -W, then fsync", "-m", "16", "-W"),
            Convert("qemu-img convert -C, then fsync", "-C"),
        ];
        if (withAsides) contenders.Add(To("qemu-img convert -m 16 -W, not made durable", Role.Aside, () => Peer.Run("qemu-img", "convert", "-m", "16", "-W", "-f", "qcow2", "-O", "qcow2", source, target)));
        if (withCp)
        {
            contenders.Add(To("cp, then fsync", Role.Peer, () => { Peer.Run("cp", source, target); Sync(target); }));
            if (withAsides) contenders.Add(To("cp, not made durable", Role.Aside, () => Peer.Run("cp", source, target)));
        }
        string what = withCp ? "the file" : "such a copy";
        contenders.Add(To($"copy_file_range of {what}, then fsync", Role.Limit, () => RawCopy.ByKernel(raw, target)));
        contenders.Add(To($"read and write of {what} by 2 threads, then fsync", Role.Limit, () => RawCopy.ByThreads(raw, target, 2)));
        contenders.Add(To("the same past the page cache (O_DIRECT), then fsync", Role.Limit, () => RawCopy.PastCache(raw, target, 2)));
        run.Measure(run.Scale.Pick(5, 3, 3), run.Scale.Pick(0, 1, 0), contenders);
        run.GoalFaster(1.2);
        run.GoalOfLimit(1.15, "the best raw copy");
        Memory(run, source, target);

        Contender To(string name, Role role, Action work) => Contender.Timed(name, role, work, before: () => File.Delete(target));
        Contender Convert(string name, params string[] options) =>
            To(name, Role.Peer, () => { Peer.Run("qemu-img", ["convert", .. options, "-f", "qcow2", "-O", "qcow2", source, target]); Sync(target); });
    }

    private static void Memory(RowRun run, string source, string target)
    {
        File.Delete(target);
        string said = run.File("peak");
        Peer.Run("dotnet", ["exec", typeof(CopyRows).Assembly.Location, "--child", "copy", source, target, said]);
        long peak = long.Parse(File.ReadAllText(said), System.Globalization.CultureInfo.InvariantCulture);
        File.Delete(target);
        run.Goal("peak memory ≤ 150 MiB", $"{peak / MiB} MiB with the runtime", peak <= MaxMemory);
    }

    private static Row OnOtherFileSystem(string id, string name, string tool, Func<long, Testing.ScratchMount> mount) => new($"copy/{id}", $"full copy on {name}, 1 GiB of data", run =>
    {
        RowRun.Require("qemu-img", "cp", tool, "mount");
        using var disk = Mount(name, mount, run.Scale.Pick(8, 4, 1) * GiB);
        string source = Images.Create(disk.At("source.qcow2"), 20 * GiB, i => Images.Spread(i, run.Scale.Pick(1024, 256, 8) * MiB)), target = disk.At("target");
        run.Measure(run.Scale.Pick(7, 3, 1), 1,
            To("full copy, durable", Role.Ours, () => CopyFile(source, target)),
            To("cp --reflink=always, then fsync", Role.Limit, () => { Peer.Run("cp", "--reflink=always", source, target); Sync(target); }),
            To("qemu-img convert, then fsync", Role.Peer, () => { Peer.Run("qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", source, target); Sync(target); }));
        run.GoalOfLimit(1.5, "reflink");

        Contender To(string contender, Role role, Action work) => Contender.Timed(contender, role, work, before: () => { File.Delete(target); Native.SyncFileSystem(disk.Path); });
    });

    private static Testing.ScratchMount Mount(string name, Func<long, Testing.ScratchMount> mount, long bytes)
    {
        try
        {
            return mount(bytes);
        }
        catch (Exception e) when (e is InvalidOperationException or IOException)
        {
            throw new NotHereException($"{name} cannot be mounted here: {e.Message.ReplaceLineEndings(" ").Trim()}");
        }
    }

    private static void HalfNoise(Qcow2Image image, long bytes)
    {
        byte[] data = new byte[1 << 20];
        var random = new Random(5);
        for (int at = 0; at < data.Length; at += 512) random.NextBytes(data.AsSpan(at, 256));
        for (long done = 0; done < bytes; done += data.Length) image.Write(done, data);
    }

    private static void Sync(string path)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        Native.SyncData(file);
    }
}
