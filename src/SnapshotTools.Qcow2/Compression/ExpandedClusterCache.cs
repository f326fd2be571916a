namespace SnapshotTools.Qcow2;

/// <summary>The most recently expanded clusters, found by their L2 entry. Bytes are copied out under the lock, so that a
/// buffer that leaves the cache can be filled again.</summary>
internal sealed class ExpandedClusterCache(int capacity)
{
    private readonly Lock _lock = new();

    /// <summary>Most recently used last.</summary>
    private readonly List<(ulong Key, byte[] Cluster)> _entries = new(capacity);

    public bool TryRead(ulong key, int offset, Span<byte> buffer)
    {
        lock (_lock)
        {
            for (int i = _entries.Count - 1; i >= 0; i--)
            {
                if (_entries[i].Key != key) continue;
                (ulong, byte[] Cluster) entry = _entries[i];
                entry.Cluster.AsSpan(offset, buffer.Length).CopyTo(buffer);
                if (i != _entries.Count - 1)
                {
                    _entries.RemoveAt(i);
                    _entries.Add(entry);
                }
                return true;
            }
            return false;
        }
    }

    /// <summary>A buffer to expand into: that of the oldest entry when the cache is full.</summary>
    public byte[] TakeSpare(int size)
    {
        lock (_lock)
        {
            if (_entries.Count < capacity) return new byte[size];
            byte[] spare = _entries[0].Cluster;
            _entries.RemoveAt(0);
            return spare;
        }
    }

    public void Add(ulong key, byte[] cluster)
    {
        lock (_lock)
        {
            // Two threads may have expanded the same cluster, or filled the cache meanwhile.
            if (_entries.Count == capacity) _entries.RemoveAt(0);
            _entries.Add((key, cluster));
        }
    }

    public void Clear()
    {
        lock (_lock) _entries.Clear();
    }
}
