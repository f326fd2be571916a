<#
.SYNOPSIS
Shows the module at work on a real disk, and proves what it shows.
.DESCRIPTION
A VM with two disks is snapshotted between changes, restored, and cleaned up. What a guest would write is written here from outside:
the disk is copied out, changed there with debugfs, and what differs is written back. SHA-256 over the whole disk and e2fsck say whether
a disk is what it was. It needs the .NET SDK and e2fsprogs, and ends with 1 when a proof fails. Where QEMU is on the machine a second part
follows, with a guest that runs: see Demo.Live.ps1.
.PARAMETER Module
The module's folder.
.PARAMETER Image
A disk image of your own, .qcow2, .raw or .img. It is imported, which only reads it.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [string] $Module,

    [string] $Image
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$PSNativeCommandUseErrorActionPreference = $false
$clock = [Diagnostics.Stopwatch]::StartNew()
Import-Module $Module

$work = New-Item -ItemType Directory -Path ([IO.Path]::Combine([IO.Path]::GetTempPath(), "snapshottools-demo-$PID"))
$env:SNAPSHOTTOOLS_STORE = Join-Path $work 'store'
$copy = Join-Path $work 'copy.raw'
$isSoundExt = $true

# Says what comes, types the command, and shows what it writes.
function Show([string] $Text, [scriptblock] $Command) {
    Write-Host "`n$Text" -ForegroundColor Cyan
    foreach ($line in ($Command.ToString().Trim() -split '\r?\n')) { Write-Host "PS> $($line.Trim())" -ForegroundColor DarkGray }
    $time = [Diagnostics.Stopwatch]::StartNew()
    $output = & $Command
    $seconds = $time.Elapsed.TotalSeconds
    $output | Out-String -Width 120 | ForEach-Object { Write-Host $_.Trim("`r", "`n") }
    Write-Host ('    ({0:0.00} s)' -f $seconds) -ForegroundColor DarkGray
}

function Assert-That([string] $Claim, [bool] $Holds) {
    if (-not $Holds) { throw "NOT PROVED: $Claim" }
    Write-Host "    proved: $Claim" -ForegroundColor Green
}

function Invoke-Tool([string] $Name, [string[]] $Arguments, [int] $Accepted = 0) {
    $tool = $env:PATH.Split(':') + '/usr/sbin', '/sbin' | ForEach-Object { Join-Path $_ $Name } | Where-Object { Test-Path $_ } | Select-Object -First 1
    if (-not $tool) { throw "The demo needs '$Name'. Install e2fsprogs." }
    $text = & $tool @Arguments 2>&1 | Out-String
    if ($LASTEXITCODE -notin 0, $Accepted) { throw "$Name $($Arguments -join ' ') ended with ${LASTEXITCODE}: $text" }
    $text
}

# The engine under the cmdlets, for what a guest does to its disk.
function Use-Engine([scriptblock] $Work) {
    $context = [Runtime.Loader.AssemblyLoadContext]::All | Where-Object Name -eq SnapshotTools
    $core = $context.LoadFromAssemblyName('SnapshotTools.Core')
    $engine = $context.LoadFromAssemblyName('SnapshotTools.Embedded').GetType('SnapshotTools.Embedded.EmbeddedStore')::Open($env:SNAPSHOTTOOLS_STORE, $null)
    try { & $Work $engine $core } finally { $engine.Dispose() }
}

# Copies what a volume, or a snapshot of it, reads as into a raw file.
function Copy-Disk([string] $Volume, [string] $Snapshot) {
    Remove-Item $copy -ErrorAction Ignore
    Use-Engine {
        param($engine, $core)
        $null = $engine.Volumes.Export($Volume, $(if ($Snapshot) { $Snapshot } else { [NullString]::Value }), $copy, $core.GetType('SnapshotTools.Core.ImageFileFormat')::Raw).Run($null)
    }
}

# What the guest writes: changes the raw copy, then makes the volume read like it.
function Edit-Disk([string] $Volume, [scriptblock] $Change) {
    Copy-Disk $Volume
    & $Change
    Use-Engine {
        param($engine, $core)
        $source = $core.GetType('SnapshotTools.Core.ImageSource')::new($copy, $core.GetType('SnapshotTools.Core.ImageFileFormat')::Raw, [string[]]@())
        $null = $engine.Volumes.Overwrite($Volume, $source).Run($null)
    }
}

function Get-DiskHash([string] $Volume) {
    Copy-Disk $Volume
    (Get-FileHash $copy -Algorithm SHA256).Hash.ToLowerInvariant()
}

# Whether the last disk that was copied out begins with an ext2, ext3 or ext4 file system; one with partitions does not.
function Test-IsExt {
    $stream = [IO.File]::OpenRead($copy)
    try {
        $magic = [byte[]]::new(2)
        $stream.Position = 1080
        $null = $stream.Read($magic, 0, 2)
    }
    finally { $stream.Dispose() }
    $magic[0] -eq 0x53 -and $magic[1] -eq 0xEF
}

# What e2fsck says of the last disk that was copied out, where there is something that it can say.
function Test-FileSystem {
    if (-not $script:isSoundExt) { return }
    $null = Invoke-Tool e2fsck '-fn', $copy
    Assert-That 'e2fsck finds nothing wrong in it' $true
}

