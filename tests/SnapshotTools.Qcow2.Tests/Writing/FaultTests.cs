using SnapshotTools.IO;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Writing;

/// <summary>A fault at every call in turn: the step fails with an error of its own, what was flushed is there, a check finds leaks at worst;
/// and after a full disk the same image goes on where it failed.</summary>
public sealed class FaultTests
{
    public static TheoryData<string, FaultKind> Faults
    {
        get
        {
            var data = new TheoryData<string, FaultKind>();
            foreach (string shape in TroubledImage.Shapes.Keys)
                foreach (FaultKind kind in new[] { FaultKind.NoSpace, FaultKind.InputOutput }) data.Add(shape, kind);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public void A_fault_at_every_call(string shape, FaultKind kind)
    {
        var troubled = new TroubledImage(shape, 7, overlay: true, steps: 12);
        int tried = 0;
        for (int call = 1; ; call++, tried++)
        {
            try
            {
                if (!Try(troubled, call, kind)) break;
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"{kind} at call {call}: {e.Message}", e);
            }
        }
        Assert.True(tried > 20, $"only {tried} calls");
    }

    private static bool Try(TroubledImage troubled, int call, FaultKind kind)
    {
        MemoryFileSystem files = troubled.Files.Copy();
        var faulty = new FaultyFileSystem(files);
        var allowed = new List<byte[]> { troubled.Content };
        Qcow2Image image = Qcow2Image.Open(faulty, TroubledImage.Head, TroubledImage.Open);
        faulty.FailAny(call, kind);
        bool usable = true;
        foreach (RandomStep step in troubled.Steps)
        {
            byte[] after = step.Do(allowed[^1], troubled.Unit);
            allowed.Add(after);
            usable = Do(image, step, faulty, kind);
            if (!usable) break;
            if (step.IsDurable) allowed.RemoveRange(0, allowed.Count - 1);
        }
        try
        {
            image.Dispose();
            if (usable) allowed.RemoveRange(0, allowed.Count - 1);
        }
        catch (IOException)
        {
            Assert.True(faulty.Fired);
        }
        TroubledImage.RequireNoErrors(files);
        using Qcow2Image again = Qcow2Image.Open(files, TroubledImage.Head, TroubledImage.Open);
        TroubledImage.RequireOneOf(again, allowed);
        return faulty.Fired;
    }

    /// <summary>Does a step, once more after a fault; false when the image refuses to go on.</summary>
    private static bool Do(Qcow2Image image, RandomStep step, FaultyFileSystem faulty, FaultKind kind)
    {
        try
        {
            step.Do(image);
            return true;
        }
        catch (IOException e)
        {
            Assert.True(faulty.Fired, e.ToString());
            Assert.True(kind != FaultKind.NoSpace || e is DiskFullException, e.ToString());
        }
        try
        {
            step.Do(image);
            return true;
        }
        catch (IOException e)
        {
            // Only a flush that failed forbids to go on after a full disk; any other failure of tables does.
            Assert.True(e is Qcow2Exception { Code: Qcow2ErrorCode.Poisoned } || e.InnerException is not null || e.Message.Contains("flush", StringComparison.OrdinalIgnoreCase), e.ToString());
            Assert.Equal(Qcow2ErrorCode.Poisoned, Assert.Throws<Qcow2Exception>(() => image.Write(0, new byte[512])).Code);
            Assert.Equal(Qcow2ErrorCode.Poisoned, Assert.Throws<Qcow2Exception>(image.Flush).Code);
            return false;
        }
    }
}
