using System.Text.Json;

namespace HelpBuilder;

/// <summary>What PowerShell knows of a cmdlet; build/Get-CommandMetadata.ps1 writes it.</summary>
/// <param name="Name">The cmdlet.</param>
/// <param name="ParameterSets">Its parameter sets, the default one first.</param>
/// <param name="OutputTypes">Full names of its output types.</param>
public sealed record CommandMetadata(string Name, ParameterSetMetadata[] ParameterSets, string[] OutputTypes)
{
    /// <summary>Names of all parameters, in alphabetical order, <c>-Confirm</c> and <c>-WhatIf</c> last.</summary>
    public IEnumerable<string> ParameterNames => ParameterSets.SelectMany(s => s.Parameters).Select(p => p.Name).Distinct()
        .OrderBy(n => n is "WhatIf" or "Confirm").ThenBy(n => n, StringComparer.OrdinalIgnoreCase);

    /// <summary>Reads a file.</summary>
    public static CommandMetadata[] Read(string path) => JsonSerializer.Deserialize<CommandMetadata[]>(File.ReadAllText(path))!;
}

/// <summary>A parameter set.</summary>
/// <param name="Name">Its name; <c>__AllParameterSets</c> when a cmdlet has one only.</param>
/// <param name="IsDefault">Whether it is the default.</param>
/// <param name="Parameters">Its parameters without the common ones, in the order of their position.</param>
public sealed record ParameterSetMetadata(string Name, bool IsDefault, ParameterMetadata[] Parameters);

/// <summary>A parameter in a parameter set.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">The short name of its type.</param>
/// <param name="IsSwitch">Whether it is a switch.</param>
/// <param name="Required">Whether it is mandatory.</param>
/// <param name="Position">Its position; null where it must be named.</param>
/// <param name="ByValue">Whether it takes objects of the pipeline.</param>
/// <param name="ByPropertyName">Whether it takes their properties.</param>
/// <param name="Wildcards">Whether it accepts wildcards.</param>
/// <param name="Aliases">Its aliases.</param>
/// <param name="Values">The values it accepts, of an enumeration or a set.</param>
public sealed record ParameterMetadata(
    string Name, string Type, bool IsSwitch, bool Required, int? Position, bool ByValue, bool ByPropertyName, bool Wildcards, string[] Aliases, string[] Values);
