using System.Collections;
using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Arguments;

/// <summary>
/// Accepts network adapters as objects, as hash tables with <c>MacAddress</c>, <c>Network</c> and <c>Model</c>, or as the name of the
/// network alone (<c>user</c>, <c>none</c>). An adapter without an address gets one of its own.
/// </summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class NetworkAdapterAttribute : ArgumentTransformationAttribute
{
    private static readonly VmNetworkAdapter Default = new(MacAddress: null!);

    /// <inheritdoc/>
    public override object Transform(EngineIntrinsics engineIntrinsics, object inputData)
    {
        object? value = AgeAttribute.Unwrap(inputData);
        return value is IList list ? list.Cast<object?>().Select(v => Adapter(AgeAttribute.Unwrap(v))).ToArray() : new[] { Adapter(value) };
    }

    private static VmNetworkAdapter Adapter(object? value) => value switch
    {
        VmNetworkAdapter adapter => adapter,
        string network when network.Length > 0 => Default with { Network = network },
        IDictionary table => FromTable(table),
        _ => throw Refused($"'{value}' is no network adapter."),
    };

    private static VmNetworkAdapter FromTable(IDictionary table)
    {
        var adapter = Default;
        foreach (DictionaryEntry entry in table)
        {
            string value = AgeAttribute.Unwrap(entry.Value)?.ToString() ?? "";
            adapter = entry.Key.ToString()?.ToUpperInvariant() switch
            {
                "MACADDRESS" => adapter with { MacAddress = value },
                "NETWORK" => adapter with { Network = value },
                "MODEL" => adapter with { Model = value },
                _ => throw Refused($"A network adapter has no '{entry.Key}'."),
            };
        }
        return adapter;
    }

    private static ArgumentTransformationMetadataException Refused(string what) =>
        new($"{what} Give the network's name (user, none) or a table such as @{{ Network = 'user'; MacAddress = '52:54:00:12:34:56' }}.");
}
