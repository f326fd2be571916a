<#
.SYNOPSIS
Writes what PowerShell knows of the module's cmdlets, as the JSON that HelpBuilder reads.
.PARAMETER Module
The module's folder.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [string] $Module
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$common = [System.Management.Automation.PSCmdlet]::CommonParameters

function Get-ShortTypeName([type] $Type) {
    if ($Type.IsArray) { return (Get-ShortTypeName $Type.GetElementType()) + '[]' }
    $plain = [Nullable]::GetUnderlyingType($Type)
    if ($plain) { return Get-ShortTypeName $plain }
    $Type.Name
}

# The values of an enumeration or of a ValidateSet.
function Get-AcceptedValue([System.Management.Automation.CommandParameterInfo] $Parameter) {
    $set = @($Parameter.Attributes | Where-Object { $_ -is [System.Management.Automation.ValidateSetAttribute] })
    if ($set) { return @($set[0].ValidValues) }
    $type = $Parameter.ParameterType.IsArray ? $Parameter.ParameterType.GetElementType() : $Parameter.ParameterType
    $type = [Nullable]::GetUnderlyingType($type) ?? $type
    if ($type.IsEnum) { @([Enum]::GetNames($type)) } else { @() }
}

function ConvertTo-ParameterData([System.Management.Automation.CommandParameterInfo] $Parameter) {
    [ordered]@{
        Name           = $Parameter.Name
        Type           = Get-ShortTypeName $Parameter.ParameterType
        IsSwitch       = $Parameter.ParameterType -eq [switch]
        Required       = $Parameter.IsMandatory
        Position       = $Parameter.Position -ge 0 ? $Parameter.Position : $null
        ByValue        = $Parameter.ValueFromPipeline
        ByPropertyName = $Parameter.ValueFromPipelineByPropertyName
        Wildcards      = [bool]@($Parameter.Attributes | Where-Object { $_ -is [System.Management.Automation.SupportsWildcardsAttribute] })
        Aliases        = @($Parameter.Aliases)
        Values         = @(Get-AcceptedValue $Parameter)
    }
}

function ConvertTo-SetData([System.Management.Automation.CommandParameterSetInfo] $Set) {
    # A parameter that a set takes but does not show is no part of its syntax.
    $own = @($Set.Parameters | Where-Object { $_.Name -notin $common -and -not ($_.Attributes | Where-Object { $_ -is [Parameter] -and $_.ParameterSetName -eq $Set.Name -and $_.DontShow }) })
    $sorted = $own | Sort-Object -Stable { $_.Position -ge 0 ? $_.Position : [int]::MaxValue }, { -not $_.IsMandatory }, { $_.Name -in 'WhatIf', 'Confirm' }, Name
    [ordered]@{
        Name       = $Set.Name
        IsDefault  = $Set.IsDefault
        Parameters = @($sorted | ForEach-Object { ConvertTo-ParameterData $_ })
    }
}

$imported = Import-Module (Convert-Path $Module) -PassThru
$commands = @($imported.ExportedCmdlets.Values | Sort-Object Name | ForEach-Object {
        [ordered]@{
            Name          = $_.Name
            ParameterSets = @($_.ParameterSets | Sort-Object -Stable { -not $_.IsDefault } | ForEach-Object { ConvertTo-SetData $_ })
            OutputTypes   = @($_.OutputType.Name)
        }
    })
ConvertTo-Json -InputObject $commands -Depth 6 -Compress
