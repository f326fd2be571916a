# The manifest has loaded SnapshotTools.Loader.dll, which puts everything else in an AssemblyLoadContext of the module's own. The cmdlets
# come as a nested module; it goes with this one, or a second import in the session would find it there and export nothing.
$cmdlets = Microsoft.PowerShell.Core\Import-Module -Assembly ([SnapshotTools.Loader.ModuleLoadContext]::LoadCmdlets($PSScriptRoot)) -PassThru
$ExecutionContext.SessionState.Module.OnRemove = { if ($cmdlets) { Microsoft.PowerShell.Core\Remove-Module -ModuleInfo $cmdlets -Force } }
