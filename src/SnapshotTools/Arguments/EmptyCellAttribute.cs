using System.Management.Automation;

namespace SnapshotTools.Arguments;

/// <summary>Takes an empty text, which is what an empty cell of a table comes as, for no value at all; PowerShell would make a zero of it, or refuse it.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class EmptyCellAttribute : ArgumentTransformationAttribute
{
    /// <inheritdoc/>
    public override object? Transform(EngineIntrinsics engineIntrinsics, object inputData) => (inputData is PSObject wrapped ? wrapped.BaseObject : inputData) is "" ? null : inputData;
}
