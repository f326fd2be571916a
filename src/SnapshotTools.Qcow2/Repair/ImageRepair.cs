using System.Buffers.Binary;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>
/// Repairs the reference counts of an image and what depends on them: first a plan, then its execution. Whatever is
/// interrupted when, the image is at least as sound as before: no cluster in use becomes free, and no cluster that is
/// shared becomes writable in place.
/// </summary>
public static class ImageRepair
{
    private const int IncompatibleFeaturesOffset = 72;

    /// <summary>Checks an image and plans its repair. Changes nothing.</summary>
    /// <exception cref="Qcow2Exception">The header cannot be used, or another process has the image open.</exception>
    public static RepairPlan Plan(IFileSystem fs, string path, RepairScope scope, CheckOptions? options = null, IProgress<CheckProgress>? progress = null, CancellationToken cancellation = default)
    {
        options ??= new CheckOptions();
        using IBlockFile file = fs.Open(path, options.FollowLinks ? FileOpenMode.ReadFollowingLinks : FileOpenMode.Read);
        using ImageLock? held = options.Lock ? ImageLock.Acquire(file, ImageUse.Read) : null;
        return new Work(file, scope, options, progress, cancellation).Plan;
    }

    /// <summary>Executes a plan, and checks the image again.</summary>
    /// <returns>What the check finds now.</returns>
    /// <exception cref="Qcow2Exception"><see cref="Qcow2ErrorCode.PlanOutdated"/>: the image is no longer as it was planned
    /// for, and was not changed. <see cref="Qcow2ErrorCode.InUse"/>: another process has it open.</exception>
    /// <exception cref="DiskFullException">There is no room for new refcount structures; the image is as before.</exception>
    public static CheckResult Execute(IFileSystem fs, RepairPlan plan, CheckOptions? options = null, IProgress<CheckProgress>? progress = null, CancellationToken cancellation = default)
    {
        options ??= new CheckOptions();
        using IBlockFile file = fs.Open(plan.Path, options.FollowLinks ? FileOpenMode.ReadWriteFollowingLinks : FileOpenMode.ReadWrite);
        using ImageLock? held = options.Lock ? ImageLock.Acquire(file, ImageUse.Write) : null;
        var work = new Work(file, plan.Scope, options, progress, cancellation);
        if (!work.Plan.Steps.SequenceEqual(plan.Steps))
        {
            throw new Qcow2Exception(Qcow2ErrorCode.PlanOutdated, plan.Path,
                $"'{plan.Path}' changed since its repair was planned, and was left as it is. Plan the repair again.");
        }
        if (plan.Steps.Count == 0) return plan.Before;
        work.Execute(cancellation);
        (Examination after, CheckResult result) = Examination.Run(file, options, progress, cancellation);
        bool settled = plan.Steps.Any(s => s.Kind == RepairStepKind.ClearHeaderBits)
            && result.Findings.All(f => f.Kind is CheckFindingKind.DirtyBit or CheckFindingKind.CorruptBit);
        if (!settled) return result;
        ClearHeaderBits(after);
        return Examination.Run(file, options, progress, cancellation).Result;
    }

