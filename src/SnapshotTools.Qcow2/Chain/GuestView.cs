namespace SnapshotTools.Qcow2;

/// <summary>What the guest sees: a layer over its resolved backing files.</summary>
/// <param name="top">The layer.</param>
/// <param name="backing">What is below it; null when nothing is, or when it was not opened.</param>
/// <param name="missingBacking">The name of a backing file that is recorded and was not opened.</param>
internal sealed class GuestView(Qcow2Layer top, BackingMap? backing, string? missingBacking)
{
    /// <summary>Reads what is within the layer's size.</summary>
    public void Read(long offset, Span<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            Run run = top.Next(offset, buffer.Length);
            Span<byte> part = buffer[..(int)run.Count];
            switch (run.Kind)
            {
                case ExtentKind.Data: top.ReadHost(run.Host, part); break;
                case ExtentKind.Compressed: top.ReadCompressed(run.Descriptor, offset, part); break;
                case ExtentKind.Unallocated: ReadBacking(offset, part); break;
                default: part.Clear(); break;
            }
            offset += part.Length;
            buffer = buffer[part.Length..];
        }
    }

    /// <summary>How the bytes from an offset on are held and by which file of the chain.</summary>
    public Run Next(long offset, long max, out int owner)
    {
        owner = 0;
        Run run = top.Next(offset, max);
        if (run.Kind != ExtentKind.Unallocated) return run;
        RequireBacking();
        if (backing is null) return run;
        run = backing.Next(offset, run.Count, out owner);
        owner++;
        return run;
    }

    /// <summary>Whether a range certainly reads as zeroes, judged by the tables alone.</summary>
    public bool IsZero(long offset, long count)
    {
        while (count > 0)
        {
            Run run = Next(offset, count, out _);
            if (run.Kind is ExtentKind.Data or ExtentKind.Compressed) return false;
            offset += run.Count;
            count -= run.Count;
        }
        return true;
    }

    /// <summary>Whether a range certainly reads as zeroes where the layer holds nothing itself. False when a backing file was not opened.</summary>
    public bool ReadsZeroBelow(long offset, long count)
    {
        if (missingBacking is not null) return false;
        while (backing is not null && count > 0)
        {
            Run run = backing.Next(offset, count, out _);
            if (run.Kind is ExtentKind.Data or ExtentKind.Compressed) return false;
            offset += run.Count;
            count -= run.Count;
        }
        return true;
    }

    private void ReadBacking(long offset, Span<byte> buffer)
    {
        RequireBacking();
        if (backing is null) buffer.Clear();
        else backing.Read(offset, buffer);
    }

    private void RequireBacking()
    {
        if (missingBacking is null) return;
        throw new Qcow2Exception(
            Qcow2ErrorCode.BackingNotAllowed,
            top.Path,
            $"'{top.Path}' needs its backing file '{Printable.Text(missingBacking)}' here, which was not allowed to be opened.");
    }
}
