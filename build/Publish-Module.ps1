<#
.SYNOPSIS
Assembles the module's folder from what was built.
.DESCRIPTION
Libraries are replaced by renaming the folder, never overwritten: a session that has the module loaded keeps its files.
A Release is compiled ahead of time for this computer's system where the compiler was restored; elsewhere, and on other systems, the same
files are compiled when they are used.
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

# Replaces libraries by ones that carry machine code beside their own. What fails here costs time later and nothing else.
function Optimize-Library([string[]] $Path) {
    $packages = $env:NUGET_PACKAGES ? $env:NUGET_PACKAGES : (Join-Path $HOME '.nuget/packages')
    $rid = [Runtime.InteropServices.RuntimeInformation]::RuntimeIdentifier
    $os, $architecture = $rid -split '-'
    $compiler = Get-ChildItem "$packages/microsoft.netcore.app.crossgen2.$rid/*/tools/crossgen2" -ErrorAction Ignore | Sort-Object { [version]$_.Directory.Parent.Name } | Select-Object -Last 1
    $framework = & dotnet --list-runtimes | Where-Object { $_ -match '^Microsoft\.NETCore\.App (10\.\S+) \[(.+)\]$' } | ForEach-Object { "$($Matches[2])/$($Matches[1])" } | Select-Object -Last 1
    $standard = Get-ChildItem "$packages/powershellstandard.library/*/lib/netstandard2.0/System.Management.Automation.dll" -ErrorAction Ignore | Select-Object -Last 1
    if (-not ($compiler -and $framework -and $standard)) {
        Write-Verbose "The module is not compiled ahead of time: no compiler for $rid was restored."
        return
    }
    if ($compiler.UnixFileMode -notmatch 'UserExecute') { $compiler.UnixFileMode = $compiler.UnixFileMode -bor [IO.UnixFileMode]::UserExecute }
    $arguments = "$new.arguments"
    foreach ($file in $Path) {
        # In a file, because PowerShell would replace the patterns by the names that they match.
        Set-Content $arguments @($file, "-r:$framework/*.dll", "-r:$new/*.dll", "-r:$new/lib/*.dll", "-r:$($standard.FullName)", "-o:$file.optimized", "--targetos:$os", "--targetarch:$architecture", '-O')
        $output = & $compiler.FullName "@$arguments" 2>&1
        if ($LASTEXITCODE -eq 0) { Move-Item -Force "$file.optimized" $file }
        else { Write-Warning "'$file' was not compiled ahead of time (crossgen2 ended with $LASTEXITCODE): $($output | Select-Object -First 3)" }
    }
    Remove-Item $arguments
}

$built = "$root/src/SnapshotTools/bin/$Configuration/net10.0"
$new = "$Destination.new"
if (Test-Path $new) { Remove-Item -Recurse -Force $new }

Copy-Into $new @(
    "$root/SnapshotTools.psd1"
    "$root/src/SnapshotTools.Loader/bin/$Configuration/net10.0/SnapshotTools.Loader.dll"
)
Copy-Into "$new/lib" "$built/*.dll"
Move-Item "$new/lib/SnapshotTools.dll" $new
foreach ($rid in $runtimes) { Copy-Into "$new/lib/runtimes/$rid/native" "$built/runtimes/$rid/native/*" }
$formats = @(Get-ChildItem "$root/src/SnapshotTools/Formats" -Filter *.ps1xml -ErrorAction Ignore)
if ($formats) { Copy-Into "$new/Formats" $formats.FullName }

if ($Configuration -eq 'Release') { Optimize-Library @(Get-ChildItem "$new/*.dll", "$new/lib/*.dll").FullName }

# Get-Help looks here for the cmdlets and the about_ topics.
$help = "$root/build/HelpBuilder/bin/$Configuration/net10.0/HelpBuilder.dll"
$null = New-Item -ItemType Directory -Force -Path "$new/en-US"
Invoke-Dotnet $help maml "$root/docs/cmdlets" "$new/en-US/SnapshotTools.dll-Help.xml"
foreach ($page in Get-ChildItem "$root/docs/about_*.md" -ErrorAction Ignore) { Invoke-Dotnet $help about $page.FullName "$new/en-US/$($page.BaseName).help.txt" }

if (Test-Path $Destination) { Remove-Item -Recurse -Force $Destination }
Move-Item $new $Destination
