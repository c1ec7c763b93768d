r"""The two ways in which text is cut into pieces before tokens are made of them: Qwen2's, and ours for small models.

================  =====================================================  ==========================================
piece             "qwen" (released checkpoints)                          "fields" (our own small ones)
================  =====================================================  ==========================================
bbox_12=Bbox      ``bbox`` ``_`` ``1`` ``2`` ``=B`` ``box``              ``bbox_12=Bbox``
(coffee mug       ``(c`` ``offee`` `` mug`` or the like                  ``(coffee`` `` mug``
,512              ``,`` ``5`` ``1`` ``2``                                ``,512``
)\n               ``)\n``                                                ``)\n``
the box schema    some 60 tokens                                         one
================  =====================================================  ==========================================

The text is the same, letter by letter; a box line has 10 tokens instead of some 35. One token per bin learns about
twice as fast in a small model trained from scratch as digits do, and every token that a list of boxes has less is work
saved in training and on a robot's CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from n3d_ros.codec.prompts import CODE_SCHEMA, LOCATE_FIRST, REFERENCE_CODE, SYSTEM_TEXT

QWEN_SPLIT: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2 cuts text into pieces before merging: among others, every digit stands alone (Qwen2's tokenizer.json)."""

STANDING_TEXTS: Final = (f"system\n{SYSTEM_TEXT}", REFERENCE_CODE + CODE_SCHEMA, LOCATE_FIRST)
"""Texts of the prompts that never change: one piece each in the split "fields"."""


def _literally(text: str) -> str:
    """A regular expression for exactly this text."""
    return "".join("\\" + sign if sign in r"\.^$*+?{}[]()|" else sign for sign in text)


FIELDS_SPLIT: Final = (
    "|".join(map(_literally, STANDING_TEXTS))
    + r"|bbox_[0-9]{1,5}=Bbox|,[0-9]{1,3}"
    + r"|(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+| ?\p{N}{1,2}"
    # A run of signs ends before a comma that begins a number: a label may end with a sign, the field stays whole.
    + r"| ?(?:(?!,[0-9])[^\s\p{L}\p{N}])+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Ours: Qwen2's with the fields of a box line whole, two digits together elsewhere, and the prompts' standing texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A way to cut text.

    Args:
        name: "qwen" or "fields".
        pattern: regular expression of the pieces, as it stands in a ``tokenizer.json``.
        whole_pieces: a piece that the vocabulary has is one token, whatever the merges make of it (``ignore_merges``).
        bins_are_tokens: a comma and a number of 0 to 999 are one token.
    """

    name: str
    pattern: str
    whole_pieces: bool = False
    bins_are_tokens: bool = False


QWEN: Final = Split(name="qwen", pattern=QWEN_SPLIT)
FIELDS: Final = Split(name="fields", pattern=FIELDS_SPLIT, whole_pieces=True, bins_are_tokens=True)
SPLITS: Final[Mapping[str, Split]] = MappingProxyType({split.pattern: split for split in (QWEN, FIELDS)})
"""The known splits by their patterns."""
