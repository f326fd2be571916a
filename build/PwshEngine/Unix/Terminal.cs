using System.Management.Automation;
using System.Management.Automation.Host;

namespace PwshEngine.Unix;

/// <summary>The console of Windows, as a terminal.</summary>
public static class Terminal
{
    private static readonly Size Redirected = new(120, 50);
    private static string _title = "";

    /// <summary>Every terminal of today understands control sequences; TERM=dumb was looked at before.</summary>
    [Replaces("ConsoleHostUserInterface.TryTurnOnVirtualTerminal")]
    public static bool TurnOn(object self) => true;

    /// <summary>Writes to standard output.</summary>
    [Replaces("ConsoleControl.WriteConsole")]
    public static void Write(object handle, ReadOnlySpan<char> text, bool newLine)
    {
        if (newLine) Console.Out.WriteLine(text);
        else Console.Out.Write(text);
    }

    /// <summary>Ctrl+C and Ctrl+Break go to PowerShell's own handler, whose argument is 0 or 1.</summary>
    [Replaces("ConsoleControl.AddBreakHandler")]
    public static void OnBreak(Delegate handler) => Console.CancelKeyPress += (_, e) =>
    {
        e.Cancel = true;
        var signal = handler.Method.GetParameters()[0].ParameterType;
        handler.DynamicInvoke(Enum.ToObject(signal, e.SpecialKey == ConsoleSpecialKey.ControlC ? 0 : 1));
    };

    /// <summary>The colour of what is written; -1 where it is not known.</summary>
    [Replaces("ConsoleHostRawUserInterface.get_ForegroundColor")]
    public static ConsoleColor Foreground(object self) => Console.ForegroundColor;

    /// <summary>Sets the colour of what is written.</summary>
    [Replaces("ConsoleHostRawUserInterface.set_ForegroundColor")]
    public static void SetForeground(object self, ConsoleColor value) => Console.ForegroundColor = value;

    /// <summary>The colour behind what is written; -1 where it is not known.</summary>
    [Replaces("ConsoleHostRawUserInterface.get_BackgroundColor")]
    public static ConsoleColor Background(object self) => Console.BackgroundColor;

    /// <summary>Sets the colour behind what is written.</summary>
    [Replaces("ConsoleHostRawUserInterface.set_BackgroundColor")]
    public static void SetBackground(object self, ConsoleColor value) => Console.BackgroundColor = value;

    /// <summary>Where the cursor is.</summary>
    [Replaces("ConsoleHostRawUserInterface.get_CursorPosition")]
    public static Coordinates Cursor(object self)
    {
        if (Console.IsOutputRedirected || Console.IsInputRedirected) return new Coordinates(0, 0);
        var (left, top) = Console.GetCursorPosition();
        return new Coordinates(left, top);
    }

    /// <summary>Moves the cursor.</summary>
    [Replaces("ConsoleHostRawUserInterface.set_CursorPosition")]
    public static void SetCursor(object self, Coordinates value)
    {
        if (!Console.IsOutputRedirected) Console.SetCursorPosition(Math.Max(0, value.X), Math.Max(0, value.Y));
    }

    /// <summary>A terminal does not tell whether its cursor is shown.</summary>
    [ReplacesCall("Console.get_CursorVisible")]
    public static bool CursorVisible() => true;

    /// <summary>How much of a cell the cursor fills, in percent.</summary>
    [Replaces("ConsoleHostRawUserInterface.get_CursorSize")]
    public static int CursorSize(object self) => 100;

    /// <summary>A terminal has no such setting.</summary>
    [Replaces("ConsoleHostRawUserInterface.set_CursorSize")]
    public static void SetCursorSize(object self, int value)
    {
    }

    /// <summary>The window is the whole buffer.</summary>
    [Replaces("ConsoleHostRawUserInterface.get_WindowPosition")]
    public static Coordinates WindowPosition(object self) => new(0, 0);

    /// <summary>The window is the whole buffer.</summary>
    [Replaces("ConsoleHostRawUserInterface.set_WindowPosition")]
    public static void SetWindowPosition(object self, Coordinates value)
    {
    }

