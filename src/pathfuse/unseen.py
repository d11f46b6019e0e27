"""Characters that nobody sees, as escapes: some act on a terminal, some turn the order of those that
follow, and some no XML may hold.
"""

import html
import re

UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\uffff\ud800-\udfff]"
)
"""Control characters, marks of direction, blanks without width, and halves of characters. The joiners
U+200C and U+200D are none of them: Persian words and emoji need them."""


def visible(text: str) -> str:
    r"""Text with the characters that nobody sees as escapes; whatever shows a name shows it so.

    Examples:
        >>> print(visible("a\nb, \x1b[31mred, \u202etxt.exe"))
        a\nb, \x1b[31mred, \u202etxt.exe
    """
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    r"""A sentence in one line: blanks and ends of lines become one blank each.

    Examples:
        >>> one_line("two\n lines, \x1b[31mred")
        'two lines, \\x1b[31mred'
    """
    return visible(" ".join(text.split()))


def as_html(text: str) -> str:
    r"""Text as it stands in a page outside of a template: no name becomes an element or an attribute.

    Examples:
        >>> as_html("<b>\x07")
        '&lt;b&gt;\\x07'
    """
    return html.escape(visible(text))
