using Mono.Cecil;
using Mono.Cecil.Cil;
using PwshEngine.Unix;

namespace PwshEngine;

/// <summary>
/// Turns assemblies of the Windows build into ones that run anywhere. Where PowerShell's source says <c>#if UNIX</c> and it matters, the
/// Windows code is replaced with a method from the folder Unix; every call of Windows itself becomes "return default".
/// </summary>
internal sealed class Rewriter
{
    /// <summary>Methods that read the registry, group policy, tokens or shares; on Unix they answer null, 0 or false.</summary>
    private static readonly HashSet<string> ReturnDefault =
    [
        "AuthorizationManager.ShouldRunInternal", "SystemPolicy.GetSystemLockdownPolicy", "SystemPolicy.GetLockdownPolicy", "SecuritySupport.GetSaferPolicy",
        "SecuritySupport.GetExecutionPolicy", "Utils.GetPolicySettingFromGPO", "Utils.GetPolicySettingFromGPOImpl",
        "Utils.GetApplicationBaseFromRegistry", "Utils.TryGetWindowsCurrentIdentity", "Utils.IsReservedDeviceName", "Utils.PathIsUnc",
        "Utils.PathIsDevicePath", "Utils.IsComObject", "PSVersionInfo.GetWSManStackVersion", "Platform.get_IsNanoServer", "Platform.get_IsIoT",
        "Platform.get_IsWindowsDesktop", "RegistryProvider.InitializeDefaultDrives", "WindowsDataCollectionSetting.CanCollectDiagnostics",
        "FileSystemProvider.PathIsNetworkPath", "NativeCommandProcessor.IsWindowsApplication", "NativeCommandProcessor.GetPackageManagerListFromRegistry",
        "TaskbarJumpList.CreateRunAsAdministratorJumpList", "CompletionCompleters.GetFileShares", "InternalSymbolicLinkLinkCodeMethods.CreateJunction",
    ];

    private readonly ModuleDefinition _unix = ModuleDefinition.ReadModule(typeof(Rewriter).Assembly.Location);
    private readonly ILookup<string, (string Within, MethodDefinition Method)> _calls;
    private readonly Dictionary<string, MethodDefinition> _methods;
    private readonly Dictionary<string, MethodDefinition> _filters;
    private readonly HashSet<string> _unused;

    public Rewriter()
    {
        var all = _unix.Types.Where(t => t.Namespace == "PwshEngine.Unix").SelectMany(t => t.Methods)
            .SelectMany(m => m.CustomAttributes.Select(a => (Attribute: a, Method: m))).ToList();
        _methods = all.Where(x => x.Attribute.AttributeType.Name == nameof(ReplacesAttribute)).ToDictionary(x => Argument(x.Attribute, 0), x => x.Method);
        _filters = all.Where(x => x.Attribute.AttributeType.Name == nameof(FiltersAttribute)).ToDictionary(x => Argument(x.Attribute, 0), x => x.Method);
        _calls = all.Where(x => x.Attribute.AttributeType.Name == nameof(ReplacesCallAttribute))
            .ToLookup(x => Argument(x.Attribute, 0), x => (Argument(x.Attribute, 1), x.Method));
        _unused = [.. _methods.Keys, .. _filters.Keys, .. _calls.Select(c => c.Key), .. ReturnDefault];
    }

    public void Rewrite(ModuleDefinition module)
    {
        // 4 is IL_LIBRARY: code compiled ahead for Windows. With ILOnly, I386 means any CPU.
        module.Attributes = (module.Attributes | ModuleAttributes.ILOnly) & ~(ModuleAttributes)4;
        module.Architecture = TargetArchitecture.I386;
        bool isConsoleHost = module.Name == "Microsoft.PowerShell.ConsoleHost.dll";
        foreach (var method in module.GetTypes().SelectMany(t => t.Methods).ToList())
        {
            string key = Key(method);
            if (_methods.TryGetValue(key, out var replacement) && replacement.Parameters.Count == method.Parameters.Count + (method.HasThis ? 1 : 0)) Forward(method, replacement);
            else if (ReturnDefault.Contains(key)) ReturnNothing(method);
            else if (method.HasPInvokeInfo) Disarm(method, isConsoleHost);
            else if (method.HasBody) RewriteBody(method, key);
            else continue;
        }
    }

