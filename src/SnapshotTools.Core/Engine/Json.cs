using System.Text.Json;
using System.Text.Json.Serialization;

namespace SnapshotTools.Core.Engine;

/// <summary>The forms of what is more than a column in the catalog and the layers.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(VmConfiguration))]
[JsonSerializable(typeof(VmNetworkAdapter[]))]
[JsonSerializable(typeof(VmBoot))]
[JsonSerializable(typeof(LayerIdentity))]
[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(Dictionary<string, string>))]
[JsonSerializable(typeof(FailedRestore))]
internal sealed partial class JsonShapes : JsonSerializerContext;

/// <summary>Reads and writes what is more than a column. <see cref="JsonForms"/> does so for what a snapshot needs.</summary>
internal static class Json
{
    public static string Write<T>(T value) where T : class => JsonForms.Write(value) ?? JsonSerializer.Serialize(value, typeof(T), JsonShapes.Default);

    public static T Read<T>(string text) where T : class => (T)(JsonForms.Read(typeof(T), text) ?? JsonSerializer.Deserialize(text, typeof(T), JsonShapes.Default)
        ?? throw new SnapshotException(ErrorIds.CatalogDamaged, ErrorKind.Damaged, $"The catalog has an empty {typeof(T).Name}. Run Test-SnapshotStore."));
}

/// <summary>What is kept of a restore that failed, so that it can be ended either way.</summary>
/// <param name="Snapshot">The VM snapshot.</param>
/// <param name="Volumes">The volumes that were asked for; empty for all.</param>
/// <param name="Backup">The backup snapshot.</param>
/// <param name="KeepBackup">Whether the backup snapshot stays.</param>
/// <param name="Was">Running or Paused when the VM had a machine before.</param>
internal sealed record FailedRestore(Guid Snapshot, string[] Volumes, Guid Backup, bool KeepBackup, VmState? Was = null);
