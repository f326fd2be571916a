using SnapshotTools.IO;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Qcow2.Tests.Writing;

/// <summary>Random changes; then every moment at which the process may be killed and many of the ways in which a power cut may leave the
/// file: the image opens, a check finds leaks at worst, what was flushed is there, and it can be written again. Set
/// QCOW2_CRASH_SEEDS for more of them.</summary>
public sealed class CrashTests(ITestOutputHelper output)
{
    public static TheoryData<string> Names => new(TroubledImage.Shapes.Keys);

    [Theory]
    [MemberData(nameof(Names))]
    public void An_image_survives_every_crash(string shape)
    {
        int seeds = int.TryParse(Environment.GetEnvironmentVariable("QCOW2_CRASH_SEEDS"), out int more) ? more : 2;
        int states = 0;
        for (int seed = 1; seed <= seeds; seed++)
        {
            try
            {
                states += Crash(new TroubledImage(shape, seed, overlay: seed % 2 == 0, steps: 14), seed);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"shape '{shape}', seed {seed}: {e.Message}", e);
            }
        }
        output.WriteLine($"{states} crash states of '{shape}'");
    }

    private static int Crash(TroubledImage troubled, int seed)
    {
        MemoryFileSystem before = troubled.Files.Copy();
        var recorder = new RecordingFileSystem(troubled.Files);
        var history = new CrashHistory(troubled.Content);
        using (Qcow2Image image = Qcow2Image.Open(recorder, TroubledImage.Head, TroubledImage.Open))
        {
            foreach (RandomStep step in troubled.Steps)
            {
                int from = recorder.Effects.Count;
                step.Do(image);
                history.Add(from, recorder.Effects.Count, step.Do(history.Content, troubled.Unit), step.IsDurable);
            }
        }
        int states = 0;
        var model = new CrashModel(before, recorder.Effects);
        foreach (CrashState state in model.Kills().Concat(model.PowerCuts(24, seed)))
        {
            try
            {
                Check(state, history.Allowed(state), troubled.Random);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"{state.Description}: {e.Message}", e);
            }
            states++;
        }
        return states;
    }

    private static void Check(CrashState state, IReadOnlyCollection<byte[]> allowed, Random random)
    {
        TroubledImage.RequireNoErrors(state.Files);
        using (Qcow2Image image = Qcow2Image.Open(state.Files, TroubledImage.Head, TroubledImage.Open))
        {
            TroubledImage.RequireOneOf(image, allowed);
            // The next process goes on.
            byte[] data = new byte[(int)Math.Min(3000, image.VirtualSize)];
            random.NextBytes(data);
            long offset = random.NextInt64(image.VirtualSize - data.Length + 1);
            image.Write(offset, data);
            image.Flush();
            byte[] read = new byte[data.Length];
            image.Read(offset, read);
            Assert.Equal(data, read);
        }
        TroubledImage.RequireNoErrors(state.Files);
    }

    [ToolFact("qemu-img")]
    public void Qemu_finds_no_errors_in_crashed_images_either()
    {
        using var folder = new TempFolder();
        string path = folder.File("head.qcow2");
        byte[] data = new byte[150 << 10];
        new Random(5).NextBytes(data);
        var files = new MemoryFileSystem();
        files.CreateDirectory("/d");
        MemoryFileSystem before = files.Copy();
        var recorder = new RecordingFileSystem(files);
        using (Qcow2Image image = Qcow2Image.Create(recorder, TroubledImage.Head, TroubledImage.Shapes["512"]))
        {
            image.Flush();
            recorder.SyncDirectory("/d");
            image.Write(1000, data);
            image.Flush();
            image.Discard(0, 100 << 10);
            image.Write(50 << 10, data);
            image.Flush();
        }
        CrashState[] states = [.. new CrashModel(before, recorder.Effects).PowerCuts(12).Where(s => s.Files.Stat(TroubledImage.Head) is { Length: > 4096 })];
        Assert.True(states.Length > 50, $"only {states.Length} states");
        new Random(1).Shuffle(states);
        foreach (CrashState state in states.Take(25))
        {
            using (IBlockFile file = state.Files.Open(TroubledImage.Head, FileOpenMode.Read))
            {
                byte[] bytes = new byte[file.Length];
                file.Read(0, bytes);
                File.WriteAllBytes(path, bytes);
            }
            // 3: only leaks.
            Tool.Run("qemu-img", ["check", "-f", "qcow2", path], 3);
        }
    }
}
