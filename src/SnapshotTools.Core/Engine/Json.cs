using System.Text.Json;
using System.Text.Json.Serialization;

namespace SnapshotTools.Core.Engine;

/// <summary>How the catalog and the layers write what is more than a column.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(VmConfiguration))]
[JsonSerializable(typeof(VmNetworkAdapter[]))]
[JsonSerializable(typeof(VmBoot))]
[JsonSerializable(typeof(LayerIdentity))]
[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(Dictionary<string, string>))]
[JsonSerializable(typeof(FailedRestore))]
internal sealed partial class JsonShapes : JsonSerializerContext;

/// <summary>Reads and writes the shapes of <see cref="JsonShapes"/>.</summary>
internal static class Json
{
    public static string Write<T>(T value) => JsonSerializer.Serialize(value, typeof(T), JsonShapes.Default);

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
