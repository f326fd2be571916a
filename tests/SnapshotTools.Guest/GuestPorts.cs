namespace SnapshotTools.Guest;

/// <summary>The arguments that give a machine the ports of the test guest, beside those that every machine has.</summary>
public static class GuestPorts
{
    /// <summary>The arguments; the machine must have a virtio-serial device <c>serial0</c>. The sockets are made in <paramref name="folder"/>.</summary>
    public static IReadOnlyList<string> Arguments(string folder) =>
    [
        "-chardev", $"socket,id=shell,path={Shell(folder)},server=on,wait=off",
        "-device", "virtserialport,bus=serial0.0,nr=2,chardev=shell,name=shell",
        "-chardev", $"socket,id=ticks,path={Ticks(folder)},server=on,wait=off",
        "-device", "virtserialport,bus=serial0.0,nr=3,chardev=ticks,name=ticks",
    ];

    /// <summary>The socket of the guest's shell.</summary>
    public static string Shell(string folder) => Path.Combine(folder, "shell");

    /// <summary>The socket of the guest's signs of life.</summary>
    public static string Ticks(string folder) => Path.Combine(folder, "ticks");
}
