using SnapshotTools.IO;
using SnapshotTools.Qcow2.Tests.Checking;
using SnapshotTools.Qcow2.Tests.Hostile;
using SnapshotTools.Qcow2.Tests.Matrix;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Qcow2.Tests.Fuzzing;

/// <summary>What must hold for any image, however damaged.</summary>
public static class FuzzJudge
{
    private const string Image = "/a.qcow2";

    /// <summary>Bytes that no compressed cluster of a sample exceeds.</summary>
    private const int MostCompressed = 64;

    /// <summary>What is wrong with how the library meets an image, or null.</summary>
    public static string? Judge(FuzzCase @case, bool withQemu)
    {
        try
        {
            MemoryFileSystem files = @case.Build().ToMemory();
            Dictionary<string, Qcow2ErrorCode?> outcomes = Exerciser.Run(files);
            CheckResult? check = outcomes["check"] is null ? ImageCheck.Run(files, Image) : null;
            return CheckAgreesWithReading(outcomes, check)
                ?? RepairIsHarmless(files, check)
                ?? WritingKeepsItSound(files, check, @case)
                ?? (withQemu ? AgreesWithQemu(files, check, @case) : null);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            return e.ToString();
        }
    }

    /// <summary>What the check calls sound can be read and mapped, and what the check refuses nobody opens.</summary>
    private static string? CheckAgreesWithReading(Dictionary<string, Qcow2ErrorCode?> outcomes, CheckResult? check)
    {
        if (check is null) return outcomes["open"] is null ? $"the check refuses it ({outcomes["check"]}), and it opens" : null;
        if (outcomes["open"] is not null && outcomes["check"] is null)
            return check.Errors > 0 ? null : $"opening refuses it ({outcomes["open"]}), and the check finds no error";
        if (check.Errors > 0) return null;
        // Whether compressed data can be expanded, and what a backing file holds, is not the check's business.
        return outcomes.FirstOrDefault(o => o.Key is "read" or "map" or "snapshots" or "bitmaps"
            && o.Value is not (null or Qcow2ErrorCode.InvalidCompressedData or Qcow2ErrorCode.BackingNotAllowed)) is { Key: { } name, Value: { } code }
            && !(name == "bitmaps" || name == "snapshots" && code == Qcow2ErrorCode.InvalidTable)
            ? $"the check finds no error, and {name} ends with {code}" : null;
    }

    /// <summary>A repair frees nothing that is in use, and leaves the guest's data as it is.</summary>
    private static string? RepairIsHarmless(MemoryFileSystem files, CheckResult? check)
    {
        if (check is null || check.IsClean) return null;
        MemoryFileSystem repaired = files.Copy();
        RepairPlan plan = ImageRepair.Plan(repaired, Image, RepairScope.All);
        CheckResult after = ImageRepair.Execute(repaired, plan);
        string[] worse = [.. ImageDangers.Of(repaired).Except(ImageDangers.Of(files))];
        if (worse.Length > 0) return $"the repair makes it worse: {string.Join(", ", worse.Take(3))}";
        // Where old counts lay over data, they are gone after the repair: what was doubtful is so no longer, and no table shows as data.
        if (check.Totals.ContainsKey(CheckFindingKind.Overlap) || after.Totals.ContainsKey(CheckFindingKind.Overlap)) return null;
        if (ImageRepair.Plan(repaired, Image, RepairScope.All) is { Steps: [var again, ..] }) return $"a second repair has something to do: {again.Description}";
        return GuestContent.FirstDifference(GuestContent.Of(files), GuestContent.Of(repaired)) is { } at ? $"the repair changes cluster {at}" : null;
    }

