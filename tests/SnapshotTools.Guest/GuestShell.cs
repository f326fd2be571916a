using System.Net.Sockets;
using System.Text;

namespace SnapshotTools.Guest;

/// <summary>The shell of the test guest, reached through a virtio port.</summary>
public sealed class GuestShell : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly StringBuilder _received = new();
    private readonly byte[] _buffer = new byte[4096];
    private int _commands;

    private GuestShell()
    {
    }

    /// <summary>Connects and waits until the guest has booted.</summary>
    public static async Task<GuestShell> ConnectAsync(string path, int timeoutSeconds = 120)
    {
        var shell = new GuestShell();
        using (var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30)))
            await shell._socket.ConnectAsync(new UnixDomainSocketEndPoint(path), limit.Token);
        await shell.RunAsync("true", timeoutSeconds);
        return shell;
    }

    /// <summary>Runs a line of shell in the guest and returns what it printed; fails when it did.</summary>
    public async Task<string> RunAsync(string line, int timeoutSeconds = 60)
    {
        var (exitCode, output) = await TryRunAsync(line, timeoutSeconds);
        return exitCode == 0 ? output : throw new InvalidOperationException($"In the guest '{line}' ended with {exitCode}:\n{output}");
    }

    /// <summary>Runs a line of shell in the guest.</summary>
    public async Task<(int ExitCode, string Output)> TryRunAsync(string line, int timeoutSeconds = 60)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(timeoutSeconds));
        string mark = $"=={++_commands}:";
        await _socket.SendAsync(Encoding.UTF8.GetBytes($"mark={mark}; {line}\n"), limit.Token);
        try
        {
            while (true)
            {
                string text = _received.ToString();
                int end = text.IndexOf(mark, StringComparison.Ordinal);
                int newline = end < 0 ? -1 : text.IndexOf('\n', end);
                if (newline >= 0)
                {
                    _received.Remove(0, newline + 1);
                    return (int.Parse(text.AsSpan(end + mark.Length, newline - end - mark.Length)), text[..end].Replace("\r", "", StringComparison.Ordinal));
                }
                int count = await _socket.ReceiveAsync(_buffer, limit.Token);
                if (count == 0) throw new IOException($"The guest went away during '{line}'.");
                _received.Append(Encoding.UTF8.GetString(_buffer, 0, count));
            }
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"The guest did not end '{line}' within {timeoutSeconds} s. It printed: {_received}");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();
}
