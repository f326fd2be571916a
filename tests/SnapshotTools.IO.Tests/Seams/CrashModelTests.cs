using System.Text;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.IO.Tests.Seams;

/// <summary>The crash model finds the faults of writers that forget a flush, and none in writers that do not.</summary>
public sealed class CrashModelTests
{
    private static readonly string Old = new('o', 3000), New = new('n', 3000);

    [Fact]
    public void A_file_replaced_with_all_its_flushes_is_old_or_new_in_every_state()
    {
        HashSet<string> seen = [.. States(Replace)];
        Assert.Equal([New, Old], seen.Order());
    }

    [Fact]
    public void Without_the_flush_of_the_file_some_state_has_the_name_and_not_the_content()
    {
        HashSet<string> seen = [.. States(f => Replace(f, flushFile: false))];
        Assert.Contains("", seen);
        Assert.Contains(seen, s => s.Contains('n', StringComparison.Ordinal) && s.Contains('\0', StringComparison.Ordinal));
    }

    [Fact]
    public void Without_the_sync_of_the_directory_the_old_file_may_be_there_after_the_end()
    {
        (MemoryFileSystem before, RecordingFileSystem after) = Run(f => Replace(f, syncDirectory: false));
        CrashState[] end = [.. new CrashModel(before, after.Effects).PowerCuts().Where(s => s.Description.Contains("after all", StringComparison.Ordinal))];
        Assert.Equal([New, Old], end.Select(s => Content(s.Files, "/d/a")).Distinct().Order());
        (before, after) = Run(Replace);
        end = [.. new CrashModel(before, after.Effects).PowerCuts().Where(s => s.Description.Contains("after all", StringComparison.Ordinal))];
        Assert.Equal([New], end.Select(s => Content(s.Files, "/d/a")).Distinct());
    }

    [Fact]
    public void Two_writes_that_no_flush_separates_may_arrive_in_either_order_and_with_a_flush_only_in_one()
    {
        string[] states = [.. States(f => TwoWrites(f, flushBetween: false)).Select(Ends)];
        Assert.Equal(["nn", "no", "on", "oo"], states.Distinct().Order());
        states = [.. States(f => TwoWrites(f, flushBetween: true)).Select(Ends)];
        Assert.Equal(["nn", "no", "oo"], states.Distinct().Order());

        static string Ends(string s) => $"{s[0]}{s[2999]}";

        static void TwoWrites(IFileSystem files, bool flushBetween)
        {
            using IBlockFile file = files.Open("/d/a", FileOpenMode.ReadWrite);
            file.Write(0, "nnn"u8);
            if (flushBetween) file.Flush();
            file.Write(2990, "nnnnnnnnnn"u8);
            file.Flush();
        }
    }

    [Fact]
    public void Two_writes_in_one_sector_cannot_change_their_order()
    {
        string[] states = [.. States(files =>
        {
            using IBlockFile file = files.Open("/d/a", FileOpenMode.ReadWrite);
            file.Write(0, "1"u8);
            file.Write(100, "2"u8);
            file.Flush();
        }).Select(s => $"{s[0]}{s[100]}")];
        Assert.Equal(["12", "1o", "oo"], states.Distinct().Order());
    }

    [Fact]
    public void A_write_is_torn_between_sectors_and_never_within_one()
    {
        string[] states = [.. States(files =>
        {
            using IBlockFile file = files.Open("/d/a", FileOpenMode.ReadWrite);
            file.Write(0, Encoding.ASCII.GetBytes(New));
            file.Flush();
        })];
        Assert.Contains(states, s => s[0] == 'n' && s[600] == 'o');
        Assert.Contains(states, s => s[0] == 'o' && s[600] == 'n');
        foreach (string state in states)
            for (int sector = 0; sector < 3000; sector += 512) Assert.Single(state[sector..Math.Min(sector + 512, 3000)].Distinct());
    }

