"""How Sphinx builds these pages; see scripts/docs."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()

project = "n3d_ros"
version = release = PACKAGE.findtext("version", "")
author = "the n3d_ros maintainers"

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
language = "en"
nitpicky = True

myst_heading_anchors = 3  # as GitHub makes them, so that links work in both places
myst_enable_extensions = ["colon_fence"]

# Nothing is loaded from elsewhere: the pages can be read on a robot without a network.
html_theme = "furo"
html_title = f"n3d_ros {version}"
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

# Pages whose text is a file at the root of the checkout, where people and tools look for it.
OF_THE_ROOT = {
    "contributing": "CONTRIBUTING.md",
    "gpu_jobs": "GPU_JOBS.md",
    "quality_declaration": "QUALITY_DECLARATION.md",
}
LINK = re.compile(r"(?<=\]\()([\w./-]+)(?=[#)])")


def read_source(_app: Any, name: str, content: list[str]) -> None:
    """Puts in the files of the root, and leads links to them to their pages.

    Args:
        _app: Sphinx.
        name: of the page.
        content: its text, the only item; replaced.
    """
    path = ROOT / OF_THE_ROOT[name] if name in OF_THE_ROOT else DOCS / f"{name}.md"
    text = path.read_text(encoding="utf-8") if name in OF_THE_ROOT else content[0]
    pages = {ROOT / file: DOCS / f"{page}.md" for page, file in OF_THE_ROOT.items()}

    def led(match: re.Match[str]) -> str:
        target = (path.parent / match[1]).resolve()
        return os.path.relpath(pages.get(target, target), (DOCS / name).parent)

    content[0] = LINK.sub(led, text)


def setup(app: Any) -> None:
    """Registers the hook.

    Args:
        app: Sphinx.
    """
    app.connect("source-read", read_source)
