using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;

namespace SnapshotTools.Qemu.Memory;

/// <summary>The checksum of a frame of the Zstandard format: XXH64 with seed 0 (RFC 8878, section 3.1.1). Bytes are added piece by piece, all but the last of a multiple of 32.</summary>
internal struct XxHash64()
{
    private const ulong Prime1 = 0x9e3779b185ebca87, Prime2 = 0xc2b2ae3d27d4eb4f, Prime3 = 0x165667b19e3779f9, Prime4 = 0x85ebca77c2b2ae63, Prime5 = 0x27d4eb2f165667c5;
    private const int Stripe = 32;

    private ulong _a = unchecked(Prime1 + Prime2), _b = Prime2, _c, _d = unchecked(0 - Prime1);
    private ulong _length;

    /// <summary>Adds what is not the last piece.</summary>
    /// <param name="data">A multiple of 32 bytes.</param>
    public void Add(ReadOnlySpan<byte> data)
    {
        if (data.Length % Stripe != 0) throw new ArgumentException("Only the last piece may end within 32 bytes.", nameof(data));
        Mix(data);
    }

    /// <summary>The hash of all that was added and of the last piece.</summary>
    public ulong Finish(ReadOnlySpan<byte> last)
    {
        int whole = last.Length / Stripe * Stripe;
        Mix(last[..whole]);
        ulong length = _length + (ulong)(last.Length - whole);
        ulong hash = length < Stripe ? Prime5
            : Merge(Merge(Merge(Merge(BitOperations.RotateLeft(_a, 1) + BitOperations.RotateLeft(_b, 7) + BitOperations.RotateLeft(_c, 12) + BitOperations.RotateLeft(_d, 18), _a), _b), _c), _d);
        hash += length;
        var rest = last[whole..];
        for (; rest.Length >= 8; rest = rest[8..])
            hash = BitOperations.RotateLeft(hash ^ Round(0, BinaryPrimitives.ReadUInt64LittleEndian(rest)), 27) * Prime1 + Prime4;
        if (rest.Length >= 4)
        {
            hash = BitOperations.RotateLeft(hash ^ BinaryPrimitives.ReadUInt32LittleEndian(rest) * Prime1, 23) * Prime2 + Prime3;
            rest = rest[4..];
        }
        foreach (byte value in rest) hash = BitOperations.RotateLeft(hash ^ value * Prime5, 11) * Prime1;
        hash = (hash ^ hash >> 33) * Prime2;
        hash = (hash ^ hash >> 29) * Prime3;
        return hash ^ hash >> 32;
    }

    private void Mix(ReadOnlySpan<byte> data)
    {
        var words = MemoryMarshal.Cast<byte, ulong>(data);
        var (a, b, c, d) = (_a, _b, _c, _d);
        for (int i = 0; i + 3 < words.Length; i += 4)
        {
            a = Round(a, Little(words[i]));
            b = Round(b, Little(words[i + 1]));
            c = Round(c, Little(words[i + 2]));
            d = Round(d, Little(words[i + 3]));
        }
        (_a, _b, _c, _d) = (a, b, c, d);
        _length += (ulong)data.Length;
    }

    private static ulong Little(ulong word) => BitConverter.IsLittleEndian ? word : BinaryPrimitives.ReverseEndianness(word);

    private static ulong Round(ulong state, ulong word) => BitOperations.RotateLeft(state + word * Prime2, 31) * Prime1;

    private static ulong Merge(ulong hash, ulong state) => (hash ^ Round(0, state)) * Prime1 + Prime4;
}
