using SnapshotTools.Core;
using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Live;

namespace SnapshotTools.Qemu.Tests;

/// <summary>
/// A session in a process of its own, that dies (SIGKILL) at a step of its operation. The test project is its own program for it:
/// <c>dotnet SnapshotTools.Qemu.Tests.dll snapshot|remove|restore|start|clone STORE RUN-ROOT VM SNAPSHOT STEP</c>
/// </summary>
public static class SessionProgram
{
    public static int Main(string[] args)
    {
        if (args is not [var what, var store, var runRoot, var vm, var snapshot, var step]) return 2;
        void Look(string line)
        {
            if (!line.Contains(step, StringComparison.Ordinal)) return;
            System.Diagnostics.Process.GetCurrentProcess().Kill();
            Thread.Sleep(Timeout.Infinite);
        }
        LiveSteps.Observer = Look;
        using var engine = EmbeddedStore.Open(SystemFiles.Instance, store, compute: new QemuComputePlane(SystemFiles.Instance, runRoot: runRoot));
        var options = new RunOptions { Log = Look };
        if (what == "start") engine.Machines.Start(vm).Run(options);
        else if (what == "snapshot") engine.Snapshots.Create(new NewSnapshotRequest { Vm = vm, Name = snapshot }).Run(options);
        else if (what == "clone") engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource($"{vm}-0"), new CloneSource($"{snapshot}-0")], Linked = true }).Run(options);
        else if (what == "remove") engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = vm, Snapshot = snapshot }).Run(options);
        else engine.Snapshots.Restore(new RestoreRequest { Vm = vm, Snapshot = snapshot, StopVm = true }).Run(options);
        return 0;   // the step was never reached
    }
}
