"""Runtimes that fail on the way: each is dropped by itself, with its reason, and the others go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from n3d_ros.bench.table import Row
from n3d_ros.errors import N3dError

FAILURES = (N3dError, RuntimeError, MemoryError)  # torch.OutOfMemoryError and CUDA's errors are RuntimeErrors


def reason_of(error: BaseException) -> str:
    """Why something failed, in one line.

    Args:
        error: of ``FAILURES``.

    Returns:
        Its first line; its kind when it says nothing.
    """
    text = error.message if isinstance(error, N3dError) else str(error)
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)


class Dropped:
    """Runtimes that take no further part, by name, and a row about each."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._names: set[str] = set()

    def __contains__(self, name: str) -> bool:
        """Whether a runtime was dropped.

        Args:
            name: of the runtime.

        Returns:
            True: it is not asked any more.
        """
        return name in self._names

    @contextmanager
    def catching(self, name: str, figure: str) -> Iterator[None]:
        """Drops a runtime whose turn, the body, fails.

        Args:
            name: of the runtime.
            figure: that is not measured then.

        Yields:
            Nothing.
        """
        try:
            yield
        except FAILURES as error:
            self._names.add(name)
            self.rows.append(Row(figure=figure, of=name, note=f"failed on the way: {reason_of(error)}"))
