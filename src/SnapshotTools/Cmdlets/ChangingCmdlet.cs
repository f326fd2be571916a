using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>
/// A cmdlet that changes something. It plans, asks and runs: the plan is what <c>-WhatIf</c> prints, what the prompt shows and what
/// <c>-PlanOnly</c> writes.
/// </summary>
public abstract class ChangingCmdlet : StoreCmdlet
{
    private bool _yesToAll;
    private bool _noToAll;

    /// <summary>Does it without a prompt. No rule is set aside by it.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>Writes the plan as an object and changes nothing.</summary>
    [Parameter]
    public SwitchParameter PlanOnly { get; set; }

    /// <summary>How long a change waits for other operations on the same things; zero fails at once.</summary>
    protected virtual TimeSpan LockWait => TimeSpan.Zero;

    /// <summary>Whether a plan is asked about as those of a cmdlet with a high impact are, though the cmdlet's own is lower.</summary>
    private protected virtual bool HasHighImpact(OperationPlan plan) => false;

    /// <summary>Runs a planned operation if it is approved; its result goes to <paramref name="done"/>.</summary>
    /// <param name="activity">What is being done, such as <c>Restoring 'web01'</c>.</param>
    /// <param name="operation">The plan.</param>
    /// <param name="done">Takes the result, for the pipeline or not.</param>
    /// <param name="with">Adds to the options of the run.</param>
    private protected void Change<T>(string activity, PlannedOperation<T> operation, Action<T>? done = null, Func<RunOptions, WorkReporter, RunOptions>? with = null)
    {
        if (PlanOnly) WriteObject(operation.Plan);
        else if (IsApproved(operation.Plan))
        {
            var result = Run(activity, operation, LockWait, with);
            done?.Invoke(result);
        }
    }

    private bool IsApproved(OperationPlan plan)
    {
        if (!Force || MyInvocation.BoundParameters.ContainsKey("Confirm") || IsWhatIf())
            return ShouldProcess(plan.ToString(), plan + "\nContinue?", plan.Summary) && (!IsOwedAQuestion(plan) || ShouldContinue(plan + "\nContinue?", plan.Summary, ref _yesToAll, ref _noToAll));
        WriteVerbose(plan.ToString());
        return true;
    }

    /// <summary>Whether ShouldProcess, which knows the cmdlet's impact only, did not ask where a high impact is asked about.</summary>
    private bool IsOwedAQuestion(OperationPlan plan) =>
        HasHighImpact(plan) && !MyInvocation.BoundParameters.ContainsKey("Confirm")
        && LanguagePrimitives.TryConvertTo(GetVariableValue("ConfirmPreference"), out ConfirmImpact asked) && asked == ConfirmImpact.High;

    private bool IsWhatIf() => MyInvocation.BoundParameters.TryGetValue("WhatIf", out object? given)
        ? LanguagePrimitives.IsTrue(given)
        : LanguagePrimitives.IsTrue(GetVariableValue("WhatIfPreference"));
}
