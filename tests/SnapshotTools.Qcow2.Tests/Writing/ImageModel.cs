using SnapshotTools.IO;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Writing;

/// <summary>An image, and beside it a plain byte array that is changed in the same way.</summary>
internal sealed class ImageModel : IDisposable
{
    private readonly string _folder;
    private readonly Random _random;
    private readonly List<ImageCreateOptions> _layerOptions;
    private readonly List<string> _log = [];
    private Qcow2Image _image;
    private byte[] _expected;
    private int _layers;

    /// <param name="folder">Where the files go.</param>
    /// <param name="layerOptions">How the layers are created, in turn.</param>
    /// <param name="seed">Decides everything.</param>
    public ImageModel(string folder, IEnumerable<ImageCreateOptions> layerOptions, int seed)
    {
        _folder = folder;
        _random = new Random(seed);
        _layerOptions = [.. layerOptions];
        _expected = new byte[_layerOptions[0].VirtualSize];
        _image = Qcow2Image.Create(SystemFiles.Instance, PathOf(0), _layerOptions[0]);
        _layers = 1;
    }

    public void Dispose() => _image.Dispose();

    private ImageOpenOptions Options => new() { Write = true, Backing = BackingPolicy.Allowed, AllowedBacking = [_folder], CacheBytes = 1 << 20 };

    private string PathOf(int layer) => Path.Combine(_folder, $"layer{layer}.qcow2");

    private string Head => PathOf(_layers - 1);

    /// <summary>Does random operations, checking as it goes; a failure names the last operations.</summary>
    public void Run(int operations)
    {
        try
        {
            for (int i = 0; i < operations; i++)
            {
                Step();
                CheckSome();
            }
            Judge();
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{e.Message}\nafter:\n{string.Join('\n', _log.TakeLast(25))}", e);
        }
    }

    private void Step()
    {
        int dice = _random.Next(100);
        (int offset, int count) = Range();
        if (dice < 50)
        {
            byte[] data = new byte[count];
            _random.NextBytes(data);
            Log($"write {offset} {count}");
            _image.Write(offset, data);
            data.CopyTo(_expected, offset);
        }
        else if (dice < 65)
        {
            Log($"zero {offset} {count}");
            _image.WriteZeroes(offset, count);
            _expected.AsSpan(offset, count).Clear();
        }
        else if (dice < 80)
        {
            Log($"discard {offset} {count}");
            _image.Discard(offset, count);
            ModelDiscard(offset, count);
        }
        else if (dice < 85)
        {
            long size = Math.Max(512, _expected.Length + (_random.Next(-2000, 2000) * 512L));
            Log($"resize {size}");
            _image.Resize(size);
            Array.Resize(ref _expected, (int)size);
        }
        else if (dice < 90)
        {
            Log("flush");
            _image.Flush();
        }
        else if (dice < 94)
        {
            Log("reopen");
            Reopen();
        }
        else if (dice < 97 && _layers < 6)
        {
            Log("overlay");
            Overlay();
        }
        else if (dice < 98)
        {
            Log("judge");
            Judge();
        }
    }

    private void Log(string what) => _log.Add(what);

    private (int Offset, int Count) Range()
    {
        int size = _expected.Length;
        int unit = _random.Next(3) switch { 0 => 1, 1 => 512, _ => _image.Header.ClusterSize };
        long length = (1L + _random.Next(1 << _random.Next(1, 12))) * unit;
        int count = (int)Math.Min(length, Math.Min(size, 3 << 20));
        int offset = _random.Next(size - count + 1) / unit * unit;
        return (offset, _random.Next(20) == 0 ? size - offset : count);
    }

    /// <summary>Whole units read as zeroes afterwards; version 2 over a backing file may leave a cluster as it was.</summary>
    private void ModelDiscard(int offset, int count)
    {
        int unit = _image.Header.ExtendedL2 ? _image.Header.ClusterSize / 32 : _image.Header.ClusterSize;
        int from = (offset + unit - 1) / unit * unit, to = offset + count;
        to = to == _expected.Length ? (to + unit - 1) / unit * unit : to / unit * unit;
        bool mayKeep = _image.Header.Version == 2 && _image.BackingFile is not null;
        byte[] actual = new byte[unit];
        for (int at = from; at < to; at += unit)
        {
            Span<byte> cluster = _expected.AsSpan(at, Math.Min(unit, _expected.Length - at));
            if (mayKeep)
            {
                Span<byte> seen = actual.AsSpan(0, cluster.Length);
                _image.Read(at, seen);
                if (seen.SequenceEqual(cluster)) continue;
            }
            cluster.Clear();
        }
    }

    private void Reopen()
    {
        _image.Dispose();
        _image = Qcow2Image.Open(SystemFiles.Instance, Head, Options);
    }

    private void Overlay()
    {
        _image.Dispose();
        long size = _random.Next(3) == 0 ? Math.Max(512, _expected.Length + (_random.Next(-2000, 2000) * 512L)) : _expected.Length;
        ImageCreateOptions options = _layerOptions[_layers % _layerOptions.Count] with
        {
            VirtualSize = size,
            BackingFile = _random.Next(2) == 0 ? Path.GetFileName(Head) : Head,
            BackingFormat = ImageFormat.Qcow2,
            Open = Options,
        };
        _image = Qcow2Image.Create(SystemFiles.Instance, PathOf(_layers++), options);
        Array.Resize(ref _expected, (int)size);
    }

    private void CheckSome()
    {
        for (int i = 0; i < 3; i++)
        {
            (int offset, int count) = Range();
            byte[] actual = new byte[count];
            _image.Read(offset, actual);
            int same = actual.AsSpan().CommonPrefixLength(_expected.AsSpan(offset, count));
            Assert.True(same == count, $"It differs at {offset + same}, read from {offset}.");
        }
    }

    /// <summary>Lets qemu-img check the file and compare it with the model.</summary>
    public void Judge()
    {
        _image.Dispose();
        string raw = Path.Combine(_folder, "model.raw");
        File.WriteAllBytes(raw, _expected);
        string check = Tool.Run("qemu-img", ["check", "-f", "qcow2", Head]);
        Assert.Contains("No errors were found", check, StringComparison.Ordinal);
        Tool.Run("qemu-img", ["compare", "-f", "raw", "-F", "qcow2", raw, Head]);
        _image = Qcow2Image.Open(SystemFiles.Instance, Head, Options);
        Assert.Equal(_expected.Length, _image.VirtualSize);
        List<MapExtent> map = [.. _image.Map(0, _image.VirtualSize)];
        Assert.Equal(_expected.Length, map.Sum(e => e.Count));
    }
}
