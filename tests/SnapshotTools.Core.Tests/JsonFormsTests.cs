using System.Text.Json;
using SnapshotTools.Core.Engine;

namespace SnapshotTools.Core.Tests;

/// <summary>That what is written by hand is, word for word, what the general serializer writes, and is read as it reads it.</summary>
public sealed class JsonFormsTests
{
    private static readonly string[] Texts = ["", "plain", "a \"quoted\" \\ <b>&amp;'+`", "größer 日本 \U0001F600", "line\r\nbreak\tand \u0001\u2028", new('x', 3000)];
    private readonly Random _random = new(20261122);

    [Fact]
    public void What_is_written_is_what_the_serializer_writes()
    {
        for (int i = 0; i < 300; i++)
        {
            bool full = i == 0;
            var identity = Identity(full);
            if (full) AssertWhole(identity, identity.Snapshot!, identity.Snapshot!.Vm!, identity.Snapshot.Vm!.Boot);
            AssertSame(identity);
            AssertSame(Configuration(full));
            AssertSame(Boot(full));
            AssertSame(Adapters());
            AssertSame(Tags());
        }
    }

    [Fact]
    public void What_was_written_is_read_again()
    {
        for (int i = 0; i < 100; i++)
        {
            var (boot, adapters, tags) = (Boot(i == 0), Adapters(), Tags());
            Assert.Equivalent(boot, Json.Read<VmBoot>(Json.Write(boot)), strict: true);
            Assert.Equal(adapters, Json.Read<VmNetworkAdapter[]>(Json.Write(adapters)));
            Assert.Equal(tags, Json.Read<string[]>(Json.Write(tags)));
            var identity = Identity(full: false);
            Assert.Equivalent(identity, LayerIdentity.FromJson(identity.ToJson()), strict: true);
        }
    }

    [Fact]
    public void A_boot_of_another_version_is_read()
    {
        Assert.Equivalent(VmBoot.Default, Json.Read<VmBoot>("{}"), strict: true);
        Assert.Equivalent(new VmBoot { Kernel = "k", ExtraArguments = ["-a", ""] }, Json.Read<VmBoot>("""{"Kernel":"k","Later":{"x":[1]},"ExtraArguments":["-a",""]}"""), strict: true);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("""[{"MacAddress":"52:54:00:12:34:56"},{"Model":"e1000","MacAddress":"52:54:00:12:34:57","Later":1,"Network":"none"}]""")]
    public void Adapters_of_another_version_are_read(string text) => Assert.Equal(General<VmNetworkAdapter[]>(text), Json.Read<VmNetworkAdapter[]>(text));

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("7")]
    [InlineData("""{"Kernel":7}""")]
    [InlineData("""{"ExtraArguments":"-a"}""")]
    public void What_is_no_boot_is_refused_as_the_serializer_refuses_it(string text)
    {
        Assert.ThrowsAny<JsonException>(() => General<VmBoot>(text));
        Assert.ThrowsAny<JsonException>(() => Json.Read<VmBoot>(text));
    }

    [Fact]
    public void Nothing_where_something_belongs_is_damage() =>
        Assert.Equal(ErrorIds.CatalogDamaged, Assert.Throws<SnapshotException>(() => Json.Read<VmNetworkAdapter[]>("null")).ErrorId);

    private static void AssertSame<T>(T value) where T : class => Assert.Equal(JsonSerializer.Serialize(value, typeof(T), JsonShapes.Default), JsonForms.Write(value));

    private static T General<T>(string text) => (T)JsonSerializer.Deserialize(text, typeof(T), JsonShapes.Default)!;

    /// <summary>A new property has to be in the samples.</summary>
    private static void AssertWhole(params object[] values)
    {
        foreach (object value in values)
            Assert.All(value.GetType().GetProperties().Where(p => !p.GetMethod!.IsStatic), p => Assert.NotNull(p.GetValue(value)));
    }

    private LayerIdentity Identity(bool full) => new()
    {
        Store = Guid.NewGuid(),
        Volume = Guid.NewGuid(),
        VolumeName = Text(),
        Layer = Guid.NewGuid(),
        Parent = Maybe(full) ? Guid.NewGuid() : null,
        CreatedAt = Time(),
        Snapshot = !Maybe(full) ? null : new SnapshotIdentity
        {
            Id = Guid.NewGuid(),
            Parent = Maybe(full) ? Guid.NewGuid() : null,
            VmSnapshot = Maybe(full) ? Guid.NewGuid() : null,
            VmSnapshotParent = Maybe(full) ? Guid.NewGuid() : null,
            Name = Text(),
            CreatedAt = Time(),
            Description = Maybe(full) ? Text() : null,
            Tags = Tags(),
            ExpiresAt = Maybe(full) ? Time() : null,
            Scope = Any<SnapshotScope>(),
            Consistency = Any<SnapshotConsistency>(),
            Vm = Maybe(full) ? Configuration(full) : null,
        },
    };

    private VmConfiguration Configuration(bool full) => new()
    {
        Id = Guid.NewGuid(),
        Name = Text(),
        ProcessorCount = _random.Next(),
        MemoryBytes = _random.NextInt64(),
        NetworkAdapters = Adapters(),
        Boot = Boot(full),
        Volumes = [.. Enumerable.Range(0, _random.Next(3)).Select(i => new VmAttachment(Guid.NewGuid(), Text(), i, Any<DiskBus>(), Maybe(), Maybe(), _random.NextInt64()))],
        Description = Maybe(full) ? Text() : null,
    };

    private VmBoot Boot(bool full) => new()
    {
        Firmware = Maybe(full) ? Text() : null,
        FirmwareVariables = Maybe(full) ? Text() : null,
        Kernel = Maybe(full) ? Text() : null,
        Initrd = Maybe(full) ? Text() : null,
        KernelCommandLine = Maybe(full) ? Text() : null,
        ExtraArguments = Tags(),
    };

    private VmNetworkAdapter[] Adapters() => [.. Enumerable.Range(0, _random.Next(3)).Select(_ => new VmNetworkAdapter(Text(), Text(), Text()))];

    private string[] Tags() => [.. Enumerable.Range(0, _random.Next(4)).Select(_ => Text())];

    private string Text() => Texts[_random.Next(Texts.Length)];

    private DateTimeOffset Time() => new(_random.NextInt64(TimeSpan.TicksPerDay, DateTime.MaxValue.Ticks - TimeSpan.TicksPerDay), TimeSpan.FromMinutes(_random.Next(-600, 600)));

    private T Any<T>() where T : struct, Enum => _random.GetItems(Enum.GetValues<T>(), 1)[0];

    private bool Maybe(bool always = false) => always || _random.Next(2) == 0;
}
