using System.Text.Json;
using System.Text.Json.Serialization;

namespace SnapshotTools.Core.Engine;

/// <summary>How the catalog and the layers read what is more than a column.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(VmConfiguration))]
[JsonSerializable(typeof(VmNetworkAdapter[]))]
[JsonSerializable(typeof(VmBoot))]
[JsonSerializable(typeof(LayerIdentity))]
[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(Dictionary<string, string>))]
[JsonSerializable(typeof(FailedRestore))]
internal sealed partial class JsonShapes : JsonSerializerContext;

/// <summary>How they write it: straight on, without the description of each property that reading needs. Making that took a young process, which
/// compiles it for every type of property, most of the time of its first snapshot.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Serialization, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(VmConfiguration))]
[JsonSerializable(typeof(VmNetworkAdapter[]))]
[JsonSerializable(typeof(VmBoot))]
[JsonSerializable(typeof(LayerIdentity))]
[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(Dictionary<string, string>))]
[JsonSerializable(typeof(FailedRestore))]
internal sealed partial class JsonForms : JsonSerializerContext;

/// <summary>Reads the shapes of <see cref="JsonShapes"/>, and writes them by <see cref="JsonForms"/>.</summary>
internal static class Json
{
    public static string Write<T>(T value) => JsonSerializer.Serialize(value, typeof(T), JsonForms.Default);

    public static T Read<T>(string text) => (T)(JsonSerializer.Deserialize(text, typeof(T), JsonShapes.Default)
        ?? throw new SnapshotException(ErrorIds.CatalogDamaged, ErrorKind.Damaged, $"The catalog has an empty {typeof(T).Name}. Run Test-SnapshotStore."));
}

/// <summary>What is kept of a restore that failed, so that it can be ended either way.</summary>
/// <param name="Snapshot">The VM snapshot.</param>
/// <param name="Volumes">The volumes that were asked for; empty for all.</param>
/// <param name="Backup">The backup snapshot.</param>
/// <param name="KeepBackup">Whether the backup snapshot stays.</param>
/// <param name="Was">Running or Paused when the VM had a machine before.</param>
internal sealed record FailedRestore(Guid Snapshot, string[] Volumes, Guid Backup, bool KeepBackup, VmState? Was = null);
