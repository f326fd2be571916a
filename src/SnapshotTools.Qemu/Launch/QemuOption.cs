using System.Globalization;
using System.Text;

namespace SnapshotTools.Qemu.Launch;

/// <summary>An option as QEMU's command line writes it: <c>first,name=value,…</c>, with a comma in a value doubled.</summary>
internal sealed class QemuOption(string first)
{
    private readonly StringBuilder _text = new(Escape(first));

    public QemuOption With(string name, string value)
    {
        _text.Append(',').Append(name).Append('=').Append(Escape(value));
        return this;
    }

    public QemuOption With(string name, long value) => With(name, value.ToString(CultureInfo.InvariantCulture));

    public override string ToString() => _text.ToString();

    private static string Escape(string value) => value.Replace(",", ",,", StringComparison.Ordinal);
}