    /// <summary>Columns and lines of the terminal; 120 by 50 where there is none.</summary>
    [Replaces("ConsoleHostRawUserInterface.get_BufferSize")]
    [Replaces("ConsoleHostRawUserInterface.get_WindowSize")]
    [Replaces("ConsoleHostRawUserInterface.get_MaxWindowSize")]
    [Replaces("ConsoleHostRawUserInterface.get_MaxPhysicalWindowSize")]
    public static Size WindowSize(object self) =>
        Console.IsOutputRedirected || Console.WindowWidth <= 0 || Console.WindowHeight <= 0 ? Redirected : new Size(Console.WindowWidth, Console.WindowHeight);

    /// <summary>The user, not the program, sizes a terminal.</summary>
    [Replaces("ConsoleHostRawUserInterface.set_BufferSize")]
    [Replaces("ConsoleHostRawUserInterface.set_WindowSize")]
    public static void SetWindowSize(object self, Size value)
    {
    }

    /// <summary>The last title set; a terminal does not tell its own.</summary>
    [Replaces("ConsoleHostRawUserInterface.get_WindowTitle")]
    public static string Title(object self) => _title;

    /// <summary>Sets the title.</summary>
    [Replaces("ConsoleHostRawUserInterface.set_WindowTitle")]
    public static void SetTitle(object self, string value)
    {
        _title = value;
        if (!Console.IsOutputRedirected) Console.Title = value;
    }

    /// <summary>Whether a key waits to be read.</summary>
    [Replaces("ConsoleHostRawUserInterface.get_KeyAvailable")]
    public static bool KeyAvailable(object self) => !Console.IsInputRedirected && Console.KeyAvailable;

    /// <summary>Reads one key.</summary>
    [Replaces("ConsoleHostRawUserInterface.ReadKey")]
    public static KeyInfo ReadKey(object self, ReadKeyOptions options)
    {
        var key = Console.ReadKey((options & ReadKeyOptions.NoEcho) != 0);
        return new KeyInfo((int)key.Key, key.KeyChar, 0, keyDown: true);
    }

    /// <summary>Forgets the keys that wait to be read.</summary>
    [Replaces("ConsoleHostRawUserInterface.FlushInputBuffer")]
    public static void FlushKeys(object self)
    {
        while (KeyAvailable(self)) Console.ReadKey(intercept: true);
    }

    /// <summary>A terminal cannot be read back.</summary>
    [Replaces("ConsoleHostRawUserInterface.GetBufferContents")]
    public static BufferCell[,] Contents(object self, Rectangle region) => throw new NotImplementedException();

    /// <summary>A terminal cannot move what it shows.</summary>
    [Replaces("ConsoleHostRawUserInterface.ScrollBufferContents")]
    public static void Scroll(object self, Rectangle source, Coordinates destination, Rectangle clip, BufferCell fill) => throw new NotImplementedException();

    /// <summary>Reads a line at a prompt such as Read-Host's; the prompt of the session is PSReadLine's.</summary>
    /// <exception cref="PipelineStoppedException">Ctrl+C.</exception>
    [Replaces("ConsoleHostUserInterface.ReadLineFromConsole")]
    public static string? ReadLine(object self, bool endOnTab, string initial, bool calledFromPipeline, ref string rest, ref int result)
    {
        string? line = LineEditor.Read(echo: c => c);
        result = line is null ? 1 : 0;              // ReadLineResult.endedOnBreak : endedOnEnter
        if (line is null && calledFromPipeline) throw new PipelineStoppedException();
        return line;
    }

    /// <summary>Reads a secret.</summary>
    /// <exception cref="PipelineStoppedException">Ctrl+C.</exception>
    [Replaces("ConsoleHostUserInterface.ReadLineSafe")]
    public static object ReadSecret(object self, bool isSecureString, char? token)
    {
        string line = LineEditor.Read(echo: _ => token) ?? throw new PipelineStoppedException();
        if (!isSecureString) return new System.Text.StringBuilder(line);
        var secret = new System.Security.SecureString();
        foreach (char c in line) secret.AppendChar(c);
        return secret;
    }
}
