using System.Buffers.Binary;
using SnapshotTools.IO;
using SnapshotTools.Qcow2.Tests.Hostile;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Checking;

/// <summary>How the check behaves: bounded, cancellable, telling its progress, respecting who writes.</summary>
public class CheckTests
{
    private const string Image = "/a.qcow2";

    private sealed class Steps : IProgress<CheckProgress>
    {
        public List<CheckProgress> Seen { get; } = [];

        public Action? OnReport { get; init; }

        public void Report(CheckProgress value)
        {
            Seen.Add(value);
            OnReport?.Invoke();
        }
    }

    /// <summary>An image of 1-bit counts whose first million clusters are counted and, but for the tables, used by nothing.</summary>
    private static MemoryFileSystem MillionLeaks()
    {
        var files = new MemoryFileSystem();
        Qcow2Image.Create(files, Image, new ImageCreateOptions { VirtualSize = 1 << 20, ClusterSize = 512, RefcountBits = 1 }).Dispose();
        using IBlockFile file = files.Open(Image, FileOpenMode.ReadWrite);
        const int Blocks = 256;
        long table = 1 << 20, blocks = 2 << 20;
        byte[] entries = new byte[4096];
        for (int i = 0; i < Blocks; i++) BinaryPrimitives.WriteInt64BigEndian(entries.AsSpan(i * 8), blocks + (i * 512L));
        byte[] ones = new byte[Blocks * 512];
        ones.AsSpan().Fill(0xFF);
        file.Write(table, entries);
        file.Write(blocks, ones);
        byte[] place = new byte[12];
        BinaryPrimitives.WriteInt64BigEndian(place, table);
        BinaryPrimitives.WriteInt32BigEndian(place.AsSpan(8), entries.Length / 512);
        file.Write(48, place);
        file.SetLength(1L << 29);
        return files;
    }

    [Fact]
    public void A_million_leaks_are_a_few_findings_and_given_back_at_once()
    {
        MemoryFileSystem files = MillionLeaks();
        CheckResult result = ImageCheck.Run(files, Image);
        Assert.InRange(result.Leaks, 1_000_000, 1 << 20);
        Assert.Equal(0, result.Errors);
        Assert.InRange(result.Findings.Count, 1, 10);
        Assert.True(ImageRepair.Execute(files, ImageRepair.Plan(files, Image, RepairScope.Leaks)).IsClean);
    }

    [ToolFact("qemu-img", "qemu-io")]
    public void Findings_of_a_kind_are_kept_up_to_a_number_and_all_counted()
    {
        ImageBytes image = SampleImages.Get("plain");
        for (int i = 0; i < 16; i++) image.SetU64(image.L2Place(SampleImages.Data + (i * 4096)), image.U64(image.L2Place(SampleImages.Data + (i * 4096))) | 1UL << 60);
        CheckResult result = ImageCheck.Run(image.ToMemory(), Image, new CheckOptions { MaxFindings = 5 });
        Assert.Equal(5, result.Findings.Count(f => f.Kind == CheckFindingKind.ReservedBits));
        Assert.Equal(16, result.Totals[CheckFindingKind.ReservedBits]);
        Assert.Equal(16, result.Errors);
    }

    [ToolFact("qemu-img", "qemu-io")]
    public void A_finding_tells_where_it_is_in_the_file_and_on_the_disk()
    {
        ImageBytes image = SampleImages.Get("plain");
        const long Guest = SampleImages.OtherTable + (3 * 4096);
        image.SetU64(image.L2Place(Guest), ImageBytes.Copied | 1UL << 40);
        CheckFinding finding = Assert.Single(ImageCheck.Run(image.ToMemory(), Image).Findings, f => f.Kind == CheckFindingKind.OutOfFile);
        Assert.Equal((Guest, 1L << 40, CheckSeverity.Error), (finding.GuestOffset, finding.HostOffset, finding.Severity));
    }

    [ToolFact("qemu-img", "qemu-io")]
    public void References_scattered_beyond_the_memory_limit_end_it_early_and_nothing_is_repaired()
    {
        ImageBytes image = SampleImages.Get("plain");
        for (int i = 0; i < 16; i++) image.SetU64(image.L2Place(SampleImages.Data + (i * 4096)), ImageBytes.Copied | (ulong)(i + 1) << 30);
        var options = new CheckOptions { MemoryLimit = 64 << 10 };
        CheckResult result = ImageCheck.Run(image.ToMemory(), Image, options);
        Assert.False(result.IsComplete);
        Assert.Contains(result.Findings, f => f.Kind == CheckFindingKind.Incomplete && f.Severity == CheckSeverity.Error);
        Assert.Empty(ImageRepair.Plan(image.ToMemory(), Image, RepairScope.All, options).Steps);
    }

    [ToolFact("qemu-img", "qemu-io")]
    public void Progress_reaches_its_total()
    {
        var steps = new Steps();
        ImageCheck.Run(SampleImages.Get("tiny clusters").ToMemory(), Image, progress: steps);
        Assert.Equal(steps.Seen[^1].Total, steps.Seen[^1].Done);
        Assert.True(steps.Seen[^1].Total >= 64);
    }

    [ToolFact("qemu-img", "qemu-io")]
    public void It_ends_when_it_is_cancelled_and_so_does_a_repair_without_a_change()
    {
        using var source = new CancellationTokenSource();
        var steps = new Steps { OnReport = source.Cancel };
        Assert.ThrowsAny<OperationCanceledException>(() => ImageCheck.Run(SampleImages.Get("tiny clusters").ToMemory(), Image, progress: steps, cancellation: source.Token));

        ImageBytes image = SampleImages.Get("plain");
        image.SetU64(image.L2Place(SampleImages.Data), 0);
        MemoryFileSystem files = image.ToMemory();
        RepairPlan plan = ImageRepair.Plan(files, Image, RepairScope.All);
        Assert.ThrowsAny<OperationCanceledException>(() => ImageRepair.Execute(files, plan, cancellation: new CancellationToken(canceled: true)));
        Assert.Equal(plan.Before.Leaks, ImageCheck.Run(files, Image).Leaks);
    }

    [Fact]
    public void An_image_that_is_being_written_is_not_checked_unless_that_is_asked_for()
    {
        var files = new MemoryFileSystem();
        using Qcow2Image writer = Qcow2Image.Create(files, Image, new ImageCreateOptions { VirtualSize = 1 << 20 });
        writer.Flush();
        Assert.Equal(Qcow2ErrorCode.InUse, Assert.Throws<Qcow2Exception>(() => ImageCheck.Run(files, Image)).Code);
        Assert.Equal(Qcow2ErrorCode.InUse, Assert.Throws<Qcow2Exception>(() => ImageRepair.Plan(files, Image, RepairScope.All)).Code);
        Assert.True(ImageCheck.Run(files, Image, new CheckOptions { Lock = false }).IsClean);
    }
}
