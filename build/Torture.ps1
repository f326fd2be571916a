<#
.SYNOPSIS
Runs the tests of reliability again and again, each round with another seed, until the time is over or one fails.
.PARAMETER Configuration
The build to test; it must be there.
.PARAMETER Minutes
How long. A round that has begun is finished.
.PARAMETER Results
The folder for the figures.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [ValidateSet('Debug', 'Release')]
    [string] $Configuration,

    [Parameter(Mandatory)]
    [int] $Minutes,

    [Parameter(Mandatory)]
    [string] $Results
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$root = Split-Path $PSScriptRoot
. "$PSScriptRoot/Figures.ps1"

$rounds = @(
    @{ Project = 'SnapshotTools.Core.Tests'; Filter = 'Category=Torture|FullyQualifiedName~Core.Tests.CrashTests' }
    @{ Project = 'SnapshotTools.Qcow2.Tests'; Filter = 'Category=Torture|FullyQualifiedName~Fuzzing|FullyQualifiedName~Writing.CrashTests' }
)
$null = New-Item -ItemType Directory -Force $Results
$env:SNAPSHOTTOOLS_FIGURES = "$Results/figures.tsv"
if (Test-Path $env:SNAPSHOTTOOLS_FIGURES) { Remove-Item $env:SNAPSHOTTOOLS_FIGURES }
$env:SNAPSHOTTOOLS_EFFORT = '3'
$env:SNAPSHOTTOOLS_FUZZ_MINUTES = [Math]::Min(5, [Math]::Max(0.2, $Minutes / 10)).ToString([cultureinfo]::InvariantCulture)
$end = [DateTime]::UtcNow.AddMinutes($Minutes)
for ($n = 0; $n -eq 0 -or [DateTime]::UtcNow -lt $end; $n++) {
    $seed = Get-Random -Minimum 1 -Maximum 1000000
    $env:SNAPSHOTTOOLS_SEED = $env:SNAPSHOTTOOLS_FUZZ_SEED = "$seed"
    $round = $rounds[$n % $rounds.Count]
    Write-Host "round $($n + 1): $($round.Project), seed $seed"
    & dotnet test "$root/tests/$($round.Project)" --no-build -c $Configuration -nologo --filter $round.Filter | Out-Host
    if ($LASTEXITCODE -ne 0) {
        Write-Host "Failed with seed $seed; the test's message has the steps. Again: SNAPSHOTTOOLS_SEED=$seed SNAPSHOTTOOLS_FUZZ_SEED=$seed SNAPSHOTTOOLS_EFFORT=3 dotnet test tests/$($round.Project) -c $Configuration --filter '$($round.Filter)'"
        Show-Figure
        exit 1
    }
}
Show-Figure
Write-Host "$n rounds without a failure"
exit 0
