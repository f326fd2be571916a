using System.Text.Json;
using System.Text.Json.Nodes;

namespace SnapshotTools.Qemu.Qmp;

/// <summary>A command on its way out: how it is written, and how it is told in an error.</summary>
internal sealed record QmpRequest(string Command, JsonObject? Arguments, string? Id)
{
    private const int MaxToldLength = 2000;
    private static readonly string[] SecretNames = ["password", "passphrase", "secret"];

    public byte[] ToBytes()
    {
        var message = new JsonObject { ["execute"] = Command };
        if (Arguments is not null) message["arguments"] = Arguments.DeepClone();
        if (Id is not null) message["id"] = Id;
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(message);
        Array.Resize(ref json, json.Length + 1);
        json[^1] = (byte)'\n';
        return json;
    }

    /// <summary>The arguments without secrets, for messages.</summary>
    public string Told()
    {
        if (Arguments is null) return "no arguments";
        var copy = Arguments.DeepClone();
        Redact(copy);
        string text = copy.ToJsonString();
        return text.Length <= MaxToldLength ? text : string.Concat(text.AsSpan(0, MaxToldLength), "…");
    }

    private void Redact(JsonNode? node)
    {
        if (node is JsonArray items)
            foreach (var item in items) Redact(item);
        if (node is not JsonObject members) return;
        foreach (string name in members.Select(m => m.Key).ToArray())
        {
            bool secret = SecretNames.Contains(name, StringComparer.OrdinalIgnoreCase)
                || (Command == "object-add" && name == "data");
            if (secret) members[name] = "***";
            else Redact(members[name]);
        }
    }
}
