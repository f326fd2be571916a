using System.IO.Compression;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using SnapshotTools.Testing;

namespace SnapshotTools.Guest;

/// <summary>
/// Kernel and initial file systems of the test guest, built once from Debian's packages (downloaded by apt) and kept in the
/// build's output folder.
/// </summary>
public sealed class GuestKit
{
    /// <summary>The programs that building and running it needs.</summary>
    public static readonly string[] Tools = ["qemu-system-x86_64", "apt-get", "dpkg-deb", "gcc", "busybox", "mkfs.ext4", "qemu-img"];

    /// <summary>Fails a boot never, speeds it up: no messages, reboot means end.</summary>
    public const string KernelCommandLine = "console=ttyS0 quiet panic=-1";

    private static readonly string[] Modules =
        ["virtio_pci", "virtio_blk", "virtio_console", "virtio_scsi", "sd_mod", "ata_piix", "button", "evdev"];

    private static readonly string[] AgentPackages =
        ["qemu-guest-agent", "libc6", "libglib2.0-0", "libpcre2-8-0", "libnuma1", "libudev1", "liburing2", "libgcc-s1"];

    private static readonly Lazy<GuestKit> Built = new(Build);

    private GuestKit(string folder)
    {
        Folder = folder;
        // The same processor on every machine: a /dev/kvm that is there need not work.
        Environment.SetEnvironmentVariable("SNAPSHOTTOOLS_ACCELERATOR", "tcg");
    }

    /// <summary>The kit; the first call in a fresh checkout takes some seconds and the network.</summary>
    public static GuestKit Instance => Built.Value;

    /// <summary>Where it is.</summary>
    public string Folder { get; }

    /// <summary>The kernel.</summary>
    public string Kernel => Path.Combine(Folder, "vmlinuz");

    /// <summary>The initial file system: busybox, the workload, a shell on a virtio port.</summary>
    public string Initrd => Path.Combine(Folder, "initrd");

    /// <summary>The same with a guest agent in it.</summary>
    public string InitrdWithAgent => Path.Combine(Folder, "initrd-agent");

    private static GuestKit Build()
    {
        string root = Path.Combine(OutputFolder(), "guest-kit");
        Directory.CreateDirectory(root);
        using var turn = WaitForTurn(Path.Combine(root, "lock"));
        string folder = Path.Combine(root, Key());
        if (Directory.Exists(folder)) return new GuestKit(folder);

        using var work = new TempFolder();
        string kernel = Unpack(work, "kernel", [KernelPackage()]);
        string fresh = folder + ".new";
        if (Directory.Exists(fresh)) Directory.Delete(fresh, recursive: true);
        Directory.CreateDirectory(fresh);
        File.Copy(Directory.GetFiles(Path.Combine(kernel, "boot"), "vmlinuz-*").Single(), Path.Combine(fresh, "vmlinuz"));
        using (var initrd = File.Create(Path.Combine(fresh, "initrd"))) Compress(initrd, a => AddBase(a, work, kernel));
        File.Copy(Path.Combine(fresh, "initrd"), Path.Combine(fresh, "initrd-agent"));
        string agent = Unpack(work, "agent", AgentPackages);
        // The kernel unpacks archives that stand one behind the other.
        using (var initrd = new FileStream(Path.Combine(fresh, "initrd-agent"), FileMode.Append)) Compress(initrd, a => AddAgent(a, agent));
        Directory.Move(fresh, folder);
        return new GuestKit(folder);
    }

    private static void AddBase(CpioArchive archive, TempFolder work, string kernel)
    {
        foreach (string folder in new[] { "dev", "proc", "sys", "tmp", "run", "mnt" }) archive.AddDirectory(folder);
        archive.AddFile("init", Resource("init"), executable: true);
        archive.AddFile("bin/workload", Compile(work), executable: true);
        archive.AddFile("bin/busybox", File.ReadAllBytes(Tool.Find("busybox")!), executable: true);
        foreach (string applet in Tool.Run("busybox", ["--list"]).Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(a => a != "busybox"))
            archive.AddLink($"bin/{applet}", "busybox");
        var modules = new KernelModules(kernel).InOrder(Modules);
        foreach (var (name, content) in modules) archive.AddFile($"modules/{name}.ko", content);
        archive.AddFile("modules/order", Encoding.ASCII.GetBytes(string.Concat(modules.Select(m => m.Name + "\n"))));
    }