    /// <summary>An image without findings is still one after it was written, and holds what was written.</summary>
    private static string? WritingKeepsItSound(MemoryFileSystem files, CheckResult? check, FuzzCase @case)
    {
        bool sound = check is { IsClean: true };
        MemoryFileSystem work = files.Copy();
        var random = new Random(@case.Patches.Count);
        byte[]? model = null;
        try
        {
            using Qcow2Image image = Qcow2Image.Open(work, Image, new ImageOpenOptions { Write = true });
            if (image.VirtualSize is 0 or > 64 << 20) return null;
            if (sound && HasWholeCompressedData(@case, files, image))
            {
                model = new byte[image.VirtualSize];
                image.Read(0, model);
            }
            for (int i = 0; i < 12; i++) Change(image, random, model);
            image.Flush();
        }
        catch (Qcow2Exception e)
        {
            bool excused = !sound || e.Code is Qcow2ErrorCode.InvalidCompressedData or Qcow2ErrorCode.BackingNotAllowed or Qcow2ErrorCode.LimitExceeded;
            return excused ? null : $"writing to an image without findings ends with {e}";
        }
        if (!sound) return null;
        CheckResult after = ImageCheck.Run(work, Image);
        if (!after.IsClean) return $"after writing: {after.Findings[0].Message}";
        if (model is null) return null;
        using Qcow2Image again = Qcow2Image.Open(work, Image, new ImageOpenOptions());
        byte[] content = new byte[model.Length];
        again.Read(0, content);
        int same = content.AsSpan().CommonPrefixLength(model);
        return same == model.Length ? null : $"what was written reads otherwise at {same}";
    }

    /// <summary>Whether all compressed data is that of the sample. Other data may go on into what lies behind it, which is written to.</summary>
    private static bool HasWholeCompressedData(FuzzCase @case, MemoryFileSystem files, Qcow2Image image)
    {
        byte[] sample = SampleImages.Get(@case.Sample).Bytes;
        using Qcow2Image original = Qcow2Image.Open(new ImageBytes(sample).ToMemory(), Image, new ImageOpenOptions());
        var places = PlacesOf(original).ToHashSet();
        using IBlockFile file = files.Open(Image, FileOpenMode.Read);
        byte[] data = new byte[MostCompressed];
        return PlacesOf(image).All(at => places.Contains(at) && data.AsSpan(0, file.Read(at, data)).SequenceEqual(sample.AsSpan((int)at, (int)Math.Min(MostCompressed, sample.Length - at))));

        static IEnumerable<long> PlacesOf(Qcow2Image image) => image.Map(0, image.VirtualSize).Where(e => e.Kind == ExtentKind.Compressed).Select(e => e.HostOffset);
    }

    private static void Change(Qcow2Image image, Random random, byte[]? model)
    {
        int offset = (int)random.NextInt64(image.VirtualSize);
        int count = (int)Math.Min(image.VirtualSize - offset, random.Next(1, 40_000));
        byte[] data = new byte[count];
        switch (random.Next(4))
        {
            case 0:
                // Discarded clusters read as zeroes, the rest of the range as before: the image knows.
                image.Discard(offset, count);
                if (model is not null) image.Read(offset, model.AsSpan(offset, count));
                return;
            case 1:
                image.WriteZeroes(offset, count);
                break;
            default:
                random.NextBytes(data);
                image.Write(offset, data);
                break;
        }
        if (model is not null) data.CopyTo(model, offset);
    }

    /// <summary>What QEMU finds we find; and what both call sound both read alike.</summary>
    private static string? AgreesWithQemu(MemoryFileSystem files, CheckResult? check, FuzzCase @case)
    {
        using var folder = new TempFolder();
        files.Save("/", folder.Path);
        string path = folder.File("a.qcow2");
        QemuCheck judge = QemuJudge.Check(path);
        if (judge.ExitCode == 2 && check is { Errors: 0 }) return $"QEMU finds it corrupt, we do not: {judge.Output}";
        if (judge.ExitCode == 3 && check is { Errors: 0, Leaks: 0 }) return $"QEMU finds leaks, we do not: {judge.Output}";
        if (judge.ExitCode != 0 || check is not { IsClean: true }) return null;
        using Qcow2Image image = Qcow2Image.Open(files, Image, new ImageOpenOptions());
        if (image.BackingFile is not null || image.VirtualSize > 64 << 20) return null;
        byte[] content = new byte[image.VirtualSize];
        if (Exerciser.Outcome(_ => image.Read(0, content), files) is not null) return null;
        var (exitCode, output) = Tool.TryRun("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", path, folder.File("raw")]);
        // Compressed data that is damaged behind the last byte that is wanted: zlib has looked at it, we have stopped.
        if (exitCode != 0) return HasWholeCompressedData(@case, files, image) ? $"we read it, QEMU does not: {output}" : null;
        int same = File.ReadAllBytes(folder.File("raw")).AsSpan().CommonPrefixLength(content);
        return same == content.Length ? null : $"QEMU reads something else at {same}";
    }
}
