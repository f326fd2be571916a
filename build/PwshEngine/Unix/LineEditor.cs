namespace PwshEngine.Unix;

/// <summary>Reads a line, key by key.</summary>
internal static class LineEditor
{
    /// <summary>The line without its end; null on Ctrl+C.</summary>
    /// <param name="echo">What to show for a character; null for nothing.</param>
    public static string? Read(Func<char, char?> echo)
    {
        bool controlC = Console.TreatControlCAsInput;
        Console.TreatControlCAsInput = true;
        try
        {
            return Read(new Line(echo));
        }
        finally
        {
            Console.TreatControlCAsInput = controlC;
        }
    }

    private static string? Read(Line line)
    {
        while (true)
        {
            var key = Console.ReadKey(intercept: true);
            bool control = key.Modifiers.HasFlag(ConsoleModifiers.Control);
            switch (key.Key)
            {
                case ConsoleKey.Enter:
                    line.Move(line.Length);
                    Console.Out.WriteLine();
                    return line.ToString();
                case ConsoleKey.C when control:
                    Console.Out.WriteLine();
                    return null;
                case ConsoleKey.Backspace when line.Position > 0:
                    line.Move(line.Position - 1);
                    line.Delete();
                    break;
                case ConsoleKey.Delete:
                    line.Delete();
                    break;
                case ConsoleKey.LeftArrow:
                    line.Move(line.Position - 1);
                    break;
                case ConsoleKey.RightArrow:
                    line.Move(line.Position + 1);
                    break;
                case ConsoleKey.Home:
                    line.Move(0);
                    break;
                case ConsoleKey.End:
                    line.Move(line.Length);
                    break;
                default:
                    if (!char.IsControl(key.KeyChar)) line.Insert(key.KeyChar);
                    break;
            }
        }
    }

    /// <summary>The text, the cursor in it, and what the terminal shows of both.</summary>
    private sealed class Line(Func<char, char?> echo)
    {
        private readonly List<char> _text = [];

        public int Position { get; private set; }

        public int Length => _text.Count;

        public void Insert(char c)
        {
            _text.Insert(Position, c);
            int target = Position + 1;
            Show(Position, "");
            Position = _text.Count;
            Move(target);
        }

        public void Delete()
        {
            if (Position == _text.Count) return;
            _text.RemoveAt(Position);
            Show(Position, " ");
            if (echo('x') is not null) Console.Out.Write('\b');
            int target = Position;
            Position = _text.Count;
            Move(target);
        }

        public void Move(int to)
        {
            to = Math.Clamp(to, 0, _text.Count);
            if (to < Position && echo('x') is not null) Console.Out.Write(new string('\b', Position - to));
            if (to > Position) Show(Position, "", to);
            Position = to;
        }

        public override string ToString() => new([.. _text]);

        private void Show(int from, string behind, int? to = null)
        {
            char[] shown = [.. _text[from..(to ?? _text.Count)].Select(echo).OfType<char>()];
            if (echo('x') is not null) Console.Out.Write(new string(shown) + behind);
        }
    }
}