    private static void AddAgent(CpioArchive archive, string packages)
    {
        archive.AddFile("bin/qemu-ga", File.ReadAllBytes(Path.Combine(packages, "usr/sbin/qemu-ga")), executable: true);
        foreach (string file in Directory.EnumerateFiles(packages, "*.so*", SearchOption.AllDirectories))
        {
            string name = Path.GetFileName(file);
            if (file.Contains("/gconv/", StringComparison.Ordinal) || file.Contains("/audit/", StringComparison.Ordinal)) continue;
            string place = name.StartsWith("ld-linux", StringComparison.Ordinal) ? "lib64" : "lib";
            var link = new FileInfo(file).LinkTarget;
            if (link is null) archive.AddFile($"lib/{name}", File.ReadAllBytes(file), executable: true);
            else if (!Path.IsPathRooted(link) && !link.Contains('/', StringComparison.Ordinal)) archive.AddLink($"{place}/{name}", link);
            if (place == "lib64") archive.AddLink($"lib64/{name}", $"../lib/{name}");
        }
    }

    private static byte[] Compile(TempFolder work)
    {
        File.WriteAllBytes(work.File("workload.c"), Resource("workload.c"));
        Tool.Run("gcc", ["-O2", "-static", "-s", "-Wall", "-Wextra", "-o", work.File("workload"), work.File("workload.c")]);
        return File.ReadAllBytes(work.File("workload"));
    }

    private static string Unpack(TempFolder work, string name, string[] packages)
    {
        string downloads = Directory.CreateDirectory(work.File(name + "-packages")).FullName;
        // apt-get puts what it downloads into its working directory.
        Tool.Run("env", ["--chdir", downloads, "apt-get", "-q", "download", .. packages]);
        string target = Directory.CreateDirectory(work.File(name)).FullName;
        foreach (string package in Directory.GetFiles(downloads, "*.deb")) Tool.Run("dpkg-deb", ["-x", package, target]);
        return target;
    }

    private static string KernelPackage() =>
        Tool.Run("apt-cache", ["depends", "linux-image-cloud-amd64"]).Split('\n').Select(l => l.Trim())
            .First(l => l.StartsWith("Depends: linux-image-", StringComparison.Ordinal))["Depends: ".Length..];

    private static void Compress(Stream target, Action<CpioArchive> fill)
    {
        using var gzip = new GZipStream(target, CompressionLevel.Fastest, leaveOpen: true);
        var archive = new CpioArchive(gzip);
        fill(archive);
        archive.End();
    }

    private static byte[] Resource(string name)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("kit/" + name)!;
        byte[] content = new byte[stream.Length];
        stream.ReadExactly(content);
        return content;
    }

    // What the kit is made of by us; a newer Debian kernel alone is no reason to build it again.
    private static string Key()
    {
        byte[] all = [.. Resource("init"), .. Resource("workload.c"), .. Encoding.UTF8.GetBytes(string.Join(',', [.. Modules, .. AgentPackages]))];
        return Convert.ToHexStringLower(SHA256.HashData(all))[..16];
    }

    private static FileStream WaitForTurn(string path)
    {
        for (int tries = 0; ; tries++)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (tries < 1800)
            {
                Thread.Sleep(100);
            }
        }
    }

    private static string OutputFolder()
    {
        for (string? folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
            if (File.Exists(Path.Combine(folder, "SnapshotTools.sln"))) return Path.Combine(folder, "out");
        return Path.Combine(Path.GetTempPath(), "snapshottools-out");
    }
}
