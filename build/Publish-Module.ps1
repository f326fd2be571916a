<#
.SYNOPSIS
Assembles the module's folder from what was built.
.DESCRIPTION
Libraries are replaced by renaming the folder, never overwritten: a session that has the module loaded keeps its files.
.PARAMETER Configuration
Which build to take.
.PARAMETER Destination
The folder to make, whose name must be SnapshotTools for Import-Module to find it by name.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [ValidateSet('Debug', 'Release')]
    [string] $Configuration,

    [Parameter(Mandatory)]
    [string] $Destination
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$root = Split-Path $PSScriptRoot
$runtimes = 'linux-x64', 'linux-arm64', 'linux-musl-x64', 'osx-x64', 'osx-arm64', 'win-x64', 'win-x86', 'win-arm64'

function Copy-Into([string] $Folder, [string[]] $Path) {
    $null = New-Item -ItemType Directory -Force -Path $Folder
    Copy-Item -Path $Path -Destination $Folder
}

function Invoke-Dotnet {
    & dotnet $args
    if ($LASTEXITCODE -ne 0) { throw "dotnet $args ended with $LASTEXITCODE" }
}

$built = "$root/src/SnapshotTools/bin/$Configuration/net10.0"
$new = "$Destination.new"
if (Test-Path $new) { Remove-Item -Recurse -Force $new }

Copy-Into $new @(
    "$root/SnapshotTools.psd1"
    "$root/src/SnapshotTools.Loader/SnapshotTools.psm1"
    "$root/src/SnapshotTools.Loader/bin/$Configuration/net10.0/SnapshotTools.Loader.dll"
)
Copy-Into "$new/lib" "$built/*.dll"
foreach ($rid in $runtimes) { Copy-Into "$new/lib/runtimes/$rid/native" "$built/runtimes/$rid/native/*" }
$formats = @(Get-ChildItem "$root/src/SnapshotTools/Formats" -Filter *.ps1xml -ErrorAction Ignore)
if ($formats) { Copy-Into "$new/Formats" $formats.FullName }

# Get-Help looks beside the library for the cmdlets, and in the module's folder for about_ topics.
$help = "$root/build/HelpBuilder/bin/$Configuration/net10.0/HelpBuilder.dll"
$null = New-Item -ItemType Directory -Force -Path "$new/lib/en-US", "$new/en-US"
Invoke-Dotnet $help maml "$root/docs/cmdlets" "$new/lib/en-US/SnapshotTools.dll-Help.xml"
foreach ($page in Get-ChildItem "$root/docs/about_*.md" -ErrorAction Ignore) { Invoke-Dotnet $help about $page.FullName "$new/en-US/$($page.BaseName).help.txt" }

if (Test-Path $Destination) { Remove-Item -Recurse -Force $Destination }
Move-Item $new $Destination
