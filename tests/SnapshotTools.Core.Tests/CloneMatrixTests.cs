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
