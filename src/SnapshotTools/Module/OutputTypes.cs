using System.Management.Automation;
using System.Reflection;

namespace SnapshotTools.Module;

/// <summary>
/// Makes the types of the module's objects known to PowerShell by their full names, as in <c>$x -is [SnapshotTools.Core.VmSnapshot]</c>:
/// they live in the module's own AssemblyLoadContext, where PowerShell does not look for names. They stay known for the process's life.
/// </summary>
public sealed class OutputTypes : IModuleAssemblyInitializer
{
    private static readonly Type Accelerators = typeof(PSObject).Assembly.GetType("System.Management.Automation.TypeAccelerators")!;

    /// <summary>The types that the cmdlets say they write, as far as they are ours.</summary>
    internal static IEnumerable<Type> All => typeof(OutputTypes).Assembly.GetTypes()
        .Where(t => t.IsSubclassOf(typeof(PSCmdlet)))
        .SelectMany(t => t.GetCustomAttributes<OutputTypeAttribute>())
        .SelectMany(a => a.Type)
        .Select(t => t.Type)
        .OfType<Type>()
        .Where(t => t.Namespace?.StartsWith("SnapshotTools", StringComparison.Ordinal) == true)
        .Distinct();

    /// <inheritdoc/>
    public void OnImport()
    {
        var known = (Dictionary<string, Type>)Accelerators.GetProperty("Get")!.GetValue(null)!;
        lock (Accelerators)
            foreach (var type in All.Where(t => !known.ContainsKey(t.FullName!)))
                Accelerators.InvokeMember("Add", BindingFlags.InvokeMethod | BindingFlags.Public | BindingFlags.Static, null, null, [type.FullName!, type]);
    }
}
