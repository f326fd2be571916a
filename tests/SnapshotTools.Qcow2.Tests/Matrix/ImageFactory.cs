using System.Globalization;
using System.Text;
using SnapshotTools.Testing;

namespace SnapshotTools.Qcow2.Tests.Matrix;

/// <summary>Makes the files of a recipe with qemu-img and qemu-io.</summary>
public static class ImageFactory
{
    /// <summary>Builds the chain of a recipe in a folder and returns the path of its top image.</summary>
    public static string Build(ImageRecipe recipe, string folder)
    {
        string pattern = WritePattern(folder);
        string? below = null;
        string belowFormat = "";
        for (int i = 0; i < recipe.Layers.Length; i++)
        {
            LayerRecipe layer = recipe.Layers[i];
            string path = Path.Combine(folder, $"layer{i}.{layer.Format}");
            Create(layer, path, below, belowFormat);
            Fill(layer, path, pattern);
            (below, belowFormat) = (path, layer.Format);
        }
        return below!;
    }

    /// <summary>Text that compresses to about half, of a length that divides no cluster, so that misplaced reads differ.</summary>
    private static string WritePattern(string folder)
    {
        string path = Path.Combine(folder, "pattern.bin");
        var text = new StringBuilder();
        var random = new Random(1);
        while (text.Length < 10_007) text.Append(CultureInfo.InvariantCulture, $"line {text.Length} {random.Next():x8}\n");
        File.WriteAllText(path, text.ToString(0, 10_007));
        return path;
    }

    private static void Create(LayerRecipe layer, string path, string? below, string belowFormat)
    {
        List<string> arguments = ["create", "-q", "-f", layer.Format];
        if (layer.Format == "qcow2") arguments.AddRange(["-o", layer.Options]);
        if (below is not null) arguments.AddRange(["-b", layer.AbsoluteBacking ? below : Path.GetFileName(below), "-F", belowFormat]);
        arguments.AddRange([path, layer.Size.ToString(CultureInfo.InvariantCulture)]);
        Tool.Run("qemu-img", arguments);
    }

    private static void Fill(LayerRecipe layer, string path, string pattern)
    {
        var random = new Random(layer.Seed);
        List<string> commands = layer.Compression is null ? [] : CompressedWrites(layer, random, pattern);
        for (int i = 0; i < layer.Bitmaps; i++) AddBitmap(path, i);
        commands.AddRange(Enumerable.Range(0, layer.Operations).Select(_ => RandomOperation(layer, random, pattern)));
        int perPart = commands.Count / (layer.Snapshots + 1);
        for (int part = 0; part <= layer.Snapshots; part++)
        {
            RunIo(layer, path, part == layer.Snapshots ? commands[(part * perPart)..] : commands.GetRange(part * perPart, perPart));
            if (part < layer.Snapshots) Tool.Run("qemu-img", ["snapshot", "-c", $"snapshot {part}", path]);
        }
        if (layer.ResizeBy != 0)
            Tool.Run("qemu-img", ["resize", "-q", "--shrink", "-f", layer.Format, path, (layer.Size + layer.ResizeBy).ToString(CultureInfo.InvariantCulture)]);
    }

    private static void AddBitmap(string path, int number)
    {
        Tool.Run("qemu-img", ["bitmap", "--add", "-g", (512 << number).ToString(CultureInfo.InvariantCulture), path, $"bitmap {number}"]);
        if (number == 1) Tool.Run("qemu-img", ["bitmap", "--disable", path, $"bitmap {number}"]);
    }

    private static void RunIo(LayerRecipe layer, string path, List<string> commands)
    {
        if (commands.Count == 0) return;
        string output = Tool.Run("qemu-io", ["-f", layer.Format, "-d", "unmap", .. commands.SelectMany(c => new[] { "-c", c }), path]);
        if (output.Contains("failed", StringComparison.Ordinal) || output.Contains("rror", StringComparison.Ordinal))
            throw new InvalidOperationException($"qemu-io on {path}:\n{string.Join('\n', commands)}\n{output}");
    }

    /// <summary>Compressed writes go to clusters that nothing was written to before: QEMU refuses others.</summary>
    private static List<string> CompressedWrites(LayerRecipe layer, Random random, string pattern)
    {
        List<string> commands = [];
        long clusters = (layer.Size + layer.ClusterSize - 1) / layer.ClusterSize;
        for (long i = 0; i < clusters; i++)
        {
            if (random.Next(2) == 0) continue;
            long offset = i * layer.ClusterSize;
            long count = Math.Min(layer.ClusterSize, layer.Size - offset);
            string content = random.Next(4) == 0 ? $"-P {random.Next(1, 256)}" : $"-s {pattern}";
            commands.Add($"write -c {content} {offset} {count}");
            if (commands.Count == 100) break;
        }
        return commands;
    }

    private static string RandomOperation(LayerRecipe layer, Random random, string pattern)
    {
        bool whole = random.Next(2) == 0;
        long unit = whole ? layer.ClusterSize : 512;
        long units = Math.Max(1, layer.Size / unit);
        long offset = random.NextInt64(units) * unit;
        if (offset >= layer.Size) offset = 0;
        long count = Math.Min(layer.Size - offset, random.Next(1, whole ? 4 : 100) * unit);
        return random.Next(8) switch
        {
            0 or 1 => $"write -P {random.Next(1, 256)} {offset} {count}",
            2 or 3 => $"write -s {pattern} {offset} {count}",
            4 => $"write -z {offset} {count}",
            5 => $"write -z -u {offset} {count}",
            6 => $"discard {offset} {count}",
            _ => $"write -P 0 {offset} {count}",
        };
    }
}
