using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;

namespace SnapshotTools.Core.Engine;

/// <summary>
/// Writes and reads, word for word as <see cref="JsonShapes"/> would, what a snapshot needs. It is done by hand because for that a young process
/// had to compile 250 methods of the general way, most of them again for each type of property, which took half of its first snapshot.
/// </summary>
internal static class JsonForms
{
    // Each layer of a snapshot carries the whole VM's configuration, which names every volume: sixteen disks would write 256 of them.
    private static readonly ConditionalWeakTable<VmConfiguration, byte[]> Configurations = [];

    /// <summary>A value as text; null when it is of another type.</summary>
    public static string? Write(object value) => value switch
    {
        LayerIdentity identity => Text(json => Write(json, identity)),
        VmConfiguration configuration => Encoding.UTF8.GetString(BytesOf(configuration)),
        VmBoot boot => Text(json => Write(json, boot)),
        VmNetworkAdapter[] adapters => Text(json => Write(json, adapters)),
        string[] texts => Text(json => Write(json, texts)),
        _ => null,
    };

    /// <summary>A value of a type; null when that is another type, or there is no value.</summary>
    /// <exception cref="JsonException">The text is no such thing.</exception>
    public static object? Read(Type type, string text)
    {
        if (type != typeof(VmBoot) && type != typeof(VmNetworkAdapter[]) && type != typeof(string[])) return null;
        using var document = JsonDocument.Parse(text);
        var root = document.RootElement;
        if (root.ValueKind == JsonValueKind.Null) return null;
        try
        {
            return type == typeof(VmBoot) ? ReadBoot(root) : type == typeof(string[]) ? ReadTexts(root) : ReadAdapters(root);
        }
        catch (InvalidOperationException error)
        {
            throw new JsonException(error.Message, error);
        }
    }

    private static byte[] BytesOf(VmConfiguration configuration) => Configurations.GetValue(configuration, static c => Bytes(json => Write(json, c)).ToArray());

    private static string Text(Action<Utf8JsonWriter> write) => Encoding.UTF8.GetString(Bytes(write));

    private static ReadOnlySpan<byte> Bytes(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer)) write(json);
        return buffer.GetBuffer().AsSpan(0, (int)buffer.Length);
    }

    private static void Write(Utf8JsonWriter json, LayerIdentity value)
    {
        json.WriteStartObject();
        json.WriteString("Store", value.Store);
        json.WriteString("Volume", value.Volume);
        json.WriteString("VolumeName", value.VolumeName);
        json.WriteString("Layer", value.Layer);
        if (value.Parent is { } parent) json.WriteString("Parent", parent);
        if (value.Snapshot is { } snapshot)
        {
            json.WritePropertyName("Snapshot");
            Write(json, snapshot);
        }
        json.WriteString("CreatedAt", value.CreatedAt);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, SnapshotIdentity value)
    {
        json.WriteStartObject();
        json.WriteString("Id", value.Id);
        if (value.Parent is { } parent) json.WriteString("Parent", parent);
        if (value.VmSnapshot is { } vmSnapshot) json.WriteString("VmSnapshot", vmSnapshot);
        if (value.VmSnapshotParent is { } vmParent) json.WriteString("VmSnapshotParent", vmParent);
        json.WriteString("Name", value.Name);
        json.WriteString("CreatedAt", value.CreatedAt);
        WriteText(json, "Description", value.Description);
        json.WritePropertyName("Tags");
        Write(json, value.Tags);
        if (value.ExpiresAt is { } time) json.WriteString("ExpiresAt", time);
        json.WriteString("Scope", value.Scope.ToString());
        json.WriteString("Consistency", value.Consistency.ToString());
        if (value.Vm is { } vm)
        {
            json.WritePropertyName("Vm");
            json.WriteRawValue(BytesOf(vm), skipInputValidation: true);
        }
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, VmConfiguration value)
    {
        json.WriteStartObject();
        json.WriteString("Id", value.Id);
        json.WriteString("Name", value.Name);
        json.WriteNumber("ProcessorCount", value.ProcessorCount);
        json.WriteNumber("MemoryBytes", value.MemoryBytes);
        json.WritePropertyName("NetworkAdapters");
        Write(json, value.NetworkAdapters);
        json.WritePropertyName("Boot");
        Write(json, value.Boot);
        json.WriteStartArray("Volumes");
        foreach (var volume in value.Volumes) Write(json, volume);
        json.WriteEndArray();
        WriteText(json, "Description", value.Description);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, VmAttachment value)
    {
        json.WriteStartObject();
        json.WriteString("VolumeId", value.VolumeId);
        json.WriteString("Volume", value.Volume);
        json.WriteNumber("Position", value.Position);
        json.WriteString("Bus", value.Bus.ToString());
        json.WriteBoolean("Boot", value.Boot);
        json.WriteBoolean("Shared", value.Shared);
        json.WriteNumber("SizeBytes", value.SizeBytes);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, VmBoot value)
    {
        json.WriteStartObject();
        WriteText(json, "Firmware", value.Firmware);
        WriteText(json, "FirmwareVariables", value.FirmwareVariables);
        WriteText(json, "Kernel", value.Kernel);
        WriteText(json, "Initrd", value.Initrd);
        WriteText(json, "KernelCommandLine", value.KernelCommandLine);
        json.WritePropertyName("ExtraArguments");
        Write(json, value.ExtraArguments);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, IReadOnlyList<VmNetworkAdapter> adapters)
    {
        json.WriteStartArray();
        foreach (var adapter in adapters)
        {
            json.WriteStartObject();
            json.WriteString("MacAddress", adapter.MacAddress);
            json.WriteString("Network", adapter.Network);
            json.WriteString("Model", adapter.Model);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter json, IReadOnlyList<string> texts)
    {
        json.WriteStartArray();
        foreach (string text in texts) json.WriteStringValue(text);
        json.WriteEndArray();
    }

    private static void WriteText(Utf8JsonWriter json, string name, string? value)
    {
        if (value is not null) json.WriteString(name, value);
    }

    private static VmBoot ReadBoot(JsonElement from) => new()
    {
        Firmware = ReadText(from, "Firmware"),
        FirmwareVariables = ReadText(from, "FirmwareVariables"),
        Kernel = ReadText(from, "Kernel"),
        Initrd = ReadText(from, "Initrd"),
        KernelCommandLine = ReadText(from, "KernelCommandLine"),
        ExtraArguments = from.TryGetProperty("ExtraArguments", out var arguments) ? ReadTexts(arguments) : [],
    };

    private static VmNetworkAdapter[] ReadAdapters(JsonElement from)
    {
        var adapters = new VmNetworkAdapter[from.GetArrayLength()];
        for (int i = 0; i < adapters.Length; i++)
        {
            var adapter = new VmNetworkAdapter(ReadText(from[i], "MacAddress")!);
            adapters[i] = adapter with { Network = ReadText(from[i], "Network") ?? adapter.Network, Model = ReadText(from[i], "Model") ?? adapter.Model };
        }
        return adapters;
    }

    private static string[] ReadTexts(JsonElement from)
    {
        string[] texts = new string[from.GetArrayLength()];
        for (int i = 0; i < texts.Length; i++) texts[i] = from[i].GetString()!;
        return texts;
    }

    private static string? ReadText(JsonElement from, string name) => from.TryGetProperty(name, out var value) ? value.GetString() : null;
}
