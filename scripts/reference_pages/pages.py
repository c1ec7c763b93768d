"""Which page is written by what, and whether the ones in the checkout are up to date."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.reference_pages.commands import commands_page
from scripts.reference_pages.interfaces import messages_page, services_page
from scripts.reference_pages.parameters import parameters_page
from scripts.reference_pages.statuses import drop_reasons_page, status_codes_page
from scripts.reference_pages.topics import topics_page

FOLDER = Path(__file__).resolve().parents[2] / "docs/reference"

PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "drop_reasons.md": drop_reasons_page,
    "messages.md": messages_page,
    "parameters.md": parameters_page,
    "services.md": services_page,
    "status_codes.md": status_codes_page,
    "topics.md": topics_page,
}


def outdated(folder: Path = FOLDER) -> list[str]:
    """Pages that differ from what the code says now.

    Args:
        folder: where they are.

    Returns:
        Their names.
    """
    return [name for name, write in PAGES.items() if _text(folder / name) != write()]


def write_all(folder: Path = FOLDER) -> list[Path]:
    """Writes every page.

    Args:
        folder: where to; made when it is not there.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in PAGES.items():
        (folder / name).write_text(write(), encoding="utf-8")
    return [folder / name for name in PAGES]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
