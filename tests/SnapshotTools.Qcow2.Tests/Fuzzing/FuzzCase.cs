using System.Globalization;
using SnapshotTools.Qcow2.Tests.Hostile;

namespace SnapshotTools.Qcow2.Tests.Fuzzing;

/// <summary>Bytes that are put over those of a sample.</summary>
public sealed record Patch(long Offset, byte[] Bytes);

/// <summary>A damaged image as a line of text: the sample, its new length if that changes, and what is put where, such as
/// <c>plain length=1f000 4000=8000000000005200 30=00</c> (all numbers hexadecimal).</summary>
public sealed record FuzzCase(string Sample, long? Length, IReadOnlyList<Patch> Patches)
{
    public static FuzzCase Parse(string line)
    {
        string[] parts = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        long? length = null;
        List<Patch> patches = [];
        foreach (string[] pair in parts.Skip(1).Select(p => p.Split('=')))
        {
            if (pair[0] == "length") length = long.Parse(pair[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            else patches.Add(new Patch(long.Parse(pair[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture), Convert.FromHexString(pair[1])));
        }
        return new FuzzCase(parts[0].Replace('_', ' '), length, patches);
    }

    public override string ToString()
    {
        IEnumerable<string> parts = Patches.Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Offset:x}={Convert.ToHexStringLower(p.Bytes)}"));
        if (Length is { } length) parts = parts.Prepend(string.Create(CultureInfo.InvariantCulture, $"length={length:x}"));
        return string.Join(' ', parts.Prepend(Sample.Replace(' ', '_')));
    }

    /// <summary>The image. Patches past the end are left out.</summary>
    public ImageBytes Build()
    {
        ImageBytes image = SampleImages.Get(Sample);
        byte[] bytes = image.Bytes;
        if (Length is { } length) Array.Resize(ref bytes, (int)length);
        foreach (Patch patch in Patches)
            if (patch.Offset < bytes.Length) patch.Bytes.AsSpan(0, (int)Math.Min(patch.Bytes.Length, bytes.Length - patch.Offset)).CopyTo(bytes.AsSpan((int)patch.Offset));
        return new ImageBytes(bytes);
    }

    /// <summary>The same with fewer patches, as long as the failure stays.</summary>
    public FuzzCase Minimize(Func<FuzzCase, bool> fails)
    {
        FuzzCase best = this;
        if (best.Length is not null && fails(best with { Length = null })) best = best with { Length = null };
        for (int i = best.Patches.Count - 1; i >= 0; i--)
        {
            FuzzCase fewer = best with { Patches = [.. best.Patches.Where((_, n) => n != i)] };
            if (fails(fewer)) best = fewer;
        }
        return best;
    }
}
