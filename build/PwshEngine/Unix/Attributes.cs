namespace PwshEngine.Unix;

/// <summary>Stands in for a method of PowerShell, named <c>Type.Method</c>; an instance method's "self" comes first.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
public sealed class ReplacesAttribute(string method) : Attribute
{
    /// <summary>The method, as <c>Type.Method</c>.</summary>
    public string Method { get; } = method;
}

/// <summary>Changes what a method of PowerShell returns.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class FiltersAttribute(string method) : Attribute
{
    /// <summary>The method, as <c>Type.Method</c>.</summary>
    public string Method { get; } = method;
}

/// <summary>Stands in for a method that PowerShell calls, everywhere or within one of its types.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
public sealed class ReplacesCallAttribute(string method, string within = "") : Attribute
{
    /// <summary>The method called, as <c>Type.Method</c>.</summary>
    public string Method { get; } = method;

    /// <summary>The type whose calls are replaced; empty for all.</summary>
    public string Within { get; } = within;
}
