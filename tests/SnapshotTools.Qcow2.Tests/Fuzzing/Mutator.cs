using System.Buffers.Binary;
using SnapshotTools.Qcow2.Tests.Hostile;

namespace SnapshotTools.Qcow2.Tests.Fuzzing;

/// <summary>Damages samples where it hurts: entries of tables get values that lead to other tables, past the end, nearly
/// right; fields of the header their limits; pieces are copied over others; files are cut.</summary>
public sealed class Mutator(int seed)
{
    private static readonly ulong[] Masks = [0, 1, ulong.MaxValue, ImageBytes.Copied, ImageBytes.CompressedFlag, ImageBytes.Copied | 1, ImageBytes.Copied | ImageBytes.CompressedFlag, 1UL << 56, 1UL << 61];

    private readonly Random _random = new(seed);

    /// <summary>A new case.</summary>
    public FuzzCase Next()
    {
        ImageStructure structure = ImageStructure.Of(Pick(SampleImages.Names));
        byte[] bytes = SampleImages.Get(structure.Sample).Bytes;
        List<Patch> patches = [];
        for (int n = _random.Next(1, 7); n > 0; n--)
        {
            Patch patch = NextPatch(structure, bytes);
            patch.Bytes.CopyTo(bytes, patch.Offset);
            patches.Add(patch);
        }
        return new FuzzCase(structure.Sample, NextLength(structure), patches);
    }

    private long? NextLength(ImageStructure structure) => _random.Next(20) switch
    {
        0 => _random.NextInt64(structure.Length),
        1 => Math.Clamp(Pick(structure.Offsets) + _random.Next(-9, 10), 0, structure.Length),
        2 => structure.Length + _random.NextInt64(4 * structure.ClusterSize),
        _ => null,
    };

    private Patch NextPatch(ImageStructure structure, byte[] bytes)
    {
        Area area = Pick(structure.Areas);
        long place = Math.Min(area.Offset + (_random.Next(Math.Max(1, area.Length / area.Entry)) * (long)area.Entry), bytes.Length - 1);
        switch (_random.Next(10))
        {
            case 0 or 1:
                long at = Math.Min(area.Offset + _random.Next(area.Length), bytes.Length - 1);
                return new Patch(at, [(byte)(bytes[at] ^ (1 << _random.Next(8)))]);
            case 2:
                Area source = Pick(structure.Areas);
                int length = Math.Min(_random.Next(5) == 0 ? structure.ClusterSize : 8 << _random.Next(4), (int)Math.Min(bytes.Length - source.Offset, bytes.Length - place));
                return new Patch(place, bytes.AsSpan((int)source.Offset, length).ToArray());
            case 3:
                byte[] noise = new byte[_random.Next(1, 17)];
                _random.NextBytes(noise);
                return Fit(bytes, place, noise);
            case 4:
                return Fit(bytes, place, new byte[_random.Next(1, 64)]);
            default:
                return Fit(bytes, place, area.Entry switch { 8 => Big(NextEntry(structure, bytes, place)), 2 => [.. Enumerable.Range(0, 2).Select(_ => (byte)_random.Next(4))], _ => NextField(structure) });
        }
    }

    /// <summary>An entry of a table: an offset of something, or the present one, with flags.</summary>
    private ulong NextEntry(ImageStructure structure, byte[] bytes, long place)
    {
        ulong present = place + 8 <= bytes.Length ? BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan((int)place)) : 0;
        ulong offset = _random.Next(6) switch
        {
            0 => present,
            1 => present + (ulong)(_random.Next(-2, 3) * structure.ClusterSize),
            2 => (ulong)Math.Max(0, structure.Length + (_random.Next(-3, 4) * structure.ClusterSize)) & (ulong)-structure.ClusterSize,
            3 => 1UL << _random.Next(9, 63),
            _ => (ulong)Pick(structure.Offsets),
        };
        return _random.Next(3) == 0 ? offset ^ Pick(Masks) : _random.Next(2) == 0 ? offset | ImageBytes.Copied : offset;
    }

    /// <summary>A field of 32 or 64 bits: a limit, or near one, or an offset.</summary>
    private byte[] NextField(ImageStructure structure)
    {
        ulong value = _random.Next(6) switch
        {
            0 => (ulong)_random.Next(10),
            1 => (ulong)Pick(structure.Offsets),
            2 => (1UL << _random.Next(64)) + (ulong)_random.Next(-1, 2),
            3 => ulong.MaxValue - (ulong)_random.Next(10),
            4 => (ulong)(structure.ClusterSize * (long)_random.Next(300)),
            _ => (ulong)_random.NextInt64(structure.Length),
        };
        byte[] bytes = Big(value);
        return _random.Next(2) == 0 ? bytes : bytes[4..];
    }

    private static Patch Fit(byte[] bytes, long place, byte[] content) =>
        new(place, content[..(int)Math.Clamp(bytes.Length - place, 0, content.Length)]);

    private static byte[] Big(ulong value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
        return bytes;
    }

    private T Pick<T>(IReadOnlyList<T> from) => from[_random.Next(from.Count)];
}
