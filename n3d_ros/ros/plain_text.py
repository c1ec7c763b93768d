"""Text from outside made fit for a log or a message: one printable line of bounded length.

Names of frames, encodings and phrases come from whoever publishes or asks. As they are, a line break in one would forge
a line of the log, and an escape sequence would be obeyed by the terminal that shows it.
"""

from __future__ import annotations

import unicodedata

MAX_CHARS = 2000  # of one line; a screen holds about as many


def plain(text: str, max_chars: int = MAX_CHARS) -> str:
    r"""One line that a terminal shows as it is.

    Args:
        text: any.
        max_chars: longer text is cut, and says by how much.

    Returns:
        The text with every blank that is not a space as a space, and every other character that does not print (control
        characters, marks of direction, lone surrogates) as its escape, such as ``\x1b``.
    """
    if len(text) > max_chars:
        text = f"{text[:max_chars]}... ({len(text) - max_chars} more characters)"
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _shown(character) for character in text)


def plain_lines(text: str) -> str:
    """Several lines of ours, such as a traceback, in which nothing from outside can pass for a line of the log.

    Args:
        text: lines.

    Returns:
        Plain lines; all but the first are indented.
    """
    return "\n    ".join(plain(line) for line in text.split("\n"))


def _shown(character: str) -> str:
    """A character that does not print, in characters that do."""
    if character.isspace() or unicodedata.category(character).startswith("Z"):
        return " "
    return ascii(character)[1:-1]
