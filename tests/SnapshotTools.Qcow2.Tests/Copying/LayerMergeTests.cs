using SnapshotTools.IO;
using SnapshotTools.Qcow2.Tests.Matrix;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Copying;

/// <summary>Merging a layer away in both directions: the child reads the same before, meanwhile and after.</summary>
public sealed class LayerMergeTests : IDisposable
{
    private static readonly string[] Merged = [MemoryChain.Layer, MemoryChain.Child];
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Merged_up_the_child_reads_the_same_with_and_without_the_layer()
    {
        for (int seed = 1; seed <= 300; seed++)
        {
            MemoryChain chain = new(seed, hasBase: seed % 4 != 0);
            MergeUp(chain.Files, seed);
            Same(chain, chain.Files, MemoryChain.Child, seed);
            DropLayer(chain.Files, chain.HasBase);
            Same(chain, chain.Files, MemoryChain.Child, seed);
        }
    }

    [Fact]
    public void Merged_down_the_layer_reads_as_the_child_and_the_child_as_before()
    {
        for (int seed = 1; seed <= 300; seed++)
        {
            MemoryChain chain = new(seed, hasBase: seed % 4 != 0);
            MergeDown(chain.Files, seed);
            Same(chain, chain.Files, MemoryChain.Child, seed);
            Same(chain, chain.Files, MemoryChain.Layer, seed);
        }
    }

    [Fact]
    public void Killed_at_any_effect_the_child_reads_the_same_and_the_merge_is_ended_by_beginning_it_again()
    {
        int states = 0;
        for (int seed = 1000; seed < 1050; seed++)
        {
            MemoryChain chain = new(seed, hasBase: seed % 4 != 0, operations: 8);
            bool up = seed % 2 == 0;
            RecordingFileSystem recording = new(chain.Files.Copy());
            Merge(recording, up, seed);
            CrashModel model = new(chain.Files, recording.Effects);
            foreach (CrashState state in model.Kills().Concat(model.PowerCuts(perMoment: 12, seed)))
            {
                states++;
                string where = $"seed {seed} {(up ? "up" : "down")}, {state.Description}";
                Same(chain, state.Files, MemoryChain.Child, seed, where);
                AssertSound(state.Files, where);
                if (states % 5 != 0) continue;
                Merge(state.Files, up, seed);
                Same(chain, state.Files, MemoryChain.Child, seed, where);
                if (up) DropLayer(state.Files, chain.HasBase);
                Same(chain, state.Files, up ? MemoryChain.Child : MemoryChain.Layer, seed, where);
            }
        }
        Assert.True(states > 1000, $"only {states} states were tried");
    }

    [Theory]
    [InlineData(FaultKind.NoSpace)]
    [InlineData(FaultKind.InputOutput)]
    public void A_fault_at_any_call_leaves_the_child_as_it_was_and_a_second_try_succeeds(FaultKind kind)
    {
        foreach (int seed in Enumerable.Range(2000, 4))
        {
            MemoryChain chain = new(seed, operations: 6);
            bool up = seed % 2 == 0;
            for (int n = 1; ; n++)
            {
                MemoryFileSystem files = chain.Files.Copy();
                FaultyFileSystem faulty = new(files);
                faulty.Fail(n % 2 == 0 ? FileCall.Write : FileCall.Flush, (n / 2) + 1, kind);
                Exception? failure = Record.Exception(() => Merge(faulty, up, seed));
                if (!faulty.Fired && n > 20) break;
                if (faulty.Fired) Assert.IsAssignableFrom<IOException>(failure);
                Same(chain, files, MemoryChain.Child, seed, $"seed {seed}, fault {n}");
                Merge(files, up, seed);
                if (up) DropLayer(files, chain.HasBase);
                Same(chain, files, up ? MemoryChain.Child : MemoryChain.Layer, seed, $"seed {seed}, fault {n}, then again");
            }
        }
    }

    [Fact]
    public void The_plan_is_what_is_done()
    {
        for (int seed = 1; seed <= 60; seed++)
        {
            MemoryChain chain = new(seed);
            bool up = seed % 2 == 0;
            MergeSelection selection = up ? MergeSelection.WhereTargetUnallocated : MergeSelection.All;
            MergePlan plan;
            using (Qcow2Image layer = Qcow2Image.Open(chain.Files, MemoryChain.Layer, MemoryChain.Options(chain: seed % 3 == 0)), child = Qcow2Image.Open(chain.Files, MemoryChain.Child, MemoryChain.Options()))
                plan = up ? LayerMerge.Plan(layer, child, selection) : LayerMerge.Plan(child, layer, selection);
            List<CopyProgress> seen = [];
            Merge(chain.Files, up, seed, new ProgressCall(seen.Add));
            Assert.Equal(plan.CopyBytes + plan.ZeroBytes, seen[^1].TotalBytes);
            Assert.Equal(seen[^1].TotalBytes, seen[^1].DoneBytes);
            Assert.InRange(plan.NewBytes, up ? plan.CopyBytes : 0, plan.CopyBytes);
        }
    }

    [Fact]
    public void Merging_up_copies_nothing_of_what_the_child_has_itself()
    {
        MemoryFileSystem files = new();
        Make(files, "/layer", null, (0, 1 << 20));
        Make(files, "/child", "layer", (512 << 10, 256 << 10));
        using Qcow2Image layer = Qcow2Image.Open(files, "/layer", new ImageOpenOptions()), child = Qcow2Image.Open(files, "/child", new ImageOpenOptions());
        Assert.Equal(new MergePlan(768 << 10, 0, 768 << 10), LayerMerge.Plan(layer, child, MergeSelection.WhereTargetUnallocated));
        Assert.Equal(new MergePlan(256 << 10, 0, 0), LayerMerge.Plan(child, layer, MergeSelection.All));
    }

