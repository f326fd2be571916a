using System.Buffers.Binary;
using System.Text;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Reads the table of internal snapshots of a file that nobody has checked.</summary>
internal static class SnapshotTable
{
    /// <summary>Bytes of an entry before its extra data.</summary>
    private const int FixedBytes = 40;

    /// <summary>Bytes of the whole table (QEMU: QCOW_MAX_SNAPSHOTS_SIZE).</summary>
    private const long MaxTableBytes = 64L << 20;

    /// <summary>Bytes of the extra data of an entry (QEMU: QCOW_MAX_SNAPSHOT_EXTRA_DATA).</summary>
    private const int MaxExtraData = 1024;

    private const int ReadAhead = 64 << 10;

    /// <summary>Reads the table.</summary>
    /// <returns>The snapshots in their order, and the bytes that the table takes.</returns>
    /// <exception cref="Qcow2Exception">The table goes past the end of the file, or an entry is out of its bounds.</exception>
    public static (IReadOnlyList<InternalSnapshot> Snapshots, long Bytes) Read(IBlockFile file, Qcow2Header header)
    {
        var snapshots = new List<InternalSnapshot>(Math.Min(header.SnapshotCount, 1024));
        var bytes = new TableBytes(file, header);
        for (int i = 0; i < header.SnapshotCount; i++) snapshots.Add(ReadEntry(bytes, i));
        return (snapshots, bytes.Position);
    }

    private static InternalSnapshot ReadEntry(TableBytes bytes, int index)
    {
        bytes.Entry = index;
        ReadOnlySpan<byte> head = bytes.Take(FixedBytes);
        ulong l1Offset = BinaryPrimitives.ReadUInt64BigEndian(head);
        uint l1Entries = BinaryPrimitives.ReadUInt32BigEndian(head[8..]);
        int idLength = BinaryPrimitives.ReadUInt16BigEndian(head[12..]);
        int nameLength = BinaryPrimitives.ReadUInt16BigEndian(head[14..]);
        uint seconds = BinaryPrimitives.ReadUInt32BigEndian(head[16..]);
        uint nanoseconds = BinaryPrimitives.ReadUInt32BigEndian(head[20..]);
        ulong clock = BinaryPrimitives.ReadUInt64BigEndian(head[24..]);
        ulong stateBytes = BinaryPrimitives.ReadUInt32BigEndian(head[32..]);
        uint extraLength = BinaryPrimitives.ReadUInt32BigEndian(head[36..]);
        if (l1Offset >= (ulong)Limits.MaxHostOffset) throw bytes.Invalid($"places its L1 table at {l1Offset}, beyond 2^56");
        if (l1Entries > Limits.MaxL1Bytes / 8) throw bytes.Invalid($"has an L1 table of {l1Entries} entries; at most {Limits.MaxL1Bytes / 8} are possible");
        if (extraLength > MaxExtraData) throw bytes.Invalid($"has {extraLength} bytes of extra data; at most {MaxExtraData} are possible");

        byte[] extra = bytes.Take((int)extraLength).ToArray();
        if (extra.Length >= 8) stateBytes = BinaryPrimitives.ReadUInt64BigEndian(extra);
        ulong? size = extra.Length >= 16 ? BinaryPrimitives.ReadUInt64BigEndian(extra.AsSpan(8)) : null;
        ulong? instructions = extra.Length >= 24 ? BinaryPrimitives.ReadUInt64BigEndian(extra.AsSpan(16)) : null;
        if (size > long.MaxValue || stateBytes > long.MaxValue) throw bytes.Invalid("has a size beyond 2^63");
        string id = Encoding.UTF8.GetString(bytes.Take(idLength));
        string name = Encoding.UTF8.GetString(bytes.Take(nameLength));
        bytes.Align();

        return new InternalSnapshot
        {
            Id = id,
            Name = name,
            CreatedAt = DateTimeOffset.FromUnixTimeSeconds(seconds).AddTicks(Math.Min(nanoseconds, 999_999_999u) / 100),
            GuestClock = TimeSpan.FromTicks((long)(clock / 100)),
            VmStateBytes = (long)stateBytes,
            VirtualSize = (long?)size,
            InstructionCount = instructions is null or ulong.MaxValue ? null : (long)Math.Min(instructions.Value, long.MaxValue),
            L1Offset = (long)l1Offset,
            L1Entries = (int)l1Entries,
            ExtraData = extra,
        };
    }

    /// <summary>The bytes of the table, read piece by piece, never past its limit or the end of the file.</summary>
    private sealed class TableBytes(IBlockFile file, Qcow2Header header)
    {
        private readonly long _fileLength = file.Length;
        private byte[] _piece = [];
        private long _pieceStart;

        public int Entry { get; set; }

        public long Position { get; private set; }

        /// <summary>The next bytes; valid until the next call.</summary>
        public ReadOnlySpan<byte> Take(int count)
        {
            if (Position + count > MaxTableBytes) throw Invalid($"makes the table larger than {MaxTableBytes} bytes");
            if (header.SnapshotsOffset + Position + count > _fileLength)
            {
                throw new Qcow2Exception(Qcow2ErrorCode.Truncated, file.Path,
                    $"The table of internal snapshots of '{file.Path}' goes past the end of the file at {_fileLength}, in entry {Entry} of {header.SnapshotCount}.");
            }
            if (Position < _pieceStart || Position + count > _pieceStart + _piece.Length) Load(count);
            ReadOnlySpan<byte> taken = _piece.AsSpan((int)(Position - _pieceStart), count);
            Position += count;
            return taken;
        }

        /// <summary>Entries begin at multiples of 8; the padding of the last one may be missing from the file.</summary>
        public void Align() => Position = (Position + 7) & ~7L;

        public Qcow2Exception Invalid(string cause) => new(Qcow2ErrorCode.InvalidTable, file.Path,
            $"Entry {Entry} of the table of internal snapshots of '{file.Path}' {cause}. The table is damaged: check the image.");

        private void Load(int count)
        {
            _pieceStart = Position;
            _piece = new byte[(int)Math.Min(Math.Max(count, ReadAhead), _fileLength - header.SnapshotsOffset - Position)];
            int read = file.Read(header.SnapshotsOffset + Position, _piece);
            _piece.AsSpan(read).Clear();
        }
    }
}
