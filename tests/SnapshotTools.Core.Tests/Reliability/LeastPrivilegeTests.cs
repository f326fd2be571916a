using System.Text.RegularExpressions;
using SnapshotTools.Embedded;
using SnapshotTools.Testing;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>A store is its owner's alone from the first instant, nothing planted in it is followed, and no image makes us open what it names.</summary>
public sealed class LeastPrivilegeTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private string Store => _folder.File("store");

    [Theory]
    [InlineData("000")]
    [InlineData("022")]
    [InlineData("277")]
    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    public void Whatever_the_umask_everything_is_private(string mask)
    {
        var (exitCode, output) = Tool.TryRun("dotnet", ["exec", typeof(Worker).Assembly.Location, "umask", mask, Store, RawImage()]);
        Assert.True(exitCode == 0, output);

        foreach (string path in Directory.GetFileSystemEntries(Store, "*", SearchOption.AllDirectories).Append(Store).Append(_folder.File("exported.raw")))
        {
            if (new FileInfo(path).LinkTarget is not null) continue;
            var mode = File.GetUnixFileMode(path);
            var wanted = Directory.Exists(path) ? UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute : UnixFileMode.UserRead | UnixFileMode.UserWrite;
            if (Path.GetFileName(path) == "stranger.qcow2") continue;   // the test's own
            Assert.True(mode == wanted || (mode == UnixFileMode.UserRead && path.Contains("/layers/", StringComparison.Ordinal)), $"{path} has mode {mode}");
        }
    }

    [ToolFact("strace")]
    public void No_file_is_anybodys_even_for_an_instant()
    {
        string trace = _folder.File("trace");
        Tool.Run("strace", ["-f", "-o", trace, "-e", "trace=open,openat,creat,mkdir,mkdirat,chmod,fchmod,fchmodat", "--", "dotnet", "exec", typeof(Worker).Assembly.Location, "umask", "000", Store, RawImage()]);

        string[] made = [.. File.ReadLines(trace).Where(l => l.Contains(Store, StringComparison.Ordinal) && (l.Contains("O_CREAT", StringComparison.Ordinal) || l.Contains("mkdir", StringComparison.Ordinal))
            && !l.Contains("stranger", StringComparison.Ordinal))];
        Assert.True(made.Length > 10, string.Join('\n', made));
        string[] open = [.. made.Where(l => !Regex.IsMatch(l, @"(O_CREAT.*, 0?600|mkdir.*, 0?700)"))];
        Assert.True(open.Length == 0, string.Join("\n", open));
    }

    [ToolFact("strace", "qemu-img")]
    public void What_an_image_names_is_not_opened()
    {
        EmbeddedStore.Initialize(Store).Run();
        string secret = _folder.File("secret");
        File.WriteAllBytes(secret, new byte[1 << 20]);
        string[] names = [secret, "../secret", "secret", "/etc/shadow", "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"" + secret + "\"}}", "nbd://127.0.0.1:1/x", "http://127.0.0.1:1/x", "ssh://127.0.0.1/x", "/dev/null"];
        var images = names.Select((name, i) =>
        {
            string image = _folder.File($"image{i}.qcow2");
            Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", "-u", "-F", "raw", "-b", name, image, "1M"]);
            return image;
        }).ToList();
        string trace = _folder.File("trace");

        string output = Tool.Run("strace", ["-f", "-s", "2000", "-o", trace, "-e", "trace=open,openat,openat2,stat,lstat,newfstatat,statx,readlink,connect,socket,execve", "--", "dotnet", "exec", typeof(Worker).Assembly.Location, "import", Store, .. images]);

        Assert.Equal(images.Count * 2, Regex.Count(output, "ImageRefused"));
        string[] lines = File.ReadAllLines(trace);
        string[] reached = [.. lines.Where(l => l.Contains("secret", StringComparison.Ordinal) || l.Contains("/etc/shadow", StringComparison.Ordinal) || l.Contains("AF_INET", StringComparison.Ordinal) || l.Contains("json:", StringComparison.Ordinal))
            .Where(l => !l.Contains("execve", StringComparison.Ordinal))];
        Assert.True(reached.Length == 0, string.Join('\n', reached));
        Assert.Contains(lines, l => l.Contains("image0.qcow2", StringComparison.Ordinal) && l.Contains("open", StringComparison.Ordinal));
        Assert.Empty(Directory.GetFiles(Path.Combine(Store, "layers")));
    }

    [Theory]
    [InlineData("layers")]
    [InlineData("volumes")]
    [InlineData("memory")]
    [InlineData("locks")]
    [InlineData("catalog.sqlite-wal")]
    [InlineData("catalog.ledger")]
    public void A_planted_link_is_not_followed(string name)
    {
        EmbeddedStore.Initialize(Store).Run();
        string elsewhere = Directory.CreateDirectory(_folder.File("elsewhere")).FullName, planted = Path.Combine(Store, name);
        if (Directory.Exists(planted)) Directory.Delete(planted);
        if (File.Exists(planted)) File.Delete(planted);
        File.CreateSymbolicLink(planted, name is "layers" or "volumes" or "memory" ? elsewhere : Path.Combine(elsewhere, "target"));

        var error = Assert.Throws<SnapshotException>(() => EmbeddedStore.Open(Store));

        Assert.Equal(ErrorIds.NotAStore, error.ErrorId);
        Assert.Empty(Directory.GetFileSystemEntries(elsewhere));
    }

    [Fact]
    public void A_planted_stable_path_is_replaced_and_not_written_through()
    {
        EmbeddedStore.Initialize(Store).Run();
        string victim = _folder.File("victim");
        File.WriteAllText(victim, "precious");
        File.CreateSymbolicLink(Path.Combine(Store, "volumes", "v.qcow2"), victim);
        using var engine = EmbeddedStore.Open(Store);

        engine.Volumes.Create(new NewVolumeRequest { Name = "v", SizeBytes = 1 << 20 }).Run();

        Assert.Equal("precious", File.ReadAllText(victim));
        Assert.Empty(engine.Test());
    }

    [Fact]
    public void A_store_is_not_made_through_a_link()
    {
        string elsewhere = Directory.CreateDirectory(_folder.File("elsewhere")).FullName;
        File.CreateSymbolicLink(Store, elsewhere);

        Assert.Equal(ErrorIds.NotAStore, Assert.Throws<SnapshotException>(() => EmbeddedStore.Initialize(Store).Run()).ErrorId);
        Assert.Empty(Directory.GetFileSystemEntries(elsewhere));
    }

    public void Dispose() => _folder.Dispose();

    private string RawImage()
    {
        string image = _folder.File("image.raw");
        File.WriteAllBytes(image, new byte[1 << 20]);
        return image;
    }
}
