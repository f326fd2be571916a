namespace SnapshotTools.Core.Catalog;

/// <summary>Layers, the files that nothing needs any more, and the volumes whose stable path may be out of date.</summary>
internal sealed class LayerTable(Database database)
{
    public LayerRow? Find(long id) => database.Single($"SELECT {LayerRow.Columns} FROM layer l WHERE l.id = ?1", LayerRow.Read, id);

    public LayerRow Get(long id) => Find(id) ?? throw new SnapshotException(ErrorIds.CatalogDamaged, ErrorKind.Damaged, $"The catalog refers to layer {id}, which it does not have. Run Test-SnapshotStore.");

    /// <summary>The layers that some rows refer to, in their order.</summary>
    public List<LayerRow> Of<TRow>(List<TRow> rows, Func<TRow, long> id) =>
        database.QueryFor(rows, id, $"SELECT {LayerRow.Columns} FROM layer l WHERE l.id", LayerRow.Read, l => l.Id, Get);

    public List<LayerRow> All() => database.Query($"SELECT {LayerRow.Columns} FROM layer l ORDER BY l.id", LayerRow.Read);

    public List<LayerRow> OfVolume(long volumeId) =>
        database.Query($"SELECT {LayerRow.Columns} FROM layer l WHERE l.volume_id = ?1", LayerRow.Read, volumeId);

    public List<LayerRow> Children(long id) =>
        database.Query($"SELECT {LayerRow.Columns} FROM layer l WHERE l.parent_id = ?1", LayerRow.Read, id);

    public long CountChildren(long id) => database.Number("SELECT count(*) FROM layer WHERE parent_id = ?1", id);

    /// <summary>A layer and all below it, from the top.</summary>
    public List<LayerRow> Chain(long headId)
    {
        var chain = new List<LayerRow>();
        for (long? id = headId; id is not null; id = chain[^1].ParentId)
        {
            chain.Add(Get(id.Value));
            if (chain.Count > 100_000)
                throw new SnapshotException(ErrorIds.CatalogDamaged, ErrorKind.Damaged, $"In the catalog the chain of layer {headId} does not end. Run Test-SnapshotStore.");
        }
        return chain;
    }

    /// <summary>The layers of a volume in the shape that the collector works on.</summary>
    public List<CollectorLayer> ForCollector(long volumeId) => database.Query($"{CollectorLayer.Select} WHERE l.volume_id = ?1", CollectorLayer.Read, volumeId);

    /// <summary>The layers that some rows refer to, in that shape.</summary>
    public List<CollectorLayer> ForCollector<TRow>(List<TRow> rows, Func<TRow, long> id) => database.QueryIn($"{CollectorLayer.Select} WHERE l.id", CollectorLayer.Read, rows, id);

    /// <summary>The layers that lie on some.</summary>
    public List<CollectorLayer> ChildrenForCollector(List<CollectorLayer> layers) => database.QueryIn($"{CollectorLayer.Select} WHERE l.parent_id", CollectorLayer.Read, layers, l => l.Id);

    /// <summary>Volumes that have a layer which neither a head, a snapshot nor another volume needs.</summary>
    public List<long> VolumesWithUnneededLayers() => database.Query(
        """
        SELECT DISTINCT l.volume_id FROM layer l
        WHERE l.state = 2 AND l.external = 0 AND NOT EXISTS(SELECT 1 FROM volume_snapshot s WHERE s.layer_id = l.id)
          AND (SELECT count(*) FROM layer c WHERE c.parent_id = l.id) < 2
          AND NOT EXISTS(SELECT 1 FROM layer c WHERE c.parent_id = l.id AND c.volume_id <> l.volume_id)
          AND NOT EXISTS(SELECT 1 FROM copy y WHERE y.layer_id = l.id)
        """, r => r.GetInt64(0));

    /// <summary>A layer that a volume is written in.</summary>
    public long InsertHead(long volumeId, long? parentId, LayerFile file, long size) => database.Insert(
        "INSERT INTO layer(uid, volume_id, parent_id, location, format, external, state, size, created_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8)",
        file.Id, volumeId, parentId, file.Location, file.Format, file.External, size, DateTimeOffset.UtcNow);

    /// <summary>A layer that is frozen from its first moment on: the base of a clone, or an image that was adopted.</summary>
    public long InsertFrozen(long volumeId, long? parentId, LayerFile file, long size, LayerFacts facts) => database.Insert(
        """
        INSERT INTO layer(uid, volume_id, parent_id, location, format, external, state, size, allocated, length, modified_at, created_at)
        VALUES(?1, ?2, ?3, ?4, ?5, ?6, 2, ?7, ?8, ?9, ?10, ?11)
        """,
        file.Id, volumeId, parentId, file.Location, file.Format, file.External, size, facts.AllocatedBytes, facts.Length, facts.ModifiedAt, DateTimeOffset.UtcNow);

