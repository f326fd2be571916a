using System.Diagnostics;
using System.Runtime.InteropServices;

namespace SnapshotTools.IO.Tests;

/// <summary>This test assembly as a program of its own: what only another process can do.</summary>
internal static partial class ChildProcess
{
    /// <summary>The command line that runs <see cref="Main"/> with arguments.</summary>
    public static string[] Command(params string[] arguments) =>
        [Environment.ProcessPath is { } p && Path.GetFileNameWithoutExtension(p) == "dotnet" ? p : "dotnet", "exec", typeof(ChildProcess).Assembly.Location, .. arguments];

    public static Process Start(params string[] arguments)
    {
        string[] command = Command(arguments);
        return Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardInput = true })!;
    }

    private static void SetHandleLimit(ulong limit)
    {
        const int openFiles = 7;
        ulong[] soft = [limit, limit];
        if (SetLimit(openFiles, soft) != 0) throw new InvalidOperationException("setrlimit failed");
    }

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static partial int SetLimit(int resource, ulong[] softAndHard);

    public static int Main(string[] arguments)
    {
        switch (arguments)
        {
            case ["create", var directory, var file]:
                SystemFiles.Instance.CreateDirectory(directory);
                SystemFiles.Instance.Create(file).Dispose();
                return 0;
            case ["lock", var path]:
                using (IBlockFile held = SystemFiles.Instance.Open(path, FileOpenMode.ReadWrite))
                {
                    if (!held.TryLock(0, 1, LockKind.Exclusive)) return 1;
                    Console.WriteLine("locked");
                    Console.ReadLine();
                }
                return 0;
            case ["wait"]:
                Console.WriteLine("waiting");
                Console.ReadLine();
                return 0;
            case ["exhaust", var path]:
                Directory.GetFiles(AppContext.BaseDirectory);
                SystemFiles.Instance.Create(path).Dispose();
                SetHandleLimit(100);
                List<IBlockFile> open = [];
                try
                {
                    while (true) open.Add(SystemFiles.Instance.Open(path, FileOpenMode.Read));
                }
                catch (IOException e)
                {
                    open.ForEach(f => f.Dispose());
                    Console.WriteLine(e.Message);
                    return 0;
                }
            default:
                return 2;
        }
    }
}
