namespace SnapshotTools.Qcow2;

/// <summary>Places for a range of whole units, which are given back unless they were filled and placed.</summary>
internal sealed class Reservation(ICopyTarget target, long offset, long count) : IDisposable
{
    private bool _placed;

    /// <summary>The places, in the order of the guest's disk.</summary>
    public IReadOnlyList<ReservedRange> Ranges { get; } = target.Reserve(offset, count);

    /// <summary>Takes what the places were filled with as the guest's data.</summary>
    public void Place()
    {
        target.Place(Ranges);
        _placed = true;
    }

    public void Dispose()
    {
        if (_placed) return;
        try
        {
            target.GiveBack(Ranges);
        }
        catch (IOException)
        {
            // An image that takes no more changes has lost some space at worst; why it does not is the failure to be told.
        }
    }
}
