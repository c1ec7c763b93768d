"""What an examination comes to: findings, each with what to do about it. Needs no ROS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

FORMAT_VERSION = 1  # of the JSON document; keys are only ever added within a version


class Level(IntEnum):
    """How well something is."""

    OK = 0
    WARNING = 1  # works, or may work, but not as well as it could
    FAULT = 2  # keeps the node from doing its work

    @property
    def word(self) -> str:
        """The level in small letters."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Args:
        check: stable name, group and what was looked at: "depth.unit".
        level: how well it is.
        message: what was found, with numbers and names.
        mend: what to do; empty when it is well.
        subject: topic, frame or node it is about; empty: the whole.
    """

    check: str
    level: Level
    message: str
    mend: str = ""
    subject: str = ""

    @property
    def group(self) -> str:
        """The first part of the check's name."""
        return self.check.partition(".")[0]

    def to_dict(self) -> dict[str, str]:
        """Plain values for JSON.

        Returns:
            The fields, the level as a word.
        """
        return {
            "check": self.check,
            "level": self.level.word,
            "subject": self.subject,
            "message": self.message,
            "mend": self.mend,
        }


def ok(check: str, message: str, *, subject: str = "") -> Finding:
    """A finding that all is well.

    Args:
        check: its name.
        message: what was found.
        subject: what it is about.

    Returns:
        The finding.
    """
    return Finding(check=check, level=Level.OK, message=message, subject=subject)


def warning(check: str, message: str, mend: str, *, subject: str = "") -> Finding:
    """A finding of something that could be better.

    Args:
        check: its name.
        message: what was found.
        mend: what to do.
        subject: what it is about.

    Returns:
        The finding.
    """
    return Finding(check=check, level=Level.WARNING, message=message, mend=mend, subject=subject)


def fault(check: str, message: str, mend: str, *, subject: str = "") -> Finding:
    """A finding of something that keeps the node from its work.

    Args:
        check: its name.
        message: what was found.
        mend: what to do.
        subject: what it is about.

    Returns:
        The finding.
    """
    return Finding(check=check, level=Level.FAULT, message=message, mend=mend, subject=subject)


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level of all.

    Args:
        findings: any.

    Returns:
        OK when there are none.
    """
    return max((one.level for one in findings), default=Level.OK)


def to_document(findings: Sequence[Finding], **facts: Any) -> dict[str, Any]:
    """The findings as plain values for JSON.

    Args:
        findings: all of them.
        facts: further plain values about the examination.

    Returns:
        Keys "version", "level", "counts", "findings" and the facts.
    """
    counts = {level.word: sum(one.level is level for one in findings) for level in Level}
    return {
        "version": FORMAT_VERSION,
        "level": worst(findings).word,
        "counts": counts,
        **facts,
        "findings": [one.to_dict() for one in findings],
    }
