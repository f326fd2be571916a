using SnapshotTools.Cmdlet.Driver;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests.Engine;

/// <summary>All that a script did.</summary>
public sealed class PwshResult
{
    private readonly Outcome _outcome;

    internal PwshResult(Outcome outcome) => _outcome = outcome;

    /// <summary>The output objects.</summary>
    public IReadOnlyList<OutputObject> Output => _outcome.Output;

    /// <summary>The output as PowerShell formats it.</summary>
    public string Text => _outcome.Text.ReplaceLineEndings("\n");

    /// <summary>The error records; one that ended the script comes last.</summary>
    public IReadOnlyList<ErrorLine> Errors => _outcome.Errors;

    /// <summary>The warnings.</summary>
    public IReadOnlyList<string> Warnings => _outcome.Warnings;

    /// <summary>The verbose messages.</summary>
    public IReadOnlyList<string> Verbose => _outcome.Verbose;

    /// <summary>The information stream, with Write-Host.</summary>
    public IReadOnlyList<string> Information => _outcome.Information;

    /// <summary>What was written to the host directly, such as WhatIf messages.</summary>
    public string Host => _outcome.Host.ReplaceLineEndings("\n");

    /// <summary>The questions that were asked.</summary>
    public IReadOnlyList<string> Prompts => _outcome.Prompts;

    /// <summary>The progress records.</summary>
    public IReadOnlyList<ProgressLine> Progress => _outcome.Progress;

    /// <summary>Whether the script was stopped.</summary>
    public bool Stopped => _outcome.Stopped;

    /// <summary>Fails the test if there were errors.</summary>
    public PwshResult Succeeded()
    {
        Assert.True(Errors.Count == 0, "The script failed:\n" + string.Join("\n", Errors.Select(e => $"{e.FullId}: {e.Message}")));
        return this;
    }

    /// <summary>Fails the test unless there was exactly one error, of this id; returns it.</summary>
    public ErrorLine Failed(string id)
    {
        var error = Assert.Single(Errors);
        Assert.Equal(id, error.Id);
        return error;
    }
}
