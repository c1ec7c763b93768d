"""Whether a folder plainly says that it holds a stock model of Qwen2.5-VL."""

from __future__ import annotations

import re
from pathlib import Path

README_FILE = "README.md"
MAX_README_BYTES = 1 << 16  # looked at; the title stands at the beginning
# The title of the stock models' README. Their name as _name_or_path in config.json says nothing: weights that were
# trained from them keep it, the released N3D-VLM's kind among them.
STOCK_TITLE = re.compile(r"# *(Qwen2\.5-VL-\d+B[\w-]*)\s*")
DERIVED = re.compile(r"^base_model:|N3D", flags=re.MULTILINE)


def stock_name(folder: Path) -> str | None:
    """Which stock model a folder plainly says to be: the one whose README it holds, with no other model as its base.

    Args:
        folder: of the checkpoint.

    Returns:
        Such as "Qwen2.5-VL-7B-Instruct"; None where it does not say so.
    """
    file = folder / README_FILE
    try:
        if not file.is_file():
            return None
        with file.open("rb") as stream:
            text = stream.read(MAX_README_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    title = next((line for line in text.splitlines() if line.startswith("# ")), "")
    found = STOCK_TITLE.fullmatch(title)
    return found[1] if found and not DERIVED.search(text) else None
