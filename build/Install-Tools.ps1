<#
.SYNOPSIS
Installs the programs of lists such as test-tools.txt that this machine lacks, where that can be done, and warns of those that stay missing.
.PARAMETER List
The lists: a program and the Debian package that brings it in each line.
.PARAMETER Otherwise
What becomes of what needs a program that is missing, for the warning.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [string[]] $List,

    [Parameter(Mandatory)]
    [string] $Otherwise
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function Test-Program([string] $Name) {
    $folders = $env:PATH.Split([IO.Path]::PathSeparator) + '/usr/sbin', '/sbin'
    [bool]($folders | Where-Object { $_ -and (Test-Path -LiteralPath "$_/$Name" -PathType Leaf) })
}

function Get-MissingPackage {
    Get-Content $List | Where-Object { $_ -notmatch '^\s*(#|$)' } | ForEach-Object {
        $program, $package = $_ -split '\s+'
        if (-not (Test-Program $program)) { $package }
    } | Sort-Object -Unique
}

$missing = @(Get-MissingPackage)
if (-not $missing) { return }
if ((Test-Program apt-get) -and [Environment]::UserName -eq 'root') {
    Write-Host "Installing: $missing"
    $env:DEBIAN_FRONTEND = 'noninteractive'
    & apt-get -qq update | Out-Host
    & apt-get -qq install --yes --no-install-recommends $missing | Out-Host
}
$missing = @(Get-MissingPackage)
if ($missing) { Write-Warning "Not installed, so $Otherwise`: $missing. As root on Debian: apt-get install $missing" }
