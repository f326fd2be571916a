namespace SnapshotTools.Qcow2;

/// <summary>A header extension, kept byte for byte (qcow2 specification, "Header extensions").</summary>
/// <param name="Type">Its type; the numbers that the specification names are constants here.</param>
/// <param name="Data">Its content without padding.</param>
public sealed record HeaderExtension(uint Type, ReadOnlyMemory<byte> Data)
{
    /// <summary>Ends the list; never an extension itself.</summary>
    public const uint End = 0;

    /// <summary>Name of the backing file's format.</summary>
    public const uint BackingFormat = 0xE2792ACA;

    /// <summary>Names of feature bits, for error messages.</summary>
    public const uint FeatureNames = 0x6803F857;

    /// <summary>Where the directory of persistent bitmaps is.</summary>
    public const uint Bitmaps = 0x23852875;

    /// <summary>Where the LUKS header is.</summary>
    public const uint Encryption = 0x0537BE77;

    /// <summary>Name of an external data file.</summary>
    public const uint ExternalDataFile = 0x44415441;

    /// <summary>Ours: a stretch of the header cluster to be skipped, with nothing of meaning in it ("STgp"). It lets the whole list
    /// be replaced in one sector write; see <see cref="HeaderLayout"/>. It is not shown among an image's extensions.</summary>
    internal const uint Gap = 0x53546770;
}