    /// <summary>From now on the layer is never written again; what it is on disk is kept to notice if somebody does.</summary>
    public void Freeze(long id, LayerFacts facts) => database.Execute(
        "UPDATE layer SET state = 2, allocated = ?2, length = ?3, modified_at = ?4 WHERE id = ?1", id, facts.AllocatedBytes, facts.Length, facts.ModifiedAt);

    public void SetFacts(long id, LayerFacts facts) => database.Execute(
        "UPDATE layer SET allocated = ?2, length = ?3, modified_at = ?4 WHERE id = ?1", id, facts.AllocatedBytes, facts.Length, facts.ModifiedAt);

    /// <summary>Remembers that a merge of the layer was begun: should it be interrupted, the next one tidies up first.</summary>
    public void SetMerging(long id) => database.Execute("UPDATE layer SET is_merging = 1 WHERE id = ?1", id);

    /// <summary>The merge of the layer that was begun has been looked after.</summary>
    public void SetNotMerging(long id) => database.Execute("UPDATE layer SET is_merging = 0 WHERE id = ?1", id);

    /// <summary>The layers of a volume whose merge was begun and not ended.</summary>
    public List<LayerRow> Merging(long volumeId) =>
        database.Query($"SELECT {LayerRow.Columns} FROM layer l WHERE l.volume_id = ?1 AND l.is_merging = 1 AND l.state = 2", LayerRow.Read, volumeId);

    public void SetParent(long id, long? parentId) => database.Execute("UPDATE layer SET parent_id = ?2 WHERE id = ?1", id, parentId);

    public void SetSize(long id, long size) => database.Execute("UPDATE layer SET size = ?2 WHERE id = ?1", id, size);

    /// <summary>Forgets a layer; unless it lies outside of the store or has no file any more, its file is to be deleted.</summary>
    public void Drop(LayerRow layer, bool hasFile = true)
    {
        if (hasFile && !layer.External) database.Execute("INSERT OR IGNORE INTO garbage(location) VALUES(?1)", layer.Location);
        database.Execute("DELETE FROM layer WHERE id = ?1", layer.Id);
    }

    public List<string> Garbage() => database.Query("SELECT location FROM garbage", r => r.GetString(0));

    public void AddGarbage(string location) => database.Execute("INSERT OR IGNORE INTO garbage(location) VALUES(?1)", location);

    public void ForgetGarbage(IReadOnlyList<string> locations)
    {
        foreach (string location in locations) database.Execute("DELETE FROM garbage WHERE location = ?1", location);
    }

    public List<long> Unpublished() => database.Query("SELECT volume_id FROM unpublished", r => r.GetInt64(0));

    public void SetUnpublished(long volumeId) => database.Execute("INSERT OR IGNORE INTO unpublished(volume_id) VALUES(?1)", volumeId);

    public void SetPublished(long volumeId) => database.Execute("DELETE FROM unpublished WHERE volume_id = ?1", volumeId);

    public long Count() => database.Number("SELECT count(*) FROM layer");

    public long FrozenBytes() => database.Number("SELECT coalesce(sum(allocated), 0) FROM layer WHERE state = 2 AND external = 0");

    public List<LayerRow> Heads() => database.Query($"SELECT {LayerRow.Columns} FROM layer l WHERE l.state = 1", LayerRow.Read);
}

/// <summary>A layer as the collector sees it.</summary>
/// <param name="Id">Its row.</param>
/// <param name="ParentId">The row of the layer under it.</param>
/// <param name="IsNeeded">Whether a head, a snapshot or another volume needs it for itself.</param>
/// <param name="IsExternal">Whether it lies outside of the store and is left alone.</param>
/// <param name="VolumeId">Whose it is.</param>
internal sealed record CollectorLayer(long Id, long? ParentId, bool IsNeeded, bool IsExternal, long VolumeId = 0)
{
    public const string Select =
        """
        SELECT l.id, l.parent_id, l.state = 1 OR EXISTS(SELECT 1 FROM volume_snapshot s WHERE s.layer_id = l.id)
               OR EXISTS(SELECT 1 FROM layer c WHERE c.parent_id = l.id AND c.volume_id <> l.volume_id)
               OR EXISTS(SELECT 1 FROM copy y WHERE y.layer_id = l.id), l.external, l.volume_id
        FROM layer l
        """;

    public static CollectorLayer Read(RowReader r) => new(r.GetInt64(0), r.Long(1), r.GetInt64(2) != 0, r.GetInt64(3) != 0, r.GetInt64(4));
}
