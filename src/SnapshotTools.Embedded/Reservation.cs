using SnapshotTools.IO;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Embedded;

/// <summary>Image locks on some layers, held together.</summary>
internal sealed class Reservation : IDisposable
{
    private readonly List<IBlockFile> _files = [];

    public void Add(IFileSystem fileSystem, string path, ImageUse use)
    {
        var file = fileSystem.Open(path, use == ImageUse.Read ? FileOpenMode.ReadFollowingLinks : FileOpenMode.Read);
        _files.Add(file);
        ImageLock.Acquire(file, use);
    }

    public void Dispose()
    {
        foreach (var file in _files) file.Dispose();   // and the locks with them
        _files.Clear();
    }
}
