using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Embedded;

/// <summary>What a repair of the store needs: to see what files there are and what they say of themselves, and to put them right.</summary>
internal sealed partial class LayerStorage
{
    public IReadOnlyList<FoundLayer> Survey(IReadOnlyList<string> alsoIn)
    {
        string[] folders = [layout.Layers, layout.Quarantine, .. alsoIn.Select(f => Path.TrimEndingDirectorySeparator(Path.GetFullPath(f)))];
        return [.. folders.Distinct().Where(f => files.Stat(f)?.Kind == FileKind.Directory)
            .SelectMany(files.List).Where(f => f.Kind == FileKind.Regular && (IsInStore(f.Path) || f.Path.EndsWith(".qcow2", StringComparison.OrdinalIgnoreCase)))
            .OrderBy(f => f.Path, StringComparer.Ordinal).Select(f => Look(f.Path))];
    }

    public IReadOnlyDictionary<string, string> PublishedLinks()
    {
        var links = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        if (files.Stat(layout.Volumes) is null) return links;
        foreach (var entry in files.List(layout.Volumes).Where(e => e.Kind == FileKind.Link && !TemporaryLink.IsOne(e.Path)))
            if (files.ReadLink(entry.Path) is { } target) links[Path.GetFileNameWithoutExtension(entry.Path)] = LocationOf(target);
        return links;
    }

    public string Quarantine(string location)
    {
        string from = layout.PathOf(location), to = Path.Combine(layout.Quarantine, Path.GetFileName(from));
        files.CreateDirectory(layout.Quarantine);
        for (int n = 2; files.Stat(to) is not null; n++) to = Path.Combine(layout.Quarantine, FormattableString.Invariant($"{n}-{Path.GetFileName(from)}"));
        files.Rename(from, to);
        files.SyncDirectory(layout.Quarantine);
        files.SyncDirectory(Path.GetDirectoryName(from)!);
        return RelativeTo(to);
    }

    public long DeleteQuarantined(IReadOnlyList<string> locations)
    {
        long bytes = locations.Sum(l => files.Stat(layout.PathOf(l))?.AllocatedBytes ?? 0);
        Delete(locations);
        return bytes;
    }

    public void PutBack(string location, LayerFile layer)
    {
        string from = layout.PathOf(location), to = PathOf(layer);
        if (files.Stat(to) is not null) Quarantine(layer.Location);
        if (IsInStore(from)) files.Rename(from, to);
        else CopyIn(from, to);
        files.SyncDirectory(Path.GetDirectoryName(to)!);
        if (IsInStore(from)) files.SyncDirectory(Path.GetDirectoryName(from)!);
    }

    /// <summary>Copies an image from outside, which may be somebody's backup, and on another disk. Its header comes last: a copy that was cut off is no image.</summary>
    private void CopyIn(string from, string to)
    {
        const int headerBytes = 64 << 10, stepBytes = 4 << 20;
        string making = to + ".new";
        Delete([making], isDurable: false);
        using (var source = files.Open(from, FileOpenMode.Read))
        using (var copy = files.Create(making))
        {
            if (!source.TryClone(copy))
            {
                byte[] buffer = new byte[stepBytes];
                for (long end = headerBytes; source.NextData(end) is { } data; end = data.Offset + data.Count)
                    for (long at = data.Offset; at < data.Offset + data.Count; at += stepBytes) Copy(at, Math.Min(stepBytes, data.Offset + data.Count - at));
                copy.SetLength(source.Length);
                copy.Flush();
                Copy(0, Math.Min(headerBytes, source.Length));

                void Copy(long offset, long count) => copy.Write(offset, buffer.AsSpan(0, source.Read(offset, buffer.AsSpan(0, (int)count))));
            }
            copy.Flush();
        }
        files.Rename(making, to);
    }

    public string? DescribeRepair(LayerFile layer)
    {
        if (layer.External || layer.Format == LayerFormat.Raw || files.Stat(PathOf(layer)) is null) return null;
        try
        {
            var plan = ImageRepair.Plan(files, PathOf(layer), RepairScope.All, new CheckOptions { Lock = false });
            return plan.Steps.Count == 0 ? null : string.Join(", ", plan.Steps.Select(s => s.Description));
        }
        catch (Exception error) when (error is Qcow2Exception or IOException)
        {
            return null;
        }
    }

    public void Repair(LayerFile layer)
    {
        try
        {
            SetFrozen(layer, false);
            var options = new CheckOptions { Lock = false };
            ImageRepair.Execute(files, ImageRepair.Plan(files, PathOf(layer), RepairScope.All, options), options);
        }
        catch (Qcow2Exception error)
        {
            throw ImageErrors.Translate(error);
        }
    }

    public void Rename(LayerFile layer, LayerFile? parent, LayerIdentity identity)
    {
        SetFrozen(layer, false);
        using var image = OpenAlone(layer, write: true);
        string? reference = parent is null ? null : StoreLayout.ReferenceTo(parent);
        if (image.BackingFile != reference) image.SetBacking(reference, parent is null ? null : FormatOf(parent));
        IdentityExtension.Update(image, identity);
        image.Flush();
    }

    private FoundLayer Look(string path)
    {
        string location = RelativeTo(path);
        try
        {
            using var image = Qcow2Image.Open(files, path, new ImageOpenOptions { Lock = false });
            return new FoundLayer(location, IdentityExtension.Read(image), image.BackingFile is { } backing ? LocationOf(backing) : null,
                image.BackingFormat == ImageFormat.Raw ? LayerFormat.Raw : LayerFormat.Qcow2, image.VirtualSize, image.Header.ClusterSize, null);
        }
        catch (Exception error) when (error is Qcow2Exception or IOException)
        {
            return new FoundLayer(location, null, null, LayerFormat.Qcow2, 0, 0, error.Message);
        }
    }

    private bool IsInStore(string path) => path.StartsWith(layout.Directory + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    private string RelativeTo(string path) => IsInStore(path) ? Path.GetRelativePath(layout.Directory, path).Replace('\\', '/') : path;

    /// <summary>A layer or a link names another as seen from its own folder in the store.</summary>
    private string LocationOf(string reference) => RelativeTo(Path.GetFullPath(Path.Combine(layout.Layers, reference)));
}
