using System.Text.Json.Nodes;
using SnapshotTools.Core;

namespace SnapshotTools.Qemu.Blocks;

/// <summary>The definitions of a layer's two nodes, for <c>-blockdev</c> and <c>blockdev-add</c> alike (BlockdevOptions).</summary>
internal static class BlockDefinition
{
    /// <summary>The node of the file.</summary>
    public static JsonObject OfFile(ChainFile file, BlockCache cache)
    {
        var definition = new JsonObject
        {
            ["driver"] = "file",
            ["node-name"] = NodeName.OfFile(file.Path),
            ["filename"] = file.Path,
            // Opened for writing only while a node above writes: frozen layers are not, until a block job merges into them.
            ["auto-read-only"] = true,
            ["discard"] = "unmap",
        };
        if (cache == BlockCache.Direct) definition["cache"] = new JsonObject { ["direct"] = true };
        return definition;
    }

    /// <summary>The node of the format.</summary>
    /// <param name="file">The file.</param>
    /// <param name="backing">The node of the next layer; null where there is none. What the image itself says of its
    /// backing file is never followed.</param>
    /// <param name="readOnly">Whether the layer is frozen.</param>
    public static JsonObject OfFormat(ChainFile file, string? backing, bool readOnly)
    {
        var definition = new JsonObject
        {
            ["driver"] = file.Format == LayerFormat.Raw ? "raw" : "qcow2",
            ["node-name"] = NodeName.OfLayer(file.Path),
            ["file"] = NodeName.OfFile(file.Path),
            ["read-only"] = readOnly,
            ["discard"] = "unmap",
        };
        if (file.Format == LayerFormat.Qcow2) definition["backing"] = backing;
        return definition;
    }
}

/// <summary>How QEMU uses the host's page cache.</summary>
public enum BlockCache
{
    /// <summary>Through the page cache; a flush of the guest reaches the disk.</summary>
    WriteBack,

    /// <summary>Past the page cache (O_DIRECT); a flush of the guest reaches the disk.</summary>
    Direct,
}
