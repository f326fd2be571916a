using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Hostile;

public class HostileImageTests
{
    public static TheoryData<string> Names => [.. HostileImage.All.Select(h => h.ToString())];

    /// <summary>Every operation is tried on every image: it ends with an error of the library or well, never in another way.</summary>
    [ToolTheory("qemu-img", "qemu-io")]
    [MemberData(nameof(Names))]
    public void A_hostile_image_is_met_with_an_error_that_says_why(string name)
    {
        HostileImage image = HostileImage.All.Single(h => h.ToString() == name);
        Dictionary<string, Qcow2ErrorCode?> outcomes = Exerciser.Run(image.Make());
        Assert.True(image.Code == outcomes[image.Operation],
            $"{image.Operation} ended with {outcomes[image.Operation]?.ToString() ?? "no error"} instead of {image.Code?.ToString() ?? "none"}: {string.Join(", ", outcomes)}");
    }
}
