using System.Diagnostics;
using SnapshotTools.Core;
using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Qcow2.Tests.Fuzzing;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Qcow2.Tests.Hostile;

/// <summary>Images of adversaries given to the importer: it ends in bounded time with an error that says why, or with a volume; it touches the image
/// and the store and nothing else; and of what it refused nothing is in the store.</summary>
[Trait("Category", "Torture")]
public sealed class ImporterTests : IDisposable
{
    private const int FuzzCases = 150;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private readonly ITestOutputHelper _output;
    private readonly TempFolder _folder = TempFolder.InMemory();
    private readonly GuardedFileSystem _files;
    private readonly SnapshotEngine _engine;

    public ImporterTests(ITestOutputHelper output)
    {
        _output = output;
        _files = new GuardedFileSystem(SystemFiles.Instance, Image, Store + "/");
        EmbeddedStore.Initialize(Store).Run();
        _engine = EmbeddedStore.Open(_files, Store);
    }

    private string Store => _folder.File("store");

    private string Image => _folder.File("a.qcow2");

    [ToolFact("qemu-img", "qemu-io")]
    public void Hostile_images_are_refused_or_imported_and_leave_nothing()
    {
        int refused = 0;
        // A sparse file of 16 TiB that is all hole is a sound disk, and only big.
        foreach (var image in HostileImage.All)
        {
            refused += Meet(image.Make(), image.ToString(), adopt: false) ? 0 : 1;
            Meet(image.Make(), image.ToString(), adopt: true);
        }
        Effort.Count("hostile images at the importer", HostileImage.All.Count);
        _output.WriteLine($"{HostileImage.All.Count} hostile images, {refused} refused");
        Assert.True(refused > HostileImage.All.Count / 3, $"only {refused} were refused");
    }

    [ToolFact("qemu-img", "qemu-io")]
    public void Damaged_images_are_refused_or_imported_and_leave_nothing()
    {
        int cases = FuzzCases * Effort.Factor;
        for (int i = 0; i < cases; i++)
        {
            FuzzCase @case = new Mutator(unchecked((Effort.Seed * 7_000_003) + i)).Next();
            Meet(@case.Build().ToMemory(), @case.ToString(), adopt: i % 4 == 0);
        }
        Effort.Count("hostile images at the importer", cases);
    }

    [Theory]
    [InlineData("fifo")]
    [InlineData("directory")]
    [InlineData("/dev/zero")]
    [InlineData("/dev/null")]
    public void What_is_no_regular_file_is_no_image(string what)
    {
        string path = what;
        if (what == "fifo") Tool.Run("mkfifo", [path = Image]);
        if (what == "directory") path = Directory.CreateDirectory(Image).FullName;
        foreach (var format in new[] { ImageFileFormat.Raw, ImageFileFormat.Qcow2 })
        {
            var error = Assert.Throws<SnapshotException>(() => _engine.Volumes.Create(new NewVolumeRequest { Name = "v", ImagePath = path, ImageFormat = format }).Run());
            Assert.Equal(ErrorIds.ImageRefused, error.ErrorId);
        }
        AssertNothingLeft(what);
    }

    public void Dispose()
    {
        _engine.Dispose();
        _folder.Dispose();
    }

    /// <summary>True when it was imported.</summary>
    private bool Meet(MemoryFileSystem image, string what, bool adopt)
    {
        if (File.Exists(Image)) File.Delete(Image);
        image.Save("/", _folder.Path);
        var clock = Stopwatch.StartNew();
        using var cancel = new CancellationTokenSource(Limit);
        bool done = false;
        try
        {
            _engine.Volumes.Create(new NewVolumeRequest { Name = "v", ImagePath = Image, ImageFormat = ImageFileFormat.Qcow2, Adopt = adopt }).Run(new RunOptions { Cancellation = cancel.Token });
            _engine.Volumes.Remove("v", true).Run();
            done = true;
        }
        catch (SnapshotException error)
        {
            Assert.True(error.ErrorId is ErrorIds.ImageRefused or ErrorIds.InvalidArgument or ErrorIds.NotEnoughSpace, $"{what}: {error.ErrorId}: {error.Message}");
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            throw new InvalidOperationException($"{what} (seed {Effort.Seed}): {error}", error);
        }
        Assert.True(clock.Elapsed < Limit, $"{what} took {clock.Elapsed}");
        Assert.True(_files.Attempts.Count == 0, $"{what} reached for {string.Join(", ", _files.Attempts)}");
        AssertNothingLeft(what);
        return done;
    }

    private void AssertNothingLeft(string what)
    {
        string[] left = [.. Directory.GetFiles(Path.Combine(Store, "layers")), .. Directory.GetFileSystemEntries(Path.Combine(Store, "volumes"))];
        Assert.True(left.Length == 0, $"{what} left {string.Join(", ", left)}");
        Assert.True(_engine.Test().Count == 0, $"{what} left findings");
    }
}
