using System.Security.Cryptography;
using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;
using SnapshotTools.Testing;

namespace SnapshotTools.Core.Tests;

/// <summary>A store of its own for one test, with means to write and read its volumes as a guest would.</summary>
internal sealed class TestStore : IDisposable
{
    private readonly TempFolder _folder = new();

    public TestStore()
    {
        Directory = _folder.File("store");
        EmbeddedStore.Initialize(Directory).Run();
        Engine = EmbeddedStore.Open(Directory);
    }

    public string Directory { get; }

    public SnapshotEngine Engine { get; private set; }

    public string File(string name) => _folder.File(name);

    /// <summary>Opens the store again, as another process would after this one was killed.</summary>
    public List<string> Reopen()
    {
        Engine.Dispose();
        var log = new List<string>();
        Engine = EmbeddedStore.Open(Directory, log.Add);
        return log;
    }

    /// <summary>A VM with volumes of one MiB each, the first to boot from.</summary>
    public VmInstance NewVm(string name, params string[] volumes)
    {
        foreach (string volume in volumes) NewVolume(volume);
        return Engine.Machines.Create(new NewVmRequest { Name = name, Volumes = [.. volumes.Select(v => new AttachRequest(v))] }).Run();
    }

    public VmVolume NewVolume(string name, long size = 1 << 20) => Engine.Volumes.Create(new NewVolumeRequest { Name = name, SizeBytes = size }).Run();

    public VmSnapshot Snapshot(string vm, string name) => Engine.Snapshots.Create(new NewSnapshotRequest { Vm = vm, Name = name }).Run();

    public VmInstance Restore(string vm, string name, bool keepBackup = false) =>
        Engine.Snapshots.Restore(new RestoreRequest { Vm = vm, Snapshot = name, KeepBackup = keepBackup }).Run();

    public void Remove(string vm, string name, bool includeChildren = false) =>
        Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = vm, Snapshot = name, IncludeChildren = includeChildren }).Run();

    /// <summary>Fills a range of a volume through its stable path.</summary>
    public void Write(string volume, long offset, int count, byte value)
    {
        using var image = Open(Engine.Volumes.Get(volume).Path, write: true);
        byte[] data = new byte[count];
        Array.Fill(data, value);
        image.Write(offset, data);
        image.Flush();
    }

    /// <summary>Writes a byte to the variables of a VM's firmware, as that would; the first time makes the file, as the first start does.</summary>
    public void WriteFirmware(string vm, byte value)
    {
        var (context, row) = (Engine.Context, Engine.Context.ResolveVm(vm));
        if (context.Catalog.Machines.Firmware(row.Id) is not { } location)
        {
            location = context.Storage.NewMemoryLocation(Guid.CreateVersion7());
            System.IO.File.WriteAllBytes(context.Storage.PathOf(location), new byte[4096]);
            context.Database.Write(() => context.Catalog.Machines.SetFirmware(row.Id, location));
        }
        using var file = System.IO.File.OpenWrite(context.Storage.PathOf(location));
        file.WriteByte(value);
    }

    /// <summary>The byte in a VM's variables, or those of its snapshot; -1 when it has none.</summary>
    public static int FirmwareOf(SnapshotEngine engine, string vm, string? snapshot = null)
    {
        var (context, row) = (engine.Context, engine.Context.ResolveVm(vm));
        string? location = snapshot is null ? context.Catalog.Machines.Firmware(row.Id) : context.Catalog.Machines.FirmwareOfSnapshot(context.ResolveSnapshot(row, snapshot).Id);
        if (location is null) return -1;
        byte[] all = System.IO.File.ReadAllBytes(context.Storage.PathOf(location));
        Assert.Equal(4096, all.Length);
        return all[0];
    }

    /// <summary>What the present of a volume reads as.</summary>
    public string Hash(string volume) => HashFile(Engine.Volumes.Get(volume).Path);

    /// <summary>What a layer and its chain read as.</summary>
    public static string HashFile(string path)
    {
        using var image = Open(path, write: false);
        byte[] all = new byte[image.VirtualSize];
        image.Read(0, all);
        return Convert.ToHexString(SHA256.HashData(all));
    }

    /// <summary>Fails unless the store tests clean and has just these many layer files.</summary>
    public void AssertClean(int? layers = null)
    {
        Assert.Empty(Engine.Test());
        if (layers is not null) Assert.Equal(layers, System.IO.Directory.GetFiles(Path.Combine(Directory, "layers")).Length);
    }

    public void Dispose()
    {
        Engine.Dispose();
        _folder.Dispose();
    }

    /// <summary>Waits for something that is sure to come.</summary>
    public static void Until(Func<bool> condition)
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(60), "waited in vain");
            Thread.Sleep(20);
        }
    }

    /// <summary>Opens a volume's path, or a layer, with its chain.</summary>
    public static Qcow2Image Open(string path, bool write) => Qcow2Image.Open(SystemFiles.Instance, path, new ImageOpenOptions
    {
        Write = write,
        FollowLinks = true,
        Backing = BackingPolicy.Allowed,
        ResolveBacking = (layer, backing, format) => new BackingTarget(Path.GetFullPath(Path.Combine(Path.GetDirectoryName(layer)!, backing)), format!.Value),
    });
}
