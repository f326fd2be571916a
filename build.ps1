<#
.SYNOPSIS
Builds, tests, measures, shows, documents and packs SnapshotTools.
.DESCRIPTION
Run it with PowerShell 7.6 or later; build/pwsh brings one where there is none: build/pwsh build.ps1 -Task Test
.PARAMETER Task
Build assembles the module in out/SnapshotTools. Test builds and runs every test project. Demo builds and runs the demonstration.
Bench builds, installs what it is measured against where it can, measures, and writes a table, JSON and a plot to out/bench; it takes forty minutes.
Docs adds missing cmdlets and parameters to docs/cmdlets. Package builds and packs out/SnapshotTools-VERSION.zip.
Torture builds and runs the tests of reliability again and again with other seeds, for as many minutes as -Minutes says; a failure
prints its seed and how to run it again. Clean deletes what the tasks made.
.PARAMETER Configuration
Debug or Release.
.PARAMETER Quick
With Bench: smaller and fewer measurements, in under three minutes.
.PARAMETER UpdateDocs
With Bench: puts the tables and the plot into docs/performance.md.
.PARAMETER Filter
With Bench: only the row of this name, such as snapshot/1, or those whose names begin with this or match this pattern, such as copy/*; 'micro' measures single methods only.
.PARAMETER Image
With Demo: a disk image of your own to show it on. It is only read.
.PARAMETER Minutes
With Torture: how long.
#>
[CmdletBinding()]
param(
    [ValidateSet('Build', 'Test', 'Bench', 'Demo', 'Docs', 'Package', 'Torture', 'Clean')]
    [string] $Task = 'Build',

    [ValidateSet('Debug', 'Release')]
    [string] $Configuration = 'Release',

    [switch] $Quick,

    [switch] $UpdateDocs,

    [string] $Filter,

    [string] $Image,

    [ValidateRange(1, 100000)]
    [int] $Minutes = 10
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $false

$root = $PSScriptRoot
$out = Join-Path $root 'out'
$moduleFolder = Join-Path $out 'SnapshotTools'
$env:DOTNET_NOLOGO = '1'

# Runs a program; its failure ends the script with the same exit code.
function Invoke-Native([string] $Program, [string[]] $Arguments) {
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) {
        [Console]::Error.WriteLine("build.ps1: $Program $($Arguments -join ' ') ended with $LASTEXITCODE")
        exit $LASTEXITCODE
    }
}

# The module, what makes its help, and the guest of the demo. Tests need the whole solution.
function Invoke-BuildTask([string] $Solution = 'build/Module.slnf') {
    Invoke-Native dotnet @('build', "$root/$Solution", '-c', $Configuration, '-v', 'quiet', '-nologo', '-clp:NoSummary', '-warnaserror')
    & "$root/build/Publish-Module.ps1" -Configuration $Configuration -Destination $moduleFolder
}

function Invoke-TestTask {
    Invoke-BuildTask SnapshotTools.sln
    & "$root/build/Test.ps1" -Configuration $Configuration -Results "$out/test-results"
    exit $LASTEXITCODE
}

function Invoke-BenchTask {
    Invoke-BuildTask build/Bench.slnf
    $lists = 'test-tools.txt', 'bench-tools.txt' | ForEach-Object { "$root/build/$_" }
    & "$root/build/Install-Tools.ps1" -List $lists -Otherwise 'rows are not run'
    # What is measured is what is shipped: the module's own libraries, compiled ahead of time.
    $built = "$out/bench/program"
    if (Test-Path $built) { Remove-Item -Recurse -Force $built }
    Copy-Item -Recurse "$root/tests/SnapshotTools.Benchmarks/bin/$Configuration/net10.0" $built
    Get-ChildItem "$moduleFolder/lib/*.dll" | Where-Object { Test-Path "$built/$($_.Name)" } | Copy-Item -Destination $built -Force
    $program = @("$built/SnapshotTools.Benchmarks.dll", '--out', "$out/bench")
    if ($Quick) { $program += '--quick' }
    $docs = $UpdateDocs ? @('--docs', "$root/docs/performance.md") : @()
    if ($Filter -ne 'micro') { Invoke-Native dotnet ($program + $docs + ($Filter ? @('--filter', $Filter) : @())) }
    if ($Filter -in '', 'micro') { Invoke-Native dotnet ($program + '--micro') }
}

function Invoke-DemoTask {
    Invoke-BuildTask
    $arguments = @{ Module = $moduleFolder }
    if ($Image) { $arguments.Image = $Image }
    & "$root/build/Demo.ps1" @arguments
    exit $LASTEXITCODE
}

function Invoke-DocsTask {
    Invoke-BuildTask
    $metadata = Join-Path $out 'commands.json'
    & "$root/build/Get-CommandMetadata.ps1" -Module $moduleFolder | Set-Content $metadata
    Invoke-Native dotnet @("$root/build/HelpBuilder/bin/$Configuration/net10.0/HelpBuilder.dll", 'update', $metadata, "$root/docs/cmdlets")
    & dotnet "$root/build/HelpBuilder/bin/$Configuration/net10.0/HelpBuilder.dll" check $metadata "$root/docs/cmdlets"
    exit $LASTEXITCODE
}

function Invoke-PackageTask {
    Invoke-BuildTask
    $version = (Import-PowerShellDataFile "$root/SnapshotTools.psd1").ModuleVersion
    $package = Join-Path $out "SnapshotTools-$version.zip"
    if (Test-Path $package) { Remove-Item $package }
    [IO.Compression.ZipFile]::CreateFromDirectory($moduleFolder, $package, 'Optimal', $true)
    Write-Host $package
}

function Invoke-TortureTask {
    Invoke-BuildTask SnapshotTools.sln
    & "$root/build/Torture.ps1" -Configuration $Configuration -Minutes $Minutes -Results "$out/torture-results"
    exit $LASTEXITCODE
}

function Invoke-CleanTask {
    Invoke-Native dotnet @('clean', "$root/SnapshotTools.sln", '-c', $Configuration, '-v', 'quiet', '-nologo')
    if (Test-Path $out) { Remove-Item -Recurse -Force $out }
}

& "Invoke-${Task}Task"
exit 0
