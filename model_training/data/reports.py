"""What the making of shards came to: rows, bytes, and what was rejected by which rule."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from n3d_ros.errors import ConfigurationError, N3dError

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class ShardReport:
    """What became of one shard.

    Args:
        number: of the shard.
        rows: frames or questions in it.
        bytes: of the file; 0 where the report lies in that file.
        rejects: how many inputs each rule kept out.
        seconds: that making it took.
        failure: why there is no such shard, a sentence; "" where there is one.
        notes: a few sentences about single inputs, such as which file could not be read.
    """

    number: int
    rows: int = 0
    bytes: int = 0
    rejects: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    failure: str = ""
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """One line of JSON, for the footer of a shard.

        Returns:
            JSON.
        """
        return json.dumps(dataclasses.asdict(self) | {"rejects": dict(self.rejects)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ShardReport:
        """The report that a line holds.

        Args:
            text: of ``to_json``.

        Returns:
            The report.
        """
        values: dict[str, Any] = json.loads(text)
        return cls(**values | {"notes": tuple(values.get("notes", ()))})


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """What became of all shards of one stage.

    Args:
        shards: those that were made now, by number.
        there_before: shards that an earlier run had made.
    """

    shards: tuple[ShardReport, ...]
    there_before: int = 0

    @property
    def rows(self) -> int:
        """Frames or questions that were written now."""
        return sum(one.rows for one in self.shards)

    @property
    def bytes(self) -> int:
        """Bytes that were written now."""
        return sum(one.bytes for one in self.shards)

    @property
    def rejects(self) -> Counter[str]:
        """How many inputs each rule kept out."""
        total: Counter[str] = Counter()
        for one in self.shards:
            total.update(one.rejects)
        return total

    @property
    def failures(self) -> tuple[ShardReport, ...]:
        """Shards that could not be made."""
        return tuple(one for one in self.shards if one.failure)


def surviving(items: Iterable[Item], make: Callable[[Item], Made | None], rejects: Counter[str]) -> Iterator[Made]:
    """What can be made of items; a bad one is counted by its error's reason and skipped.

    Args:
        items: inputs.
        make: makes one; an N3dError rejects the item, None leaves it out uncounted.
        rejects: counts are added here.

    Yields:
        What was made, in order.

    Raises:
        ConfigurationError: from ``make``: it would be the same for every item.
    """
    for item in items:
        try:
            made = make(item)
        except ConfigurationError:
            raise
        except N3dError as error:
            rejects[error.reason] += 1
            continue
        if made is not None:
            yield made
