<#
.SYNOPSIS
Says what the tests of reliability tried. They append a figure's name and a count, line by line, to the file that
$env:SNAPSHOTTOOLS_FIGURES names.
#>

function Show-Figure {
    if (-not (Test-Path $env:SNAPSHOTTOOLS_FIGURES)) { return }
    Import-Csv $env:SNAPSHOTTOOLS_FIGURES -Delimiter "`t" -Header Name, Count | Group-Object Name | Sort-Object Name | ForEach-Object {
        Write-Host "tried $(($_.Group | Measure-Object Count -Sum).Sum) $($_.Name)"
    }
}
