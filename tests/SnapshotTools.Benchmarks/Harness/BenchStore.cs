using System.Globalization;
using SnapshotTools.Core;
using SnapshotTools.Core.Catalog;
using SnapshotTools.Embedded;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>A store to be measured, open as in a session.</summary>
internal sealed class BenchStore : IDisposable
{
    private int _names;

    public BenchStore(string directory)
    {
        Directory = directory;
        EmbeddedStore.Initialize(directory).Run();
        Engine = EmbeddedStore.Open(directory);
    }

    public string Directory { get; }

    public SnapshotEngine Engine { get; private set; }

    /// <summary>A VM with disks of which each holds some data.</summary>
    public void NewVm(string name, int disks, long size, long data = 1 << 20)
    {
        string[] volumes = [.. Enumerable.Range(0, disks).Select(i => $"{name}-{i}")];
        foreach (string volume in volumes)
        {
            Engine.Volumes.Create(new NewVolumeRequest { Name = volume, SizeBytes = size }).Run();
            Write(volume, image => Images.Spread(image, data, Math.Min(data, 4 << 20)));
        }
        Engine.Machines.Create(new NewVmRequest { Name = name, Volumes = [.. volumes.Select(v => new AttachRequest(v))] }).Run();
    }

    /// <summary>Writes to a volume as its guest would.</summary>
    public void Write(string volume, Action<Qcow2.Qcow2Image> work)
    {
        using var image = Images.Open(Engine.Volumes.Get(volume).Path, write: true);
        work(image);
        image.Flush();
    }

    public VmSnapshot Snapshot(string vm, string? name = null) => Engine.Snapshots.Create(new NewSnapshotRequest { Vm = vm, Name = name ?? $"s{++_names}" }).Run();

    public void Restore(string vm, string snapshot) => Engine.Snapshots.Restore(new RestoreRequest { Vm = vm, Snapshot = snapshot }).Run();

    public OperationPlan Remove(string vm, string snapshot)
    {
        var operation = Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = vm, Snapshot = snapshot });
        operation.Run();
        return operation.Plan;
    }

    /// <summary>Fills the catalog with so many VMs of a volume each and so many snapshots of each, as rows without files: what other VMs cost in
    /// a large store. <see cref="SnapshotEngine.Test"/> would find the files missing.</summary>
    public void AddOthers(int vms, int snapshotsEach)
    {
        NewVm("other", 1, 1 << 30, 4096);
        Snapshot("other", "template");
        Engine.Dispose();
        using (var connection = Connection.Open(Path.Combine(Directory, "catalog.sqlite"))) Statement.RunAll(connection.DangerousGetHandle(), OthersSql(vms, snapshotsEach));
        Engine = EmbeddedStore.Open(Directory);
    }

    public void Dispose() => Engine.Dispose();

    // Every row is a copy of the template's, with an id of its own. Row ids are spaced so that they can be computed.
    private static string OthersSql(int vms, int snapshots) => string.Create(CultureInfo.InvariantCulture,
        $"""
        BEGIN;
        CREATE TEMP TABLE n AS WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {vms}) SELECT i FROM c;
        CREATE TEMP TABLE k AS WITH RECURSIVE c(j) AS (SELECT 1 UNION ALL SELECT j + 1 FROM c WHERE j < {snapshots}) SELECT j FROM c;
        CREATE TEMP TABLE t AS SELECT m.id AS vm, m.present_id AS snap, v.id AS vol, v.head_id AS head FROM vm m JOIN attachment a ON a.vm_id = m.id JOIN volume v ON v.id = a.volume_id WHERE m.name = 'other';
        INSERT INTO volume(id, uid, name, size, cluster_size, head_id, present_id, created_at)
          SELECT 1000000 + i, lower(hex(randomblob(16))), 'many-' || i, size, cluster_size, 1000000000 + i, 1000000000 + i * 1000 + {snapshots}, created_at FROM volume, n WHERE id = (SELECT vol FROM t);
        INSERT INTO layer(id, uid, volume_id, parent_id, location, format, external, state, size, allocated, length, modified_at, created_at)
          SELECT 2000000000 + i * 1000 + j, lower(hex(randomblob(16))), 1000000 + i, CASE j WHEN 1 THEN NULL ELSE 2000000000 + i * 1000 + j - 1 END, 'layers/none-' || i || '-' || j || '.qcow2',
            l.format, l.external, 2, l.size, 196616, 262144, l.created_at, l.created_at FROM layer l, n, k WHERE l.id = (SELECT head FROM t) ORDER BY i, j;
        INSERT INTO layer(id, uid, volume_id, parent_id, location, format, external, state, size, created_at)
          SELECT 1000000000 + i, lower(hex(randomblob(16))), 1000000 + i, 2000000000 + i * 1000 + {snapshots}, 'layers/none-' || i || '.qcow2', l.format, l.external, 1, l.size, l.created_at FROM layer l, n WHERE l.id = (SELECT head FROM t);
        INSERT INTO vm(id, uid, name, processors, memory, adapters, boot, description, present_id, created_at)
          SELECT 1000000 + i, lower(hex(randomblob(16))), 'many-' || i, processors, memory, adapters, boot, description, 1000000000 + i * 1000 + {snapshots}, created_at FROM vm, n WHERE id = (SELECT vm FROM t);
        INSERT INTO attachment(vm_id, volume_id, position, bus, boot, shared)
          SELECT 1000000 + i, 1000000 + i, a.position, a.bus, a.boot, a.shared FROM attachment a, n WHERE a.vm_id = (SELECT vm FROM t);
        INSERT INTO vm_snapshot(id, uid, vm_id, parent_id, name, created_at, description, tags, scope, consistency, configuration)
          SELECT 1000000000 + i * 1000 + j, lower(hex(randomblob(16))), 1000000 + i, CASE j WHEN 1 THEN NULL ELSE 1000000000 + i * 1000 + j - 1 END, 'snap-' || j, s.created_at + j * 36000000000, 'nightly', '["nightly","keep"]',
            s.scope, s.consistency, s.configuration FROM vm_snapshot s, n, k WHERE s.id = (SELECT snap FROM t);
        INSERT INTO volume_snapshot(id, uid, volume_id, parent_id, vm_snapshot_id, position, name, created_at, layer_id)
          SELECT 1000000000 + i * 1000 + j, lower(hex(randomblob(16))), 1000000 + i, CASE j WHEN 1 THEN NULL ELSE 1000000000 + i * 1000 + j - 1 END, 1000000000 + i * 1000 + j, 0, 'snap-' || j, (SELECT created_at FROM vm_snapshot LIMIT 1), 2000000000 + i * 1000 + j FROM n, k;
        COMMIT;
        """);
}
