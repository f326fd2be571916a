using System.Runtime.CompilerServices;

// Structures go to the operating system as they lie in memory.
[assembly: DisableRuntimeMarshalling]