    [ToolTheory("qemu-img", "qemu-io")]
    [MemberData(nameof(Chains))]
    public void Qemu_img_agrees(string recipe, bool up)
    {
        ImageRecipe chain = ImageMatrix.Get(recipe);
        string child = ImageFactory.Build(chain, _folder.Path), layer = _folder.File($"layer{chain.Layers.Length - 2}.qcow2");
        Tool.Run("qemu-img", ["convert", "-O", "raw", child, _folder.File("before.raw")]);
        string? below = chain.Layers.Length > 2 ? $"layer{chain.Layers.Length - 3}.{chain.Layers[^3].Format}" : null;
        if (up)
        {
            using (Qcow2Image target = Qcow2Image.Open(SystemFiles.Instance, child, CopySources.Within(_folder.Path, write: true)))
            using (Qcow2Image source = Qcow2Image.Open(SystemFiles.Instance, layer, CopySources.Within(_folder.Path)))
                LayerMerge.CopyAllocated(source, target, MergeSelection.WhereTargetUnallocated);
            QemuJudge.AssertIdentical(child, "qcow2", _folder.File("before.raw"), "raw");
            Tool.Run("qemu-img", ["rebase", "-u", "-b", below ?? "", "-F", below is null ? "raw" : chain.Layers[^3].Format, child]);
            QemuJudge.AssertClean(child);
            QemuJudge.AssertIdentical(child, "qcow2", _folder.File("before.raw"), "raw");
            return;
        }
        using (Qcow2Image target = Qcow2Image.Open(SystemFiles.Instance, layer, CopySources.Within(_folder.Path, write: true)))
        using (Qcow2Image source = Qcow2Image.Open(SystemFiles.Instance, child, new ImageOpenOptions()))
            LayerMerge.CopyAllocated(source, target, MergeSelection.All);
        QemuJudge.AssertIdentical(child, "qcow2", _folder.File("before.raw"), "raw");
        QemuJudge.AssertClean(layer);
        QemuJudge.AssertIdentical(layer, "qcow2", _folder.File("before.raw"), "raw");
        Assert.Equal(new FileInfo(_folder.File("before.raw")).Length, new FileInfo(QemuJudge.ConvertToRaw(layer, _folder.File("after.raw"))).Length);
    }

    public static IEnumerable<object[]> Chains() => ImageMatrix.Recipes
        .Where(r => r.Layers.Length > 1 && r.Layers[^2].Format == "qcow2" && r.Layers[^2].Snapshots == 0)
        .SelectMany<ImageRecipe, object[]>(r => [[r.Name, true], [r.Name, false]]);

    private static void Make(MemoryFileSystem files, string path, string? below, (long Offset, int Count) data)
    {
        using Qcow2Image image = Qcow2Image.Create(files, path, new ImageCreateOptions
        {
            VirtualSize = 2 << 20,
            BackingFile = below,
            BackingFormat = below is null ? null : ImageFormat.Qcow2,
        });
        image.Write(data.Offset, Enumerable.Repeat((byte)7, data.Count).ToArray());
    }

    private static void Merge(IFileSystem files, bool up, int seed, IProgress<CopyProgress>? progress = null)
    {
        if (up) MergeUp(files, seed, progress);
        else MergeDown(files, seed, progress);
    }

    private static void MergeUp(IFileSystem files, int seed, IProgress<CopyProgress>? progress = null)
    {
        using Qcow2Image child = Qcow2Image.Open(files, MemoryChain.Child, MemoryChain.Options(write: true));
        using Qcow2Image layer = Qcow2Image.Open(files, MemoryChain.Layer, MemoryChain.Options(chain: seed % 3 == 0));
        LayerMerge.CopyAllocated(layer, child, MergeSelection.WhereTargetUnallocated, progress);
    }

    private static void MergeDown(IFileSystem files, int seed, IProgress<CopyProgress>? progress = null)
    {
        _ = seed;
        using Qcow2Image layer = Qcow2Image.Open(files, MemoryChain.Layer, MemoryChain.Options(write: true));
        using Qcow2Image child = Qcow2Image.Open(files, MemoryChain.Child, MemoryChain.Options(chain: false));
        LayerMerge.CopyAllocated(child, layer, MergeSelection.All, progress);
    }

    private static void DropLayer(MemoryFileSystem files, bool hasBase)
    {
        using (Qcow2Image child = Qcow2Image.Open(files, MemoryChain.Child, MemoryChain.Options(write: true, chain: false)))
            child.SetBacking(hasBase ? "base" : null, hasBase ? ImageFormat.Qcow2 : null);
        files.Delete(MemoryChain.Layer);
    }

    private static void AssertSound(MemoryFileSystem files, string where)
    {
        foreach (string path in Merged)
        {
            CheckResult found = ImageCheck.Run(files, path);
            Assert.True(found.Errors == 0, $"{where}: {path} is damaged: {string.Join("; ", found.Findings)}");
        }
    }

    private static void Same(MemoryChain chain, MemoryFileSystem files, string path, int seed, string? where = null)
    {
        byte[] now = MemoryChain.Read(files, path);
        Assert.True(chain.Content.Length == now.Length, $"{where ?? $"seed {seed}"}: {path} has {now.Length} bytes in place of {chain.Content.Length}");
        int same = chain.Content.AsSpan().CommonPrefixLength(now);
        Assert.True(same == now.Length, $"{where ?? $"seed {seed}"}: {path} differs at {same} of {now.Length}");
    }
}
