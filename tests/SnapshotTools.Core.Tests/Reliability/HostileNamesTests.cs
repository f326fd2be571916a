using System.Globalization;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>Names and texts from outside reach no SQL text, no path and no terminal: each is kept to the letter or refused with an error that shows it safely.</summary>
public sealed class HostileNamesTests : IDisposable
{
    private static readonly string[] Texts =
    [
        "'; DROP TABLE vm; --", "\" OR 1=1 --", "a$(touch pwned)", "a`touch pwned`", "a;touch pwned", "a&&touch pwned", "a|touch pwned", "%s%n%x", "{0}", "a\nb", "a\r\nb", "a\0b", "\u001b[2J\u001b[31mred",
        "\u009b31m", "a\u202eb", "a\u200bb", "a\u2028b", "../../etc/passwd", "..", ".", "/etc/passwd", "C:\\x", "a/b", "-rf", "--help", "*", "?", "[a]", "[!a", "]", "CON", "NUL", "a.", " a", "a ", "", " ", "é", "e\u0301", "ß", "İ", "日本語", "🙂",
        "\ud800", "\udfff x", new('a', 128), new('a', 129), new('é', 127), new('x', 10_000), new('\n', 10_000), "01234567-89ab-cdef-0123-456789abcdef", "json:{}", "nbd://x", "a,b", "a=b", "<a href='x'>", "&amp;",
    ];

    private readonly TestStore _store = new();

    [Fact]
    public void Names_are_kept_to_the_letter_or_refused_safely()
    {
        int kept = 0;
        foreach (string text in Texts)
        {
            if (!Try(text, () => _store.NewVolume(text))) continue;
            kept++;
            Assert.Equal(text, _store.Engine.Volumes.Get(text).Name);
            _store.Engine.Machines.Create(new NewVmRequest { Name = text, Volumes = [new AttachRequest(text)] }).Run();
            _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = text, Name = text, Tags = [text], Description = text }).Run();
            Assert.Equal((text, text), (_store.Engine.Snapshots.Get(text, text).Name, _store.Engine.Snapshots.Get(text, text).Tags[0]));
            _store.Restore(text, text);
            Assert.Equal(Path.Combine(_store.Directory, "volumes", text + ".qcow2"), _store.Engine.Volumes.Get(text).Path);
            _store.Engine.Machines.Remove(text, true, true).Run();
        }
        Assert.True(kept > 15, $"only {kept} were kept");
        _store.AssertClean(layers: 0);
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(_store.Directory, "volumes")));
    }

    [Fact]
    public void Texts_are_kept_to_the_letter()
    {
        _store.NewVm("vm", "disk");
        _store.Snapshot("vm", "a");
        foreach (string text in Texts.Where(t => t.Trim().Length > 0 && !t.Any(char.IsSurrogate)))
        {
            _store.Engine.Snapshots.Set("vm", "a", new SnapshotChanges { Description = text }).Run();
            Assert.Equal(text, _store.Engine.Snapshots.Get("vm", "a").Description);
        }
        Assert.Empty(_store.Reopen());
    }

    [Fact]
    public void Patterns_and_lookups_find_nothing_or_refuse_safely()
    {
        _store.NewVm("vm", "disk");
        _store.Snapshot("vm", "a");
        foreach (string text in Texts)
        {
            Try(text, () => _store.Engine.Volumes.Get(text));
            Try(text, () => _store.Engine.Machines.Get(text));
            Try(text, () => _store.Engine.Snapshots.Get("vm", text));
            Try(text, () => _store.Engine.Volumes.Find(text));
            Try(text, () => _store.Engine.Snapshots.Find(new SnapshotQuery { Vms = [text], Names = [text], Tags = [text] }));
            Try(text, () => _store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "vm", Snapshot = "a", Volumes = [text] }));
            Try(text, () => _store.Engine.Volumes.Create(new NewVolumeRequest { Name = "x", ImagePath = _store.File("none") + text, ImageFormat = ImageFileFormat.Raw }).Run());
        }
        _store.AssertClean();
    }

    public void Dispose() => _store.Dispose();

    /// <summary>True when it went well. An error shows a terminal nothing but text, and is not endless.</summary>
    private static bool Try(string text, Action work)
    {
        try
        {
            work();
            return true;
        }
        catch (SnapshotException error)
        {
            Assert.True(error.Message.Length < 2000, $"an error of {error.Message.Length} characters");
            Assert.DoesNotContain(error.Message, c => char.IsControl(c) || CharUnicodeInfo.GetUnicodeCategory(c) is UnicodeCategory.Format or UnicodeCategory.LineSeparator);
            Assert.False(string.IsNullOrEmpty(error.ErrorId), text);
            return false;
        }
    }
}
