<#
.SYNOPSIS
The second part of the demonstration: a guest that runs. Demo.ps1 dot-sources it.
.DESCRIPTION
A Linux guest of the tests' kit (Debian's cloud kernel, busybox, and a program that writes numbered records to two disks and checks its
own memory) is booted from the store, snapshotted and checkpointed at work, broken, and brought back. Where QEMU or what the guest is
made of is missing, it says so and does nothing.
#>

# A line of shell in the guest.
function Invoke-Guest([string] $Line) { $script:shell.RunAsync($Line, 60).GetAwaiter().GetResult().Trim() }

function Connect-Guest { $script:shell = [SnapshotTools.Guest.GuestShell]::ConnectAsync([SnapshotTools.Guest.GuestPorts]::Shell($work), 120).GetAwaiter().GetResult() }

# The last record that the guest's program wrote, and whether all its memory is what it should be.
function Get-GuestRecord {
    $words = (Invoke-Guest 'tail -n 1 /run/work') -split ' '
    Assert-That "the guest is at record $($words[1]), and its memory is whole" ($words[-1] -eq 'ok')
    [long] $words[1]
}

# Seconds since the guest's boot, by its own clock.
function Get-GuestUptime { [double] ((Invoke-Guest 'cat /proc/uptime') -split ' ')[0] }

function Wait-GuestWork { $null = Invoke-Guest 'n=$(wc -l </run/work); while [ $(wc -l </run/work) -lt $((n+3)) ]; do sleep 0.05; done' }

function Show-LiveDemo {
    $library = Get-ChildItem "$PSScriptRoot/../tests/SnapshotTools.Guest/bin/*/net10.0/SnapshotTools.Guest.dll" -ErrorAction Ignore | Sort-Object LastWriteTime | Select-Object -Last 1
    if (-not $library) { Write-Host "`nThe second part, with a running guest, is skipped: the guest's kit is not built." -ForegroundColor Yellow; return }
    $null = [Reflection.Assembly]::LoadFrom($library.FullName)
    $paths = $env:PATH.Split(':') + '/usr/sbin', '/sbin'
    $missing = [SnapshotTools.Guest.GuestKit]::Tools | Where-Object { $tool = $_; -not ($paths | Where-Object { Test-Path (Join-Path $_ $tool) }) }
    if ($missing) { Write-Host "`nThe second part, with a running guest, is skipped: it needs $($missing -join ', ')." -ForegroundColor Yellow; return }

    Write-Host "`nSecond part: a guest that runs. It is made of Debian's kernel and busybox." -ForegroundColor Cyan
    $accelerator = $env:SNAPSHOTTOOLS_ACCELERATOR
    $kit = [SnapshotTools.Guest.GuestKit]::Instance
    $env:SNAPSHOTTOOLS_ACCELERATOR = $accelerator   # the kit's tests have one of their own
    $env:SNAPSHOTTOOLS_RUN = Join-Path $work 'run'
    $ports = [SnapshotTools.Guest.GuestPorts]::Arguments($work)
    $disk = Join-Path $work 'ext4.raw'
    $null = Invoke-Tool mke2fs '-q', '-t', 'ext4', $disk, '128M'

    Show 'Two disks, and a VM that boots a kernel' {
        'os', 'db' | ForEach-Object { New-VmVolume $_ -ImagePath $disk } | Out-Null
        New-VmInstance live01 os, db -MemoryBytes 256MB -Kernel $kit.Kernel -Initrd $kit.Initrd -KernelCommandLine 'console=ttyS0 quiet panic=-1' -ExtraArgument $ports
    }
    Show 'Start it' { Start-VmInstance live01 -PassThru }
    Connect-Guest
    $null = Invoke-Guest 'mkdir -p /mnt/a /mnt/b; mount -t ext4 /dev/vda /mnt/a; mount -t ext4 /dev/vdb /mnt/b'
    $null = Invoke-Guest 'workload /mnt/a/first /mnt/b/second 32 >/run/work 2>&1 &'
    Wait-GuestWork
    $null = Get-GuestRecord

    Show 'A snapshot of both disks while the guest writes to them' { New-VmSnapshot live01 working -Verbose 4>&1 }
    Wait-GuestWork
    foreach ($volume in 'os', 'db') {
        Copy-Disk $volume working
        $null = Invoke-Tool e2fsck @('-p', $copy) -Accepted 1
        $null = Invoke-Tool e2fsck '-fn', $copy
    }
    Assert-That 'both disks of the snapshot are as after a power cut: the journal is replayed, and e2fsck finds nothing wrong' $true

    $null = Invoke-Guest 'echo only in memory >/run/word'
    $before = Get-GuestRecord
    $then = Get-GuestUptime
    Show 'A checkpoint: its memory too, of the same instant' { New-VmSnapshot live01 check -Memory | Format-List Name, Consistency, Memory*, PauseDuration }
    Wait-GuestWork

    Write-Host "`nThe guest breaks: its files, its memory, its disk" -ForegroundColor Cyan
    $null = Invoke-Guest 'rm -rf /run/word /mnt/a/* /mnt/b/*; dd if=/dev/urandom of=/dev/vda bs=1M count=16 conv=fsync 2>/dev/null; killall -9 workload 2>/dev/null; sync'
    $broken = Get-GuestUptime
    $script:shell.Dispose()
    Show 'What would going back do?' { Restore-VmSnapshot live01 check -StopVm -Start -WhatIf }
    Show 'Go back, and go on' { Restore-VmSnapshot live01 check -StopVm -Start -Force -PassThru }
    Connect-Guest
    Assert-That 'what was only in memory is there' ((Invoke-Guest 'cat /run/word') -eq 'only in memory')
    $now = Get-GuestUptime
    Assert-That "it has not booted: its own clock says $now s, after $then s at the checkpoint and $broken s when it broke" ($now -ge $then -and $now -lt $broken + 5)
    Wait-GuestWork
    Assert-That "it goes on writing from where it was, after record $before" ((Get-GuestRecord) -gt $before)
    $script:shell.Dispose()

    Show 'Shut it down and clean up' {
        Stop-VmInstance live01 -TimeoutSec 60
        Get-VmSnapshot live01 | Remove-VmSnapshot -Force
        Get-VmInstance live01
    }
    Assert-That 'the store tests sound' (Test-SnapshotStore -Quiet)
}
