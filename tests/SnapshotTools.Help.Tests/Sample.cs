using HelpBuilder;

namespace SnapshotTools.Help.Tests;

/// <summary>A cmdlet with two parameter sets, and its page as a person would leave it.</summary>
internal static class Sample
{
    public static ParameterMetadata Parameter(string name, string type = "String", bool required = false, int? position = null, bool byValue = false, string[]? values = null) =>
        new(name, type, type == "SwitchParameter", required, position, byValue, byValue, name == "Name", [], values ?? []);

    public static CommandMetadata Command { get; } = new(
        "Get-Thing",
        [
            new ParameterSetMetadata("ByName", true, [Parameter("Name", "String[]", position: 0), Parameter("Color", values: ["Red", "Blue"]), Parameter("Force", "SwitchParameter")]),
            new ParameterSetMetadata("ById", false, [Parameter("Id", "Guid", required: true, byValue: true), Parameter("Color", values: ["Red", "Blue"]), Parameter("Force", "SwitchParameter")]),
        ],
        ["Thing"]);

    public const string Page = """
        ---
        external help file: SnapshotTools.dll-Help.xml
        Module Name: SnapshotTools
        online version:
        schema: 2.0.0
        ---

        # Get-Thing

        ## SYNOPSIS

        Gets **things** from the `store`.

        ## SYNTAX

        ### ByName (Default)

        ```
        Get-Thing [[-Name] <String[]>] [-Color <String>] [-Force] [<CommonParameters>]
        ```

        ### ById

        ```
        Get-Thing -Id <Guid> [-Color <String>] [-Force] [<CommonParameters>]
        ```

        ## DESCRIPTION

        The first paragraph is
        wrapped. See [the guide](guide.md).

        - one
        - two

        ## EXAMPLES

        ### Example 1: All

        ```powershell
        Get-Thing
        # not a heading
        ```

        Gets all.

        ### Example 2: One

        ```powershell
        Get-Thing web*
        ```

        Gets some.

        ## PARAMETERS

        ### -Color

        The colour.

        ```yaml
        Type: String
        Parameter Sets: (All)
        Aliases:
        Accepted values: Red, Blue

        Required: False
        Position: Named
        Default value: Red
        Accept pipeline input: False
        Accept wildcard characters: False
        ```

        ### -Force

        Does not ask.

        ```yaml
        Type: SwitchParameter
        Parameter Sets: (All)
        Aliases:

        Required: False
        Position: Named
        Default value: False
        Accept pipeline input: False
        Accept wildcard characters: False
        ```

        ### -Id

        The id.

        ```yaml
        Type: Guid
        Parameter Sets: ById
        Aliases:

        Required: True
        Position: Named
        Default value: None
        Accept pipeline input: True (ByPropertyName, ByValue)
        Accept wildcard characters: False
        ```

        ### -Name

        The names.

        ```yaml
        Type: String[]
        Parameter Sets: ByName
        Aliases:

        Required: False
        Position: 0
        Default value: None
        Accept pipeline input: False
        Accept wildcard characters: True
        ```

        ### CommonParameters

        As ever.

        ## INPUTS

        ### System.Guid

        The id.

        ## OUTPUTS

        ### Thing

        A thing.

        ## NOTES

        ## RELATED LINKS

        [Set-Thing](Set-Thing.md)

        """;
}
