using System.Diagnostics;
using SnapshotTools.Testing;

namespace SnapshotTools.Qcow2.Tests.Locking;

/// <summary>A running qemu-io or qemu-storage-daemon that holds an image open.</summary>
internal sealed class QemuHolder : IDisposable
{
    private readonly Process _process;

    private QemuHolder(string tool, IEnumerable<string> arguments)
    {
        string path = Tool.Find(tool) ?? throw new InvalidOperationException($"This test needs '{tool}'.");
        _process = Process.Start(new ProcessStartInfo(path, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
    }

    public int Id => _process.Id;

    /// <summary>qemu-io with options such as -r and -U; returns when it has the image open.</summary>
    public static QemuHolder Io(string image, string format, params string[] options)
    {
        QemuHolder holder = new("qemu-io", ["-f", format, .. options, image]);
        holder._process.StandardInput.WriteLine("read 0 512");
        holder.WaitFor("read 512/512");
        return holder;
    }

    /// <summary>qemu-storage-daemon with the image as a block node and nobody who uses it.</summary>
    public static QemuHolder Daemon(string image, bool readOnly)
    {
        string only = readOnly ? "on" : "off";
        QemuHolder holder = new("qemu-storage-daemon",
        [
            "--blockdev", $"driver=file,node-name=file,filename={image},read-only={only}",
            "--blockdev", $"driver=qcow2,node-name=image,file=file,read-only={only}",
            "--chardev", "stdio,id=monitor", "--monitor", "chardev=monitor",
        ]);
        holder.WaitFor("\"QMP\"");
        return holder;
    }

    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    public void Dispose()
    {
        Kill();
        _process.Dispose();
    }

    private void WaitFor(string text)
    {
        while (_process.StandardOutput.ReadLine() is { } line)
            if (line.Contains(text, StringComparison.Ordinal)) return;
        throw new InvalidOperationException("The holder ended before it had the image open.");
    }
}