    private static void ClearHeaderBits(Examination image)
    {
        IncompatibleFeatures features = image.Header.IncompatibleFeatures & ~(IncompatibleFeatures.Dirty | IncompatibleFeatures.Corrupt);
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, (ulong)features);
        image.File.Write(IncompatibleFeaturesOffset, bytes);
        image.File.Flush();
    }

    /// <summary>One examination and the repair that follows from it.</summary>
    private sealed class Work
    {
        private readonly Examination _image;
        private readonly RepairTargets? _targets;
        public Work(IBlockFile file, RepairScope scope, CheckOptions options, IProgress<CheckProgress>? progress, CancellationToken cancellation)
        {
            (_image, CheckResult result) = Examination.Run(file, options, progress, cancellation);
            List<RepairStep> steps = [];
            if (_image.Refcounts is not null && !result.Totals.ContainsKey(CheckFindingKind.Incomplete))
            {
                _targets = new RepairTargets(_image, result, scope);
                PlanSteps(steps, result, scope, cancellation);
            }
            bool leaksRemain = _targets is null || !_targets.IsMappingWhole;
            bool lowRemain = !steps.Exists(s => s.Kind == RepairStepKind.RebuildCounts)
                && result.Totals.GetValueOrDefault(CheckFindingKind.RefcountTooLow) > steps.Where(s => s.Kind == RepairStepKind.RaiseCounts).Sum(s => s.Count);
            Plan = new RepairPlan
            {
                Path = file.Path,
                Scope = scope,
                Before = result,
                Steps = steps,
                Remaining = [.. result.Findings.Where(f => _targets is null || Remains(f, scope, steps, leaksRemain, lowRemain))],
                KeepsLeaks = result.Leaks > 0 && leaksRemain,
            };
        }

        public RepairPlan Plan { get; }

        private void PlanSteps(List<RepairStep> steps, CheckResult result, RepairScope scope, CancellationToken cancellation)
        {
            void Add(RepairStepKind kind, long count, string what)
            {
                if (count > 0) steps.Add(new RepairStep(kind, count, FormattableString.Invariant($"{what}: {count}")));
            }
            bool all = scope == RepairScope.All;
            var flags = new FlagPatch(_image, _targets!);
            var counts = new CountPatch(_image, _targets!);
            bool rebuild = _targets!.NeedsRebuild(_image.Counts.PageNumbers, cancellation);
            if (rebuild && !new CountRebuild(_image, _targets).IsPossible)
            {
                rebuild = false;
                _targets.ForbidRebuild();
            }
            if (all) Add(RepairStepKind.ClearFlags, flags.Count(set: false, cancellation), "flags 'refcount is exactly one' to be cleared");
            if (rebuild)
            {
                Add(RepairStepKind.RebuildCounts, 1, "refcount structures to be built anew behind the end of the file");
            }
            else
            {
                (long raised, long lowered) = counts.Count(cancellation);
                Add(RepairStepKind.RaiseCounts, raised, "clusters whose count is to be raised");
                Add(RepairStepKind.LowerCounts, lowered, "clusters whose count is to be lowered, leaked ones to 0");
            }
            Add(RepairStepKind.SetFlags, flags.Count(set: true, cancellation), "flags 'refcount is exactly one' to be set");
            bool bits = (_image.Header.IncompatibleFeatures & (IncompatibleFeatures.Dirty | IncompatibleFeatures.Corrupt)) != 0;
            if (all && bits && _targets!.IsMappingWhole && !result.Totals.ContainsKey(CheckFindingKind.RefcountOverflow))
                Add(RepairStepKind.ClearHeaderBits, 1, "dirty or corrupt mark to be cleared");
        }

        private static bool Remains(CheckFinding finding, RepairScope scope, List<RepairStep> steps, bool leaksRemain, bool lowRemain) => finding.Kind switch
        {
            CheckFindingKind.LeakedCluster or CheckFindingKind.RefcountTooHigh => leaksRemain,
            CheckFindingKind.DirtyBit or CheckFindingKind.CorruptBit => !steps.Exists(s => s.Kind == RepairStepKind.ClearHeaderBits),
            CheckFindingKind.RefcountTable => !steps.Exists(s => s.Kind == RepairStepKind.RebuildCounts),
            CheckFindingKind.RefcountTooLow => lowRemain,
            CheckFindingKind.CopiedFlag => scope != RepairScope.All,
            _ => RepairTargets.Remains(finding.Kind),
        };

        public void Execute(CancellationToken cancellation)
        {
            foreach (RepairStep step in Plan.Steps)
            {
                switch (step.Kind)
                {
                    case RepairStepKind.ClearFlags or RepairStepKind.SetFlags:
                        new FlagPatch(_image, _targets!).Apply(step.Kind == RepairStepKind.SetFlags, cancellation);
                        break;
                    case RepairStepKind.RebuildCounts:
                        new CountRebuild(_image, _targets!).Apply(cancellation);
                        break;
                    case RepairStepKind.RaiseCounts or RepairStepKind.LowerCounts:
                        new CountPatch(_image, _targets!).Apply(step.Kind == RepairStepKind.RaiseCounts, cancellation);
                        break;
                    default:
                        continue;
                }
                _image.File.Flush();
            }
        }
    }
}
