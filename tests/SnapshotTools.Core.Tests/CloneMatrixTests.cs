using System.Diagnostics;
using SnapshotTools.Qcow2.Tests.Matrix;
using SnapshotTools.Testing;
using Xunit.Abstractions;

namespace SnapshotTools.Core.Tests;

/// <summary>Every kind of image of the format test matrix becomes a volume, imported and adopted; a full copy of that is what qemu-img sees in the image.</summary>
public sealed class CloneMatrixTests(ITestOutputHelper output) : IDisposable
{
    private readonly TestStore _store = new();
    private readonly TempFolder _images = new();

    private SnapshotEngine Engine => _store.Engine;

    [ToolFact("qemu-img", "qemu-io")]
    public void A_full_copy_of_every_kind_of_image_is_what_qemu_img_sees()
    {
        int imported = 0, adopted = 0, chains = 0;
        var clock = Stopwatch.StartNew();
        foreach (var recipe in ImageMatrix.Recipes)
        {
            string folder = _images.File($"{imported}");
            Directory.CreateDirectory(folder);
            string image = ImageFactory.Build(recipe, folder);
            string[] below = [.. Directory.GetFiles(folder, "layer*").Where(f => f != image)];
            Try(recipe.Name, image, new NewVolumeRequest { Name = $"i{imported++}", ImagePath = image, AllowedBackingFiles = below });
            var adopt = new NewVolumeRequest { Name = $"a{adopted}", ImagePath = image, AllowedBackingFiles = below, Adopt = true };
            if (below.Length == 0)
            {
                Try(recipe.Name, image, adopt);
                adopted++;
            }
            else
            {
                // The store could not vouch for what it does not hold.
                Assert.Equal(ErrorIds.ImageRefused, Assert.Throws<SnapshotException>(() => Engine.Volumes.Create(adopt)).ErrorId);
                chains++;
            }
            Directory.Delete(folder, recursive: true);
        }
        output.WriteLine($"{imported} kinds of images imported, {adopted} adopted ({chains} are chains, which is refused): all copies compare equal, in {clock.Elapsed.TotalSeconds:0} s");
        Assert.InRange(adopted, 50, int.MaxValue);
        _store.AssertClean(layers: 0);
    }

    [ToolFact("qemu-img")]
    public void A_full_copy_of_an_adopted_image_that_was_written_over_compares_equal()
    {
        string raw = _images.File("disk.raw");
        byte[] bytes = new byte[4 << 20];
        new Random(3).NextBytes(bytes.AsSpan(1 << 20, 700_000));
        bytes.AsSpan(3 << 20, 100_000).Fill(7);
        File.WriteAllBytes(raw, bytes);
        string[][] kinds =
        [
            ["compat=0.10"], ["compat=1.1"], ["cluster_size=512"], ["cluster_size=2M"], ["refcount_bits=1"], ["refcount_bits=64"], ["extended_l2=on,cluster_size=128k"],
            ["compression_type=zlib", "-c"], ["compression_type=zstd", "-c"], ["lazy_refcounts=on"], ["preallocation=metadata"],
        ];
        for (int i = 0; i < kinds.Length; i++)
        {
            string image = _images.File($"k{i}.qcow2");
            Tool.Run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", "-o", kinds[i][0], .. kinds[i][1..], raw, image]);
            Engine.Volumes.Create(new NewVolumeRequest { Name = $"k{i}", ImagePath = image, Adopt = true }).Run();
            _store.Write($"k{i}", 2 << 20, 5000, (byte)i);
            Engine.Operations.Run([Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource($"k{i}", null, $"copy{i}")] }).Run().Copies[0].Id]);
            var copy = Engine.Volumes.Get($"copy{i}");
            Assert.Equal(1, copy.ChainLength);
            Tool.Run("qemu-img", ["compare", "-f", "qcow2", "-F", "qcow2", Engine.Volumes.Get($"k{i}").Path, copy.Path]);
            Tool.Run("qemu-img", ["check", "-f", "qcow2", copy.Path]);
        }
        _store.AssertClean();
    }

    public void Dispose()
    {
        _store.Dispose();
        _images.Dispose();
    }

    private void Try(string recipe, string image, NewVolumeRequest request)
    {
        string what = $"'{recipe}', {(request.Adopt ? "adopted" : "imported")}";
        try
        {
            Engine.Volumes.Create(request).Run();
            var made = Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource(request.Name, null, "copy")] }).Run();
            Assert.Equal(OperationState.Completed, Engine.Operations.Run([made.Copies[0].Id])[0].State);
            var copy = Engine.Volumes.Get("copy");
            Assert.Equal((1, null), (copy.ChainLength, copy.LinkedTo));
            Judge("compare", "-f", Path.GetExtension(image)[1..], "-F", "qcow2", image, copy.Path);
            Judge("check", "-f", "qcow2", copy.Path);
            Engine.Volumes.Remove("copy", false).Run();
            Engine.Volumes.Remove(request.Name, false).Run();
        }
        catch (Exception error) when (error is SnapshotException or Xunit.Sdk.XunitException)
        {
            throw new InvalidOperationException($"{what}: {error.Message}", error);
        }

        void Judge(params string[] arguments)
        {
            var (exitCode, said) = Tool.TryRun("qemu-img", arguments);
            Assert.True(exitCode == 0, $"qemu-img {arguments[0]} says: {said}");
        }
    }
}
