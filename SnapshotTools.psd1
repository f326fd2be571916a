@{
    RootModule           = 'SnapshotTools.dll'
    NestedModules        = @('SnapshotTools.Loader.dll')
    ModuleVersion        = '0.1.0'
    GUID                 = 'c86dd2ba-10f7-4541-812a-7d66f47fb142'
    Author               = 'The SnapshotTools authors'
    CompanyName          = 'SnapshotTools'
    Copyright            = '(c) The SnapshotTools authors. MIT licence.'
    Description          = 'Snapshots, checkpoints, restores, clones, exports, schedules and retires virtual machines and their volumes.'
    CompatiblePSEditions = @('Core')
    PowerShellVersion    = '7.6'

    FormatsToProcess     = @('Formats/SnapshotTools.Format.ps1xml')
    FunctionsToExport    = @()
    VariablesToExport    = @()
    AliasesToExport      = @()
    CmdletsToExport      = @(
        'New-VmSnapshot', 'Get-VmSnapshot', 'Restore-VmSnapshot', 'Remove-VmSnapshot', 'Rename-VmSnapshot', 'Set-VmSnapshot'
        'New-VolumeSnapshot', 'Get-VolumeSnapshot', 'Restore-VolumeSnapshot', 'Remove-VolumeSnapshot'
        'New-VmVolume', 'Get-VmVolume', 'Resize-VmVolume', 'Remove-VmVolume', 'Mount-VmVolume', 'Dismount-VmVolume'
        'New-VmInstance', 'Get-VmInstance', 'Set-VmInstance', 'Remove-VmInstance'
        'Start-VmInstance', 'Stop-VmInstance', 'Suspend-VmInstance', 'Resume-VmInstance', 'Wait-VmInstance'
        'Connect-VmInstance', 'Disconnect-VmInstance'
        'Copy-Volume', 'Copy-VmInstance', 'New-VmTemplate', 'Get-VmTemplate', 'Remove-VmTemplate'
        'Get-SnapshotOperation', 'Wait-SnapshotOperation', 'Suspend-SnapshotOperation', 'Resume-SnapshotOperation', 'Stop-SnapshotOperation'
        'Initialize-SnapshotStore', 'Get-SnapshotStore', 'Test-SnapshotStore', 'Optimize-SnapshotStore', 'Repair-SnapshotStore'
    )

    PrivateData          = @{
        PSData = @{
            Tags       = @('VM', 'Snapshot', 'Checkpoint', 'Backup', 'qcow2', 'QEMU', 'KVM', 'PSEdition_Core', 'Linux', 'Windows', 'MacOS')
            LicenseUri = 'https://opensource.org/license/mit'
        }
    }
}
