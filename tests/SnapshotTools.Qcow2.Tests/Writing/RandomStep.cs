namespace SnapshotTools.Qcow2.Tests.Writing;

/// <summary>A change that can be made to an image and to a byte array alike; in whole sectors.</summary>
/// <param name="Kind">What is done.</param>
/// <param name="Offset">Where; for a resize the new size.</param>
/// <param name="Data">What is written, or as many bytes as are zeroed or discarded.</param>
internal sealed record RandomStep(StepKind Kind, int Offset, byte[] Data)
{
    /// <summary>Whether all that was done up to it is durable when it returns.</summary>
    public bool IsDurable => Kind is StepKind.Resize or StepKind.Flush;

    /// <summary>The next step for a disk of this size.</summary>
    public static RandomStep Next(Random random, int size)
    {
        int sectors = size / 512, first = random.Next(sectors);
        int count = Math.Min(sectors - first, 1 + random.Next(1 << random.Next(1, 9)));
        byte[] data = new byte[count * 512];
        random.NextBytes(data);
        return random.Next(12) switch
        {
            < 6 => new(StepKind.Write, first * 512, data),
            < 8 => new(StepKind.Zero, first * 512, data),
            8 => new(StepKind.Discard, first * 512, data),
            9 => new(StepKind.Resize, Math.Max(512, size + (random.Next(-300, 300) * 512)), []),
            _ => new(StepKind.Flush, 0, []),
        };
    }

    public override string ToString() => $"{Kind} {Offset} {Data.Length}";

    public void Do(Qcow2Image image)
    {
        switch (Kind)
        {
            case StepKind.Write: image.Write(Offset, Data); break;
            case StepKind.Zero: image.WriteZeroes(Offset, Data.Length); break;
            case StepKind.Discard: image.Discard(Offset, Data.Length); break;
            case StepKind.Resize: image.Resize(Offset); break;
            default: image.Flush(); break;
        }
    }

    /// <summary>The content after it; <paramref name="unit"/> is what the image discards as a whole.</summary>
    public byte[] Do(byte[] content, int unit)
    {
        byte[] changed = (byte[])content.Clone();
        int end = Offset + Data.Length;
        switch (Kind)
        {
            case StepKind.Write:
                Data.CopyTo(changed, Offset);
                break;
            case StepKind.Zero:
                changed.AsSpan(Offset, Data.Length).Clear();
                break;
            case StepKind.Discard:
                int from = (Offset + unit - 1) / unit * unit, to = end == content.Length ? end : end / unit * unit;
                if (from < to) changed.AsSpan(from, to - from).Clear();
                break;
            case StepKind.Resize:
                Array.Resize(ref changed, Offset);
                break;
        }
        return changed;
    }
}

internal enum StepKind
{
    Write,
    Zero,
    Discard,
    Resize,
    Flush,
}