    [Fact]
    public void What_was_cut_off_does_not_come_back_when_the_file_has_grown_again()
    {
        string[] states = [.. States(files =>
        {
            using IBlockFile file = files.Open("/d/a", FileOpenMode.ReadWrite);
            file.SetLength(0);
            file.SetLength(3000);
            file.Flush();
        })];
        Assert.Equal(["", new string('\0', 3000), Old], states.Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_kill_leaves_every_prefix_and_a_large_write_in_part()
    {
        (MemoryFileSystem before, RecordingFileSystem after) = Run(files =>
        {
            using IBlockFile file = files.Create("/d/b");
            file.Write(0, new byte[20_000]);
            files.ReplaceLink("/d/l", "b");
            files.Delete("/d/a");
        });
        CrashState[] kills = [.. new CrashModel(before, after.Effects).Kills()];
        Assert.Contains(kills, k => k.Files.Stat("/d/b") is { Length: 8192 });
        Assert.Contains(kills, k => k.Files.Stat("/d/b") is { Length: 20_000 } && k.Files.ReadLink("/d/l") is null);
        Assert.Contains(kills, k => k.Files.List("/d").Any(f => TemporaryLink.IsOne(f.Path)));
        Assert.Contains(kills, k => k.Files.ReadLink("/d/l") == "b" && k.Files.Stat("/d/a") is not null);
        Assert.Null(kills[^1].Files.Stat("/d/a"));
        Assert.Equal(kills.Length, kills.Select(k => k.Description).Distinct().Count());
    }

    [Fact]
    public void A_recording_over_real_files_also_sees_what_others_write()
    {
        using TempFolder folder = new();
        File.WriteAllText(folder.File("a"), Old);
        File.WriteAllText(folder.File("db"), "1");
        MemoryFileSystem before = MemoryFileSystem.Load(folder.Path, folder.Path);
        RecordingFileSystem recording = new(SystemFiles.Instance);
        recording.Watch(folder.File("db"));
        using (IBlockFile file = recording.Open(folder.File("a"), FileOpenMode.ReadWrite))
        {
            file.Write(0, Encoding.ASCII.GetBytes(New));
            file.Flush();
            File.WriteAllText(folder.File("db"), "2");
        }
        HashSet<string> seen = [];
        foreach (CrashState state in new CrashModel(before, recording.Effects).PowerCuts())
            seen.Add($"{Content(state.Files, folder.File("a"))[0]}{Content(state.Files, folder.File("db"))}");
        Assert.Equal(["n1", "n2", "o1"], seen.Order());
    }

    private static void Replace(IFileSystem files) => Replace(files, flushFile: true);

    private static void Replace(IFileSystem files, bool flushFile = true, bool syncDirectory = true)
    {
        using IBlockFile file = files.Create("/d/t");
        file.Write(0, Encoding.ASCII.GetBytes(New));
        if (flushFile) file.Flush();
        files.Rename("/d/t", "/d/a");
        if (syncDirectory) files.SyncDirectory("/d");
    }

    private static (MemoryFileSystem Before, RecordingFileSystem After) Run(Action<IFileSystem> change)
    {
        MemoryFileSystem before = new();
        before.CreateDirectory("/d");
        using (IBlockFile file = before.Create("/d/a")) file.Write(0, Encoding.ASCII.GetBytes(Old));
        RecordingFileSystem recording = new(before.Copy());
        change(recording);
        return (before, recording);
    }

    private static IEnumerable<string> States(Action<IFileSystem> change)
    {
        (MemoryFileSystem before, RecordingFileSystem after) = Run(change);
        CrashModel model = new(before, after.Effects);
        return model.Kills().Concat(model.PowerCuts()).Select(s => Content(s.Files, "/d/a"));
    }

    private static string Content(MemoryFileSystem files, string path)
    {
        using IBlockFile file = files.Open(path, FileOpenMode.Read);
        byte[] content = new byte[file.Length];
        file.Read(0, content);
        return Encoding.ASCII.GetString(content);
    }
}
