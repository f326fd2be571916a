using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using SnapshotTools.IO;

namespace SnapshotTools.Core.Catalog;

/// <summary>A row of the ledger: the values of a catalog's row by column, or null for one that was deleted.</summary>
internal sealed record LedgerRow(string Table, string Key, Dictionary<string, object?>? Values);

/// <summary>
/// The ledger's file: a line for each change of a row, each with a sum of its own, so that a line that was cut short or damaged
/// is left out and all others count. The last line on a row is the one that holds.
/// </summary>
internal static class LedgerFile
{
    private const int SumLength = 16;
    private const long MaxBytes = 1L << 30;

    /// <summary>A row as a line.</summary>
    public static byte[] Line(LedgerRow row)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("table", row.Table);
            json.WriteString("key", row.Key);
            if (row.Values is not null)
            {
                json.WriteStartObject("row");
                foreach (var (column, value) in row.Values)
                {
                    if (value is null) json.WriteNull(column);
                    else if (value is long number) json.WriteNumber(column, number);
                    else json.WriteString(column, (string)value);
                }
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        byte[] text = buffer.ToArray();
        return [.. Sum(text), (byte)' ', .. text, (byte)'\n'];
    }

    /// <summary>The rows that a ledger ends with, by table and key; nothing where there is no ledger.</summary>
    public static Dictionary<(string Table, string Key), Dictionary<string, object?>> Read(IFileSystem files, string path)
    {
        var rows = new Dictionary<(string, string), Dictionary<string, object?>>();
        if (files.Stat(path) is not { Kind: FileKind.Regular, Length: > 0 and <= MaxBytes } stat) return rows;
        byte[] content = new byte[stat.Length];
        using (var file = files.Open(path, FileOpenMode.Read)) content = content[..file.Read(0, content)];
        for (int start = 0; start < content.Length;)
        {
            int length = content.AsSpan(start).IndexOf((byte)'\n');
            if (length < 0) length = content.Length - start;
            if (Parse(content.AsMemory(start, length)) is { } row)
            {
                if (row.Values is null) rows.Remove((row.Table, row.Key));
                else rows[(row.Table, row.Key)] = row.Values;
            }
            start += length + 1;
        }
        return rows;
    }

    private static LedgerRow? Parse(ReadOnlyMemory<byte> line)
    {
        if (line.Length <= SumLength || !line.Span[..SumLength].SequenceEqual(Sum(line.Span[(SumLength + 1)..]))) return null;
        try
        {
            using var document = JsonDocument.Parse(line[(SumLength + 1)..]);
            var root = document.RootElement;
            Dictionary<string, object?>? values = null;
            if (root.TryGetProperty("row", out var row))
                values = row.EnumerateObject().ToDictionary(p => p.Name, p => p.Value.ValueKind switch
                {
                    JsonValueKind.Null => null,
                    JsonValueKind.Number => (object?)p.Value.GetInt64(),
                    _ => p.Value.GetString(),
                });
            return new LedgerRow(root.GetProperty("table").GetString()!, root.GetProperty("key").GetString()!, values);
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or FormatException or InvalidOperationException or ArgumentException)
        {
            return null;
        }
    }

    private static byte[] Sum(ReadOnlySpan<byte> text) => Encoding.ASCII.GetBytes(Convert.ToHexStringLower(SHA256.HashData(text).AsSpan(0, SumLength / 2)));
}
