using System.Globalization;
using System.Management.Automation;
using System.Reflection;

namespace SnapshotTools.Arguments;

/// <summary>
/// Accepts one of the module's own objects, live or as <c>Import-Clixml</c>, jobs and remoting bring it back, and nothing else:
/// PowerShell would make an empty record of any object that is piped.
/// </summary>
/// <param name="type">The record's type.</param>
[AttributeUsage(AttributeTargets.Property)]
public sealed class RecordAttribute(Type type) : ArgumentTransformationAttribute
{
    /// <inheritdoc/>
    public override object? Transform(EngineIntrinsics engineIntrinsics, object inputData)
    {
        object? value = inputData is PSObject wrapped ? wrapped.BaseObject : inputData;
        if (value is null || type.IsInstanceOfType(value)) return value;
        if (inputData is PSObject copy && copy.TypeNames.Contains("Deserialized." + type.FullName)) return Restored(copy);
        // With this cause the binder goes on to the other parameters that the object may fit.
        string message = $"'{inputData}' is no {type.Name}.";
        throw new ArgumentTransformationMetadataException(message, new PSInvalidCastException(message));
    }

    /// <summary>The record with all values that survived, its id, names and store before all.</summary>
    private object Restored(PSObject copy)
    {
        object record = Activator.CreateInstance(type)!;
        foreach (var property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            if (property.CanWrite && copy.Properties[property.Name]?.Value is { } value
                && LanguagePrimitives.TryConvertTo(value, property.PropertyType, CultureInfo.InvariantCulture, out object converted))
                property.SetValue(record, converted);
        }
        return record;
    }
}
