"""What a run leaves out of its data: the reasons that it counts, what helps, and what is broken, told once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

logger = logging.getLogger(__name__)

NOT_COMPLETE = "frame that is not marked complete"
NO_QUESTION = "frame without a usable question"
NO_DEPTH = "frame without depth"
OTHER_SPLIT = "frame of the split"  # and its name
UNREADABLE_FRAME, UNREADABLE_SHARD = "frame that cannot be read", "shard that cannot be read"
TOO_MANY_BOXES, TOO_LONG = "more boxes than max_objects", "question longer than max_tokens allows"
ADVICE = {
    NOT_COMPLETE: "Frames not marked complete give nothing to find: mark them complete in labels.txt and finish them "
    "again, or run `n3d dataset questions FOLDER` and train stage2, to reason about what they list.",
    OTHER_SPLIT: "Frames kept back to judge by are never learnt: give the folder of the split train.",
    NO_DEPTH: "Look for their depth with `n3d dataset show FOLDER`.",
    UNREADABLE_FRAME: "Run `n3d dataset check FOLDER`.",
    UNREADABLE_SHARD: "Run `n3d dataset check FOLDER`.",
    TOO_MANY_BOXES: "Raise max_objects of the configuration's examples.",
    TOO_LONG: "Raise max_tokens of the configuration's examples, or lower long_side.",
    NO_QUESTION: "Run `n3d dataset questions FOLDER`; `n3d dataset show FOLDER` shows what is asked.",
}
REASONS_TOLD = 3
FIRST_TOLD = 3


def reasons_and_advice(counts: Counter[str]) -> tuple[str, str]:
    """Why frames were left out, and what helps against the reasons named.

    Args:
        counts: by reason.

    Returns:
        The commonest reasons with their counts, and sentences, "" where none is known.
    """
    named = counts.most_common(REASONS_TOLD)
    helps = [next((text for key, text in ADVICE.items() if reason.startswith(key)), "") for reason, _ in named]
    if any(reason != NO_QUESTION for reason, _ in named):  # which follows from the others
        helps = [text for text in helps if text != ADVICE[NO_QUESTION]]
    return ", ".join(f"{count} {reason}" for reason, count in named), " ".join(dict.fromkeys(filter(None, helps)))


@dataclass(frozen=True, slots=True, order=True)
class Broken:
    """A shard or a frame that cannot be read.

    Args:
        kind: "shard" or "frame".
        what: which one.
        why: a sentence.
    """

    kind: str
    what: str
    why: str


class BrokenOnes:
    """Tells each broken shard and frame once, however many streams come upon it, and of many only the first few."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {}

    def tell(self, found: Iterable[Broken]) -> None:
        """Logs what is new.

        Args:
            found: what streams came upon.
        """
        for one in found:
            seen = self._seen.setdefault(one.kind, set())
            if one.what in seen:
                continue
            seen.add(one.what)
            if len(seen) <= FIRST_TOLD:
                logger.warning("%s is left out: %s", one.what, one.why)
            elif len(seen) == FIRST_TOLD + 1 or str(len(seen)).rstrip("0") == "1":  # 10, 100, 1000
                logger.warning("%d %ss are left out so far; `n3d dataset check` tells each.", len(seen), one.kind)
