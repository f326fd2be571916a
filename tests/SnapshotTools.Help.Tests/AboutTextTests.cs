using HelpBuilder;
using Xunit;

namespace SnapshotTools.Help.Tests;

public sealed class AboutTextTests
{
    [Fact]
    public void Headings_paragraphs_lists_and_code_become_text()
    {
        const string markdown = """
            # about_Things

            ## Short description

            What **things** are, told in a sentence that is long enough to be wrapped at the eightieth column.

            - a point that is long enough to go on in a second line, which hangs below its first word

            ```powershell
            Get-Thing |
                Remove-Thing
            ```

            And what it shows:

                Name  Size
                └─ *  1 KiB

            The end.
            """;

        Assert.Equal(
            """
            TOPIC
                about_Things

            SHORT DESCRIPTION
                What things are, told in a sentence that is long enough to be wrapped at the
                eightieth column.

                - a point that is long enough to go on in a second line, which hangs below
                  its first word

                    Get-Thing |
                        Remove-Thing

                And what it shows:

                    Name  Size
                    └─ *  1 KiB

                The end.

            """.ReplaceLineEndings("\n"),
            AboutText.From(markdown));
    }
}
