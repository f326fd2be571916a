using System.Text.Json;

namespace SnapshotTools.Cmdlet.Driver;

/// <summary>What a test asks: run a script, or (without one) stop the running one.</summary>
/// <param name="Script">The script; null stops the one that runs.</param>
/// <param name="Answers">What the user types at prompts, in order: a choice's hot key or a line.</param>
/// <param name="Width">Columns of the terminal.</param>
public sealed record Request(string? Script, string[]? Answers = null, int Width = 120);

/// <summary>A line of the driver's output: something seen while the script runs, or its outcome.</summary>
/// <param name="Progress">A progress record that was just written.</param>
/// <param name="Outcome">The script has ended.</param>
public sealed record Reply(ProgressLine? Progress = null, Outcome? Outcome = null);

/// <summary>All that a script did.</summary>
/// <param name="Output">Its output objects.</param>
/// <param name="Text">Its output as PowerShell formats it.</param>
/// <param name="Errors">Its error records; one that ended it comes last.</param>
/// <param name="Warnings">Its warnings.</param>
/// <param name="Verbose">Its verbose messages.</param>
/// <param name="Information">Its information stream, with Write-Host.</param>
/// <param name="Host">What it wrote to the host by itself: WhatIf messages, prompts, Write-Host.</param>
/// <param name="Prompts">The questions that were asked.</param>
/// <param name="Progress">Its progress records.</param>
/// <param name="Stopped">Whether it was stopped.</param>
public sealed record Outcome(
    OutputObject[] Output, string Text, ErrorLine[] Errors, string[] Warnings, string[] Verbose, string[] Information, string Host,
    string[] Prompts, ProgressLine[] Progress, bool Stopped);

/// <summary>One output object.</summary>
/// <param name="TypeNames">Its PSTypeNames.</param>
/// <param name="Json">What ConvertTo-Json makes of it.</param>
public sealed record OutputObject(string[] TypeNames, JsonElement Json)
{
    /// <summary>A property's value.</summary>
    public JsonElement this[string property] => Json.GetProperty(property);

    /// <inheritdoc/>
    public override string ToString() => Json.ValueKind == JsonValueKind.String ? Json.GetString()! : Json.GetRawText();
}

/// <summary>An error record.</summary>
/// <param name="Id">The FullyQualifiedErrorId up to the comma.</param>
/// <param name="FullId">The FullyQualifiedErrorId.</param>
/// <param name="Category">The category's name.</param>
/// <param name="Message">What the reader sees.</param>
/// <param name="Target">The target object as text.</param>
/// <param name="RecommendedAction">What the reader is told to do.</param>
/// <param name="Exception">The exception's type.</param>
/// <param name="Terminating">Whether it ended the script.</param>
public sealed record ErrorLine(string Id, string FullId, string Category, string Message, string? Target, string? RecommendedAction, string Exception, bool Terminating);

/// <summary>A progress record.</summary>
/// <param name="ActivityId">Which bar.</param>
/// <param name="Activity">Its first line.</param>
/// <param name="Status">Its second line.</param>
/// <param name="Percent">0 to 100, or -1.</param>
/// <param name="Completed">Whether the bar goes away.</param>
public sealed record ProgressLine(int ActivityId, string Activity, string Status, int Percent, bool Completed);
