<#
.SYNOPSIS
Runs every test project and says in one last line how many tests passed, failed and were skipped.
.PARAMETER Configuration
The build to test; it must be there.
.PARAMETER Results
The folder for the result files.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [ValidateSet('Debug', 'Release')]
    [string] $Configuration,

    [Parameter(Mandatory)]
    [string] $Results
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$root = Split-Path $PSScriptRoot

# Counts what the result file says. A project that left none counts as one failure.
function Read-Result([string] $Path) {
    if (-not (Test-Path $Path)) { return @{ Passed = 0; Failed = 1; Skipped = 0 } }
    $results = ([xml](Get-Content -Raw -LiteralPath $Path)).SelectNodes('//*[local-name() = "UnitTestResult"]')
    $outcomes = @($results | ForEach-Object outcome)
    $count = @{ Passed = @($outcomes -eq 'Passed').Count; Skipped = @($outcomes -eq 'NotExecuted').Count }
    $count.Failed = $outcomes.Count - $count.Passed - $count.Skipped
    $count
}

function Invoke-TestProject([IO.FileInfo] $Project) {
    $file = "$Results/$($Project.BaseName).trx"
    & dotnet test $Project.FullName --no-build -c $Configuration -nologo --logger "trx;LogFileName=$file" --blame-hang-timeout 5m --blame-hang-dump-type none | Out-Host
    $exitCode = $LASTEXITCODE
    $count = Read-Result $file
    if ($exitCode -ne 0 -and $count.Failed -eq 0) {
        Write-Host "$($Project.BaseName) ended with $exitCode after its tests"
        $count.Failed = 1
    }
    $count
}

. "$PSScriptRoot/Figures.ps1"

# The tests tell themselves what they miss; this only spares a person, or a fresh machine, the typing.
& "$PSScriptRoot/Install-Tools.ps1" -List "$PSScriptRoot/test-tools.txt" -Otherwise 'tests are skipped (under CI=true they fail)'
if (Test-Path $Results) { Remove-Item -Recurse -Force $Results }
$env:SNAPSHOTTOOLS_FIGURES = "$Results/figures.tsv"
$null = New-Item -ItemType Directory -Force $Results
$projects = Get-ChildItem "$root/tests/*/*.csproj" | Where-Object { Select-String -LiteralPath $_ -Quiet -SimpleMatch 'Microsoft.NET.Test.Sdk' }
$counts = @($projects | ForEach-Object { Invoke-TestProject $_ })
$passed, $failed, $skipped = 'Passed', 'Failed', 'Skipped' | ForEach-Object { $name = $_; ($counts | ForEach-Object { $_[$name] } | Measure-Object -Sum).Sum }
Show-Figure
Write-Host "$passed passed, $failed failed, $skipped skipped"
if ($failed -gt 0 -or $passed -eq 0) { exit 1 }
exit 0
