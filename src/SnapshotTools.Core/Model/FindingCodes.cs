namespace SnapshotTools.Core;

/// <summary>The stable codes of what a test of a store finds. One kind of finding has one code; scripts may rely on them.</summary>
public static class FindingCodes
{
    /// <summary>The catalog is missing or cannot be opened. Only a repair, which makes it anew, tells of it.</summary>
    public const string CatalogLost = nameof(CatalogLost);

    /// <summary>The catalog's file is damaged.</summary>
    public const string CatalogDamaged = nameof(CatalogDamaged);

    /// <summary>The file of a layer is not there.</summary>
    public const string LayerMissing = nameof(LayerMissing);

    /// <summary>The file of a layer cannot be read as an image.</summary>
    public const string LayerUnreadable = nameof(LayerUnreadable);

    /// <summary>Tables or reference counts inside of a layer contradict each other.</summary>
    public const string LayerDamaged = nameof(LayerDamaged);

    /// <summary>A frozen layer's file was written to.</summary>
    public const string LayerChanged = nameof(LayerChanged);

    /// <summary>By its own identity the file is another layer than the catalog says.</summary>
    public const string LayerExchanged = nameof(LayerExchanged);

    /// <summary>A layer names another base than the catalog does.</summary>
    public const string LayerBaseWrong = nameof(LayerBaseWrong);

    /// <summary>A layer does not say any more which one it is.</summary>
    public const string LayerWithoutIdentity = nameof(LayerWithoutIdentity);

    /// <summary>Space in a layer's file is taken and not used.</summary>
    public const string LayerLeaks = nameof(LayerLeaks);

    /// <summary>Nothing needs a layer any more, and it is not merged or deleted yet.</summary>
    public const string LayerUnneeded = nameof(LayerUnneeded);

    /// <summary>A program that did not come by the volume's head has a frozen layer open.</summary>
    public const string LayerInForeignUse = nameof(LayerInForeignUse);

    /// <summary>Something other than SnapshotTools put an image on a layer.</summary>
    public const string ForeignOverlay = nameof(ForeignOverlay);

    /// <summary>The file of a memory that was saved is not there.</summary>
    public const string MemoryMissing = nameof(MemoryMissing);

    /// <summary>The file of a firmware's variables is not there.</summary>
    public const string FirmwareMissing = nameof(FirmwareMissing);

    /// <summary>An operation is changing a volume, so that not all of its layers could be judged.</summary>
    public const string VolumeBusy = nameof(VolumeBusy);

    /// <summary>The catalog does not know a file among the layers.</summary>
    public const string FileUnknown = nameof(FileUnknown);

    /// <summary>The stable path of a volume does not lead to its head.</summary>
    public const string StablePathWrong = nameof(StablePathWrong);

    /// <summary>A killed process left a link beside a stable path.</summary>
    public const string LinkLeft = nameof(LinkLeft);
}
