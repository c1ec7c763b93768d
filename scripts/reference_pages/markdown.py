"""Small pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

WRITTEN_BY = "<!-- Written by `python -m scripts.reference_pages`; edit the code it reads instead. -->"


def page(title: str, *parts: str) -> str:
    """A page that says by whom it was written.

    Args:
        title: the first heading.
        *parts: paragraphs, headings, tables.

    Returns:
        The file's text.
    """
    return "\n\n".join([WRITTEN_BY, f"# {title}", *(part.strip("\n") for part in parts if part)]) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells hold Markdown on one line.

    Args:
        header: names of the columns.
        rows: one sequence of cells each.

    Returns:
        Lines of a pipe table.
    """
    lines = [_row(header), _row(["---"] * len(header)), *map(_row, rows)]
    return "\n".join(lines)


def code(text: str) -> str:
    """Text in a fixed font.

    Args:
        text: one line without backticks.

    Returns:
        Markdown; nothing for an empty text.
    """
    return f"`{text}`" if text else ""


def prose(text: str) -> str:
    """A plain sentence as Markdown: what would be taken for markup is escaped.

    Args:
        text: words.

    Returns:
        Markdown on one line.
    """
    line = " ".join(text.split())
    for sign in ("\\", "<", "*", "[", "]"):
        line = line.replace(sign, "\\" + sign)
    return line


def sentence(text: str) -> str:
    """A description as a sentence: first letter large, a full stop at the end.

    Args:
        text: words.

    Returns:
        The same words.
    """
    line = " ".join(text.split())
    if not line:
        return line
    return line[0].upper() + line[1:] + ("" if line[-1] in ".!?" else ".")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
