using System.ComponentModel;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace SnapshotTools.Qemu.Qmp;

/// <summary>Sends an open file along with bytes over a Unix socket: <c>sendmsg</c> with <c>SCM_RIGHTS</c> (unix(7)), Linux on 64 bits.</summary>
internal static partial class FilePassing
{
    private const int SolSocket = 1;
    private const int ScmRights = 1;
    private const int MsgNoSignal = 0x4000;
    private const int Eintr = 4;
    private const int Eagain = 11;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [StructLayout(LayoutKind.Sequential)]
    private unsafe struct IoVector
    {
        public byte* Base;
        public nuint Length;
    }

    [StructLayout(LayoutKind.Sequential)]
    private unsafe struct MessageHeader
    {
        public void* Name;
        public uint NameLength;
        public IoVector* Vectors;
        public nuint VectorCount;
        public void* Control;
        public nuint ControlLength;
        public int Flags;
    }

    // cmsghdr with one descriptor; cmsg_len ends behind it, the whole is padded to the next 8 bytes.
    [StructLayout(LayoutKind.Sequential)]
    private struct ControlMessage
    {
        public nuint Length;
        public int Level;
        public int Type;
        public int Descriptor;
        public int Padding;
    }

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static unsafe partial nint SendMessage(int socket, MessageHeader* message, int flags);

    /// <summary>Sends the file with the first bytes of the data; returns how many bytes went.</summary>
    public static unsafe int Send(Socket socket, ReadOnlySpan<byte> data, SafeHandle file)
    {
        bool socketHeld = false, fileHeld = false;
        try
        {
            socket.SafeHandle.DangerousAddRef(ref socketHeld);
            file.DangerousAddRef(ref fileHeld);
            fixed (byte* bytes = data)
            {
                var vector = new IoVector { Base = bytes, Length = (nuint)data.Length };
                var control = new ControlMessage
                {
                    Length = (nuint)(sizeof(ControlMessage) - sizeof(int)),
                    Level = SolSocket,
                    Type = ScmRights,
                    Descriptor = (int)file.DangerousGetHandle(),
                };
                var message = new MessageHeader { Vectors = &vector, VectorCount = 1, Control = &control, ControlLength = (nuint)sizeof(ControlMessage) };
                while (true)
                {
                    nint sent = SendMessage((int)socket.SafeHandle.DangerousGetHandle(), &message, MsgNoSignal);
                    if (sent >= 0) return (int)sent;
                    int error = Marshal.GetLastPInvokeError();
                    if (error == Eagain && socket.Poll(Patience, SelectMode.SelectWrite)) continue;
                    if (error != Eintr) throw new SocketException(error, new Win32Exception(error).Message);
                }
            }
        }
        finally
        {
            if (fileHeld) file.DangerousRelease();
            if (socketHeld) socket.SafeHandle.DangerousRelease();
        }
    }
}
