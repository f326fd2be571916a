# The manifest loads SnapshotTools.Loader.dll, runs this, and then loads the cmdlets, whose libraries it has made findable. The cmdlets are
# the root module themselves: brought in by a script, as a nested module, they took longer.
try { [SnapshotTools.Loader.ModuleLoadContext]::Prepare($PSScriptRoot) }
catch { throw $_.Exception.InnerException }   # by itself it would be an error among others, and the import would go on
