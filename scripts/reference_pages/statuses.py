"""The pages of status codes and of drop reasons: what each means, from the code, and what to do about it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from n3d_ros.errors import StatusCode
from n3d_ros.ros.ledger import MENDS
from scripts.reference_pages.interfaces import comment_of, message_specification
from scripts.reference_pages.markdown import code, page, prose, sentence, table
from scripts.reference_pages.meanings import DROP_REASONS, STATUS_MENDS

PACKAGE = Path(__file__).resolve().parents[2] / "n3d_ros"
DROPPING = ("count_drop", "_drop_slot", "drop")  # methods whose first argument is a reason

CODES = """
Every response, result and [frame report](messages.md) has a status: a code for programs and a sentence for people,
which says what was expected, what came and what to change. A refusal is also on `/diagnostics` and in the log where it
concerns images. `n3d` prints the sentence; its [exit code](../asking.md#exit-codes) says as much.
"""

DROPS = """
An image that gives no result is counted by reason: in `frames_dropped` of `~/frame_report`, on `/diagnostics` under
*input* and, at most every five seconds per reason, in the log with the sentence of the latest case. A drop costs its
pair; the next good one is processed.
"""


def status_codes_page() -> str:
    """Every status code with its meaning and its mend.

    Returns:
        Markdown.
    """
    meanings = {one.name: comment_of(one) for one in message_specification("Status").constants}
    rows = [
        (str(status.value), code(status.name), prose(sentence(meanings[status.name])), STATUS_MENDS[status.name])
        for status in StatusCode
    ]
    return page("Status codes", CODES, table(("code", "name", "meaning", "what to do"), rows))


def drop_reasons_page() -> str:
    """Every reason under which an image can be dropped.

    Returns:
        Markdown.
    """
    rows = [(code(name), words["happened"], MENDS.get(name) or words["mend"]) for name, words in DROP_REASONS.items()]
    return page("Drop reasons", DROPS, table(("reason", "what happened", "what to do"), rows))


def reasons_in_code() -> set[str]:
    """Every reason that the package names in plain text where it raises or drops.

    Returns:
        Keys such as "no_depth".
    """
    found: set[str] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] not in ("model", "cli"):
            found |= set(_reasons(ast.parse(path.read_text(encoding="utf-8"))))
    return found


def _reasons(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            named = [word.value for word in node.keywords if word.arg == "reason"]
            is_drop = isinstance(node.func, ast.Attribute) and node.func.attr in DROPPING
            yield from _texts((*named, *(node.args[:1] if is_drop else ())))
        elif isinstance(node, ast.Assign) and "default_reason" in {getattr(one, "id", "") for one in node.targets}:
            yield from _texts((node.value,))


def _texts(values: Iterable[ast.expr]) -> Iterator[str]:
    """The values that are plain text."""
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value
