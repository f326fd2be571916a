using System.Text;
using SnapshotTools.Core;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Embedded;

/// <summary>A layer's identity as a qcow2 header extension, which other tools keep as they find it: JSON in UTF-8.</summary>
internal static class IdentityExtension
{
    /// <summary>"STid".</summary>
    private const uint Type = 0x53546964;

    public static HeaderExtension Write(LayerIdentity identity) => new(Type, Encoding.UTF8.GetBytes(identity.ToJson()));

    public static void Update(Qcow2Image image, LayerIdentity identity) => image.SetExtension(Type, Write(identity).Data.Span);

    /// <summary>The identity that an image carries, or null when it carries none that can be read.</summary>
    public static LayerIdentity? Read(Qcow2Image image) =>
        image.Extensions.FirstOrDefault(e => e.Type == Type) is { } extension ? LayerIdentity.FromJson(Encoding.UTF8.GetString(extension.Data.Span)) : null;
}