# What the guest does between snapshots: files come and go; where there is no file system to go through, blocks change.
function Edit-Files([string] $Volume, [string] $Version) {
    Edit-Disk $Volume {
        $new = [Security.Cryptography.RandomNumberGenerator]::GetBytes(8MB)
        if ($script:isSoundExt) {
            $file = Join-Path $work 'new.bin'
            [IO.File]::WriteAllBytes($file, $new)
            $commands = Join-Path $work 'commands'
            Set-Content $commands "write $file /files-of-$Version.bin", 'rm /System.Private.CoreLib.dll'
            $null = Invoke-Tool debugfs '-w', '-f', $commands, $copy
            return
        }
        $stream = [IO.File]::OpenWrite($copy)
        try {
            foreach ($i in 0..63) {
                $stream.Position = [long]($i / 64 * [Math]::Max(0, $stream.Length - $new.Length / 64))
                $stream.Write($new, $i * ($new.Length / 64), [Math]::Min($new.Length / 64, $stream.Length))
            }
        }
        finally { $stream.Dispose() }
    }
}

try {
    if ($Image) {
        $root = (Resolve-Path $Image).ProviderPath
    }
    else {
        Write-Host "Making an ext4 disk full of real files: those of .NET itself" -ForegroundColor Cyan
        $root = Join-Path $work 'root.raw'
        $null = Invoke-Tool mke2fs '-q', '-t', 'ext4', '-d', ([Runtime.InteropServices.RuntimeEnvironment]::GetRuntimeDirectory()), $root, '320M'
    }
    $data = Join-Path $work 'data.raw'
    $null = Invoke-Tool mke2fs '-q', '-t', 'ext4', '-d', $Module, $data, '128M'

    Show 'A store' { Initialize-SnapshotStore }
    Show 'Two volumes with the content of the images' {
        New-VmVolume web01-root -ImagePath $root
        New-VmVolume web01-data -ImagePath $data -Format Raw
    }
    Show 'A VM that has them' { New-VmInstance web01 web01-root, web01-data -ProcessorCount 2 -MemoryBytes 4GB }

    $installed = Get-DiskHash web01-root
    $isSoundExt = Test-IsExt
    if ($isSoundExt -and $Image) {
        # A disk that was in use may need its journal; then its hash has to do.
        try { $null = Invoke-Tool e2fsck '-fn', $copy } catch { $isSoundExt = $false }
    }
    Test-FileSystem
    Show 'A snapshot of both disks' { New-VmSnapshot web01 installed -Description 'fresh' }

    Write-Host "`nThe guest is upgraded: it writes to both disks" -ForegroundColor Cyan
    Edit-Files web01-root 2
    Edit-Disk web01-data { $null = Invoke-Tool debugfs '-w', '-R', 'rm /SnapshotTools.psd1', $copy }
    $upgraded = Get-DiskHash web01-root
    $upgradedData = Get-DiskHash web01-data
    Show 'Another snapshot, with a tag' { New-VmSnapshot web01 upgraded -Tag keep -Description 'version 2' }

    Write-Host "`nThe guest goes on, and it goes wrong" -ForegroundColor Cyan
    Edit-Files web01-root broken
    Assert-That 'the disk is another one by now' ((Get-DiskHash web01-root) -notin $installed, $upgraded)
    Show 'Where we are' { Get-VmSnapshot web01 -Tree }
    Show 'What would going back do?' { Restore-VmSnapshot web01 installed -WhatIf }
    Show 'Go back' { Restore-VmSnapshot web01 installed -Force }
    Assert-That "the disk is back, SHA-256 $($installed.Substring(0, 16))…" ((Get-DiskHash web01-root) -eq $installed)
    Test-FileSystem

    Write-Host "`nThe guest takes another way from there" -ForegroundColor Cyan
    Edit-Files web01-root 3
    Show 'A snapshot of that, and the tree with both branches' {
        $null = New-VmSnapshot web01 other-way
        Get-VmSnapshot web01 -Tree
    }
    Show 'Is the other branch still there? A volume made of it, which copies nothing' {
        Get-VolumeSnapshot web01-root upgraded | New-VmVolume look-root
        Get-VolumeSnapshot web01-data upgraded | New-VmVolume look-data
    }
    Assert-That "the first disk of 'upgraded' is whole, SHA-256 $($upgraded.Substring(0, 16))…" ((Get-DiskHash look-root) -eq $upgraded)
    Test-FileSystem
    Assert-That "the second disk of 'upgraded' is whole, SHA-256 $($upgradedData.Substring(0, 16))…" ((Get-DiskHash look-data) -eq $upgradedData)

    $present = Get-DiskHash web01-root
    $before = (Get-SnapshotStore).AllocatedBytes
    Show 'Space, before the clean-up' { Get-SnapshotStore }
    Show 'Remove the copy and the snapshots' {
        Get-VmVolume look-* | Remove-VmVolume -Force
        Get-VmSnapshot web01 | Remove-VmSnapshot -Force
    }
    $after = (Get-SnapshotStore).AllocatedBytes
    Show 'Space, after it' { Get-SnapshotStore }
    Assert-That ('{0:0.0} MiB came back' -f (($before - $after) / 1MB)) ($after -lt $before)
    Assert-That 'the present reads as before' ((Get-DiskHash web01-root) -eq $present)
    Test-FileSystem
    Assert-That 'each volume is one layer again' (-not (Get-VmVolume | Where-Object ChainLength -ne 1))
    Assert-That 'the store tests sound' (Test-SnapshotStore -Quiet)
    . "$PSScriptRoot/Demo.Live.ps1"
    Show-LiveDemo
    Write-Host ("`nDone in {0:0} s." -f $clock.Elapsed.TotalSeconds) -ForegroundColor Cyan
    exit 0
}
catch {
    Write-Host "`n$($_.Exception.Message)" -ForegroundColor Red
    exit 1
}
finally {
    if (Test-Path $env:SNAPSHOTTOOLS_STORE) { Get-VmInstance | Where-Object State -in Running, Paused | Stop-VmInstance -TurnOff -Force -ErrorAction Ignore }
    Remove-Item -Recurse -Force $work -ErrorAction Ignore
}
