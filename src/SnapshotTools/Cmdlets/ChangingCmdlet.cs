using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>
/// A cmdlet that changes something. It plans, asks and runs: the plan is what <c>-WhatIf</c> prints, what the prompt shows and what
/// <c>-PlanOnly</c> writes.
/// </summary>
public abstract class ChangingCmdlet : StoreCmdlet
{
    /// <summary>Does it without a prompt. No rule is set aside by it.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>Writes the plan as an object and changes nothing.</summary>
    [Parameter]
    public SwitchParameter PlanOnly { get; set; }

    /// <summary>How long a change waits for other operations on the same things; zero fails at once.</summary>
    protected virtual TimeSpan LockWait => TimeSpan.Zero;

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
            return ShouldProcess(plan.ToString(), plan + "\nContinue?", plan.Summary);
        WriteVerbose(plan.ToString());
        return true;
    }

    private bool IsWhatIf() => MyInvocation.BoundParameters.TryGetValue("WhatIf", out object? given)
        ? LanguagePrimitives.IsTrue(given)
        : LanguagePrimitives.IsTrue(GetVariableValue("WhatIfPreference"));
}
