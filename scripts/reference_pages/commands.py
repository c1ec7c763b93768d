"""The page of commands, from the parsers of the subcommands of ``n3d``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from n3d_ros.cli.main import all_commands, command_parser
from scripts.reference_pages.markdown import code, page, prose, sentence, table

INTRODUCTION = """
What each subcommand is for stands in [commands](../commands.md); here are all arguments, as `n3d COMMAND --help` lists
them. Every subcommand also takes `--verbose`: debug messages, and a traceback with every error.
"""


def commands_page() -> str:
    """Every subcommand with its arguments and examples.

    Returns:
        Markdown.
    """
    parts = [INTRODUCTION]
    for name, entry in all_commands().items():
        command = entry.load()
        parser = command_parser(name, command)
        parts.append(f"## n3d {name}")
        parts.append(prose(sentence(command.SUMMARY)))
        rows = list(_rows(parser))
        if rows:
            parts.append(table(("argument", "default", "meaning"), rows))
        parts.append(f"```\n{_flush_left(command.EXAMPLES)}\n```")
    return page("Arguments of the commands", *parts)


def _rows(parser: argparse.ArgumentParser) -> Iterator[Sequence[str]]:
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or action.dest in ("help", "verbose"):
            continue
        yield code(_spelling(action)), _default(action), prose(_help(action, parser))


def _spelling(action: argparse.Action) -> str:
    """An argument as it is typed: "-o, --out FOLDER"; a positional one by its name."""
    value = ""
    if action.nargs != 0:
        metavar = action.metavar or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest)
        value = " ".join(metavar) if isinstance(metavar, tuple) else str(metavar)
        value = value if action.metavar or action.choices or not action.option_strings else value.upper()
    many = " ..." if action.nargs in ("*", "+") else ""
    name = " ".join(filter(None, [", ".join(action.option_strings), value])) + many
    return f"[{name}]" if not action.option_strings and action.nargs in ("?", "*") else name


def _default(action: argparse.Action) -> str:
    value = action.default
    if value is None or value is False or value == argparse.SUPPRESS or value in ("", [], ()):
        return ""
    return code(str(value))


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    values = {**vars(action), "prog": parser.prog}
    return (action.help or "") % values if "%" in (action.help or "") else action.help or ""


def _flush_left(text: str) -> str:
    """Examples without the indentation that they share."""
    lines = text.rstrip().splitlines()
    shared = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[shared:] for line in lines)
