using System.Security.Cryptography;
using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Machines;

/// <summary>Makes a VM instance of volumes that exist.</summary>
internal sealed class CreateVm(EngineContext context, NewVmRequest request) : Command<VmInstance>(context)
{
    private const int MostProcessors = 255;   // what QEMU's machine has without more that a guest would have to know
    private const int MostAdapters = 8;

    private string _name = null!;
    private List<Attachment> _attachments = null!;
    private VmNetworkAdapter[] _adapters = null!;

    protected override IReadOnlyCollection<LockKey> Locks() => [.. request.Volumes.Select(v => LockKey.Volume(Context.ResolveVolume(v.Volume).Id)).Distinct()];

    protected override OperationPlan Plan()
    {
        _name = Names.Validate(request.Name, "VM instance");
        if (Catalog.Machines.FindByName(_name) is { } other)
            throw new SnapshotException(ErrorIds.NameExists, ErrorKind.Conflict, $"There is a VM instance '{other.Name}' already. Choose another name.", _name);
        ValidProcessors(request.ProcessorCount, _name);
        ValidMemory(request.MemoryBytes, _name);
        BootRules.Validate(Context, _name, request.Boot);
        _adapters = ValidAdapters(request.NetworkAdapters, _name);
        _attachments = Attachment.Resolve(Context, _name, request.Volumes, position: 0, isFirst: true);
        return new OperationPlan
        {
            Kind = OperationKind.CreateVolume,
            Target = _name,
            Summary = $"Make VM instance '{_name}' ({request.ProcessorCount} processors, {ByteSize.Format(request.MemoryBytes)} of memory).",
            Steps = [.. _attachments.Select(a => new PlanStep(PlanAction.Update, a.Volume.Name, $"attach volume '{a.Volume.Name}'{(a.Boot ? " to boot from" : "")}"))],
        };
    }

    protected override VmInstance Execute(OperationPlan plan, RunOptions options)
    {
        var row = Context.Database.Write(() =>
        {
            if (Catalog.Machines.FindByName(_name) is not null)
                throw new SnapshotException(ErrorIds.NameExists, ErrorKind.Conflict, $"Another process made a VM instance '{_name}' meanwhile. Choose another name.", _name);
            long id = Catalog.Machines.Insert(Guid.CreateVersion7(), _name, request.ProcessorCount, request.MemoryBytes, Json.Write(_adapters), Json.Write(request.Boot), request.Description);
            foreach (var a in _attachments) Catalog.Machines.Attach(id, a.Volume.Id, a.Position, a.Bus, a.Boot, a.Shared);
            return Catalog.Machines.Get(id);
        });
        return Context.ToModel(row);
    }

    /// <summary>The number of processors, if a VM can have it.</summary>
    public static int ValidProcessors(int count, string vm) => count is >= 1 and <= MostProcessors ? count
        : throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"{count} processors cannot be had. Use 1 to {MostProcessors}.", vm);

    /// <summary>The bytes of memory, if a VM can have them.</summary>
    public static long ValidMemory(long bytes, string vm) => bytes is >= 1L << 20 and <= 1L << 46 && bytes % (1 << 20) == 0 ? bytes
        : throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"{bytes} bytes of memory cannot be had. Use 1MB to 64TB in whole MB, such as 2GB.", vm);

    /// <summary>The adapters, each with an address, if a VM can have them.</summary>
    public static VmNetworkAdapter[] ValidAdapters(IReadOnlyList<VmNetworkAdapter> adapters, string vm)
    {
        if (adapters.Count > MostAdapters)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"{adapters.Count} network adapters cannot be had. Use {MostAdapters} at most.", vm);
        if (adapters.FirstOrDefault(a => a.Network is not ("user" or "none")) is { } other)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput,
                $"There is no network '{Names.Shown(other.Network)}' for VM '{vm}'. Use user or none; an adapter of another kind can be given to QEMU itself with -ExtraArgument.", vm);
        return [.. adapters.Select(a => a with { MacAddress = NetworkAddress.ValidateOrCreate(a.MacAddress) })];
    }
}

/// <summary>A volume's place in a VM, checked.</summary>
internal sealed record Attachment(VolumeRow Volume, int Position, DiskBus Bus, bool Boot, bool Shared)
{
    /// <summary>Resolves and checks volumes to be attached: each once, and to several VMs only where all of them share it.</summary>
    public static List<Attachment> Resolve(EngineContext context, string vm, IReadOnlyList<AttachRequest> requests, int position, bool isFirst)
    {
        var result = new List<Attachment>();
        foreach (var request in requests)
        {
            var volume = context.ResolveVolume(request.Volume);
            if (result.Exists(a => a.Volume.Id == volume.Id))
                throw new SnapshotException(ErrorIds.VolumeAttached, ErrorKind.InvalidInput, $"Volume '{volume.Name}' is named twice for VM '{vm}'.", volume.Name);
            var owners = context.Catalog.Machines.AllAttachmentsOf(volume.Id);
            if (owners.Count > 0 && !(request.Shared && owners.All(o => o.Shared)))
            {
                string owner = context.Catalog.Machines.Get(owners[0].VmId).Name;
                throw new SnapshotException(ErrorIds.VolumeAttached, ErrorKind.Conflict,
                    $"Volume '{volume.Name}' is attached to VM '{owner}'. Detach it first: Dismount-VmVolume {owner} {volume.Name}; or share it, with -Shared on every VM that has it.", volume.Name);
            }
            if (position >= Places(request.Bus))
                throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput,
                    $"Volume '{volume.Name}' would be the {position + 1}th of VM '{vm}', and only the first {Places(request.Bus)} can be on the {request.Bus} bus. Use another one: -Bus Scsi", volume.Name);
            result.Add(new Attachment(volume, position++, request.Bus, request.Boot ?? (isFirst && result.Count == 0), request.Shared));
        }
        return result;
    }

    /// <summary>The place of one more volume: behind the others, or where the bus has no more places, one that a detached volume left.</summary>
    public static int NextPosition(IReadOnlyList<AttachmentRow> present, DiskBus bus)
    {
        int next = present.Count == 0 ? 0 : present.Max(a => a.Position) + 1;
        return next < Places(bus) ? next : Enumerable.Range(0, next).Except(present.Select(a => a.Position)).FirstOrDefault(next);
    }

    /// <summary>How many places a bus has. A volume's place on it is its position among all volumes.</summary>
    private static int Places(DiskBus bus) => bus switch
    {
        DiskBus.Virtio => 120,
        DiskBus.Scsi => 256,
        _ => 6,
    };
}

/// <summary>Addresses of network adapters.</summary>
internal static class NetworkAddress
{
    /// <summary>An address in the usual form; a new one, in the range that QEMU uses, when none is given.</summary>
    public static string ValidateOrCreate(string? address)
    {
        if (string.IsNullOrEmpty(address))
        {
            byte[] tail = RandomNumberGenerator.GetBytes(3);
            return $"52:54:00:{tail[0]:x2}:{tail[1]:x2}:{tail[2]:x2}";
        }
        string hex = address.Replace(":", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal);
        if (hex.Length != 12 || !hex.All(char.IsAsciiHexDigit) || (Convert.FromHexString(hex)[0] & 1) != 0)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"'{Names.Shown(address)}' is no address for a network adapter. Use six bytes such as 52:54:00:12:34:56.", Names.Shown(address));
        return string.Join(':', hex.Chunk(2).Select(c => new string(c))).ToLowerInvariant();
    }
}