    /// <summary>Fails when PowerShell has no longer what a replacement is for.</summary>
    public void CheckAllUsed()
    {
        if (_unused.Count > 0) throw new InvalidOperationException($"Not found in this PowerShell: {string.Join(", ", _unused)}");
    }

    private void RewriteBody(MethodDefinition method, string key)
    {
        var il = method.Body.GetILProcessor();
        foreach (var call in method.Body.Instructions.Where(i => i.Operand is MethodReference).ToList())
        {
            var called = (MethodReference)call.Operand;
            string calledKey = $"{called.DeclaringType.Name}.{called.Name}";
            foreach (var (within, replacement) in _calls[calledKey])
            {
                if ((within.Length > 0 && method.DeclaringType.Name != within) || replacement.Parameters.Count != called.Parameters.Count + (called.HasThis ? 1 : 0)) continue;
                call.OpCode = OpCodes.Call;
                call.Operand = method.Module.ImportReference(replacement);
                _unused.Remove(calledKey);
            }
        }
        if (!_filters.TryGetValue(key, out var filter)) return;
        foreach (var end in method.Body.Instructions.Where(i => i.OpCode == OpCodes.Ret).ToList())
        {
            il.InsertBefore(end, il.Create(OpCodes.Call, method.Module.ImportReference(filter)));
            il.InsertBefore(end, il.Create(OpCodes.Castclass, method.ReturnType));
        }
        _unused.Remove(key);
    }

    private void Forward(MethodDefinition method, MethodDefinition replacement)
    {
        var il = NewBody(method);
        if (method.HasThis) il.Emit(OpCodes.Ldarg_0);
        foreach (var parameter in method.Parameters) il.Emit(OpCodes.Ldarg, parameter);
        il.Emit(OpCodes.Call, method.Module.ImportReference(replacement));
        il.Emit(OpCodes.Ret);
        _unused.Remove(Key(method));
    }

    private void ReturnNothing(MethodDefinition method)
    {
        ReturnDefaultValue(NewBody(method), method);
        _unused.Remove(Key(method));
    }

    /// <summary>A call of Windows: out parameters and the result are default. The console host takes a BOOL of false for a failure.</summary>
    private static void Disarm(MethodDefinition method, bool isConsoleHost)
    {
        var il = NewBody(method);
        foreach (var parameter in method.Parameters.Where(p => p.IsOut && p.ParameterType.IsByReference))
        {
            il.Emit(OpCodes.Ldarg, parameter);
            il.Emit(OpCodes.Initobj, ((ByReferenceType)parameter.ParameterType).ElementType);
        }
        if (isConsoleHost && method.ReturnType.FullName == "System.Boolean")
        {
            il.Emit(OpCodes.Ldc_I4_1);
            il.Emit(OpCodes.Ret);
        }
        else
        {
            ReturnDefaultValue(il, method);
        }
    }

    private static ILProcessor NewBody(MethodDefinition method)
    {
        if (method.HasPInvokeInfo)
        {
            method.PInvokeInfo = null;          // in this order: the setter turns IsPInvokeImpl on again
            method.IsPInvokeImpl = false;
            method.ImplAttributes = MethodImplAttributes.IL | MethodImplAttributes.Managed;
        }
        method.Body = new MethodBody(method) { InitLocals = true };
        return method.Body.GetILProcessor();
    }

    private static void ReturnDefaultValue(ILProcessor il, MethodDefinition method)
    {
        if (method.ReturnType.FullName != "System.Void")
        {
            var value = new VariableDefinition(method.ReturnType);
            method.Body.Variables.Add(value);
            il.Emit(OpCodes.Ldloc, value);
        }
        il.Emit(OpCodes.Ret);
    }

    private static string Key(MethodDefinition method) => $"{method.DeclaringType.Name}.{method.Name}";

    private static string Argument(CustomAttribute attribute, int index) =>
        attribute.ConstructorArguments.Count > index ? (string)attribute.ConstructorArguments[index].Value ?? "" : "";
}
