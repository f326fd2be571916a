using System.Management.Automation;
using SnapshotTools.Core;
using SnapshotTools.Embedded;

namespace SnapshotTools.Cmdlets;

/// <summary>A cmdlet that works in a store. Piped objects name their store themselves; each store is opened once and closed at the end.</summary>
public abstract class StoreCmdlet : SnapshotCmdlet
{
    private readonly Dictionary<string, SnapshotEngine> _engines = new(StringComparer.Ordinal);

    /// <summary>The store's directory; $env:SNAPSHOTTOOLS_STORE by default, else SnapshotTools in the user's data folder.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public virtual string? Store { get; set; }

    /// <summary>Full path of the store that the present item names.</summary>
    protected string StorePath => FullPath(OpenedStore.Named(Store));

    /// <summary>The engine of the store that the present item names.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.StoreNotFound"/> and others.</exception>
    protected SnapshotEngine Engine
    {
        get
        {
            string path = StorePath;
            if (!_engines.TryGetValue(path, out var engine))
                _engines.Add(path, engine = OpenedStore.Open(path, _openLog.Add));
            foreach (string line in _openLog) WriteVerbose(line);
            _openLog.Clear();
            return engine;
        }
    }

    private readonly List<string> _openLog = [];

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            foreach (var engine in _engines.Values) engine.Dispose();
            _engines.Clear();
        }
        base.Dispose(disposing);
    }
}
