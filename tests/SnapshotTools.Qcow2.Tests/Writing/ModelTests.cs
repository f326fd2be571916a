using SnapshotTools.Testing;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Qcow2.Tests.Writing;

/// <summary>Long random sequences of changes against a plain byte array, judged by qemu-img. Set QCOW2_MODEL_SEEDS for more of them.</summary>
public sealed class ModelTests(ITestOutputHelper output)
{
    private static ImageCreateOptions Options(int size, int clusterSize = 65536, int refcountBits = 16, bool extendedL2 = false, int version = 3) =>
        new() { VirtualSize = size, ClusterSize = clusterSize, RefcountBits = refcountBits, ExtendedL2 = extendedL2, Version = version };

    public static TheoryData<string> Shapes => new(Matrix.Keys);

    private static readonly Dictionary<string, ImageCreateOptions[]> Matrix = new()
    {
        ["64K"] = [Options(9 << 20)],
        ["512, 64-bit counts"] = [Options(6 << 20, 512, 64)],
        ["512, 1-bit counts"] = [Options(6 << 20, 512, 1)],
        ["4K, 8-bit counts"] = [Options(8 << 20, 4096, 8)],
        ["2M, 2-bit counts"] = [Options((24 << 20) + 512, 2 << 20, 2)],
        ["64K extended"] = [Options(9 << 20, extendedL2: true)],
        ["16K extended, 32-bit counts"] = [Options(5 << 20, 16384, 32, extendedL2: true)],
        ["version 2"] = [Options(9 << 20, version: 2)],
        ["version 2, 512"] = [Options(5 << 20, 512, version: 2)],
        ["mixed"] = [Options(7 << 20, 4096), Options(0, 65536, 4, extendedL2: true), Options(0, 512), Options(0, version: 2), Options(0, 1 << 20)],
    };

    [ToolTheory("qemu-img")]
    [MemberData(nameof(Shapes))]
    public void Random_changes_match_a_byte_array(string shape)
    {
        int seeds = int.TryParse(Environment.GetEnvironmentVariable("QCOW2_MODEL_SEEDS"), out int more) ? more : 1;
        int first = int.TryParse(Environment.GetEnvironmentVariable("QCOW2_MODEL_FIRST"), out int start) ? start : 1;
        for (int seed = first; seed < first + seeds; seed++)
        {
            using var folder = new TempFolder();
            try
            {
                using var model = new ImageModel(folder.Path, Matrix[shape], seed);
                model.Run(120);
            }
            catch (Exception)
            {
                output.WriteLine($"shape '{shape}', seed {seed}");
                throw;
            }
        }
    }
}
