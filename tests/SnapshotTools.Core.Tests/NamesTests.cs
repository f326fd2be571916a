using SnapshotTools.Core.Engine;

namespace SnapshotTools.Core.Tests;

/// <summary>What a name may be, and what patterns match.</summary>
public class NamesTests
{
    public static TheoryData<string> Refused => new(
        "", " ", " a", "a ", ".", "..", "-Force", "a/b", "a\\b", "a\nb", "a\0b", "a*", "a?", "[a]", "a:b", "a\u202Eb", "a\u200Fb", "a\u001b[31mb", "a\u2028b",
        "0199f3a4-0000-7000-8000-000000000000", new string('x', 129), string.Concat(Enumerable.Repeat("\U0001F600", 61)));

    [Theory]
    [MemberData(nameof(Refused))]
    public void A_name_that_would_hurt_is_refused(string name)
    {
        var error = Assert.Throws<SnapshotException>(() => Names.Validate(name, "volume"));
        Assert.Equal(ErrorIds.InvalidName, error.ErrorId);
        Assert.DoesNotContain(error.Message, c => char.IsControl(c) || c == '\u202E');
    }

    [Theory]
    [InlineData("web01")]
    [InlineData("before upgrade")]
    [InlineData("it's $(fine); DROP TABLE vm--")]
    [InlineData("größe-測試")]
    public void An_ordinary_name_is_kept_as_it_is(string name) => Assert.Equal(name, Names.Validate(name, "volume"));

    [Theory]
    [InlineData("web*", "web01", true)]
    [InlineData("WEB0?", "web01", true)]
    [InlineData("web[0-9]1", "web01", true)]
    [InlineData("web", "web01", false)]
    [InlineData("*.x", "axx", false)]
    [InlineData("a+b", "a+b", true)]
    [InlineData("[", "[", true)]
    [InlineData("web[]", "web[]", true)]
    [InlineData("a[^b]", "a^", true)]
    [InlineData("a[-b]", "a-", true)]
    public void Patterns_match_as_in_PowerShell(string pattern, string name, bool expected) => Assert.Equal(expected, Names.Matcher([pattern])(name, Guid.Empty));

    [Theory]
    [InlineData("web[08-12]")]
    [InlineData("[z-a]*")]
    public void A_range_that_goes_downwards_is_refused(string pattern)
    {
        var error = Assert.Throws<SnapshotException>(() => Names.Matcher(["web01", pattern]));
        Assert.Equal((ErrorIds.InvalidArgument, pattern), (error.ErrorId, error.Target));
        Assert.Contains("goes upwards", error.Message, StringComparison.Ordinal);
    }
}
