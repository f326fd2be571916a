using System.Text.Json;

namespace SnapshotTools.Qemu.Qmp;

/// <summary>Reads members of answers that may lack them or give them another type: the answer is null then.</summary>
internal static class JsonElementExtensions
{
    public static string? TextOf(this JsonElement element, string name)
    {
        if (element.MemberOf(name) is not { ValueKind: JsonValueKind.String } member) return null;
        try
        {
            return member.GetString();
        }
        catch (InvalidOperationException)
        {
            return null;    // not UTF-8, or half a surrogate pair
        }
    }

    public static long? NumberOf(this JsonElement element, string name) =>
        element.MemberOf(name) is { ValueKind: JsonValueKind.Number } member && member.TryGetInt64(out long number) ? number : null;

    public static bool? FlagOf(this JsonElement element, string name) => element.MemberOf(name)?.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };

    public static IEnumerable<JsonElement> ItemsOf(this JsonElement element) =>
        element.ValueKind == JsonValueKind.Array ? element.EnumerateArray() : [];

    public static JsonElement? MemberOf(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var member) ? member : null;
}
