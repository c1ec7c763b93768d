"""What the commands share on the terminal: tables, sizes, progress bars, signals."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

from n3d_ros.ros.plain_text import plain as plain

RATE_FORMAT = "{l_bar}{bar}| {n:.1f}/{total:.1f} s [{elapsed}<{remaining}]{postfix}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for the terminal: columns as wide as needed, numbers to the right.

    Args:
        header: names of the columns.
        rows: cells.

    Returns:
        Lines.
    """
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    right = [all(_is_number(row[i]) for row in rows) and bool(rows) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        placed = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
        return "  ".join(placed).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def _is_number(cell: str) -> bool:
    """Whether a cell reads as a number, or as none."""
    return cell in ("", "-") or cell.replace(".", "", 1).replace("-", "", 1).isdigit()


def number(value: float, digits: int = 2) -> str:
    """A number for a table, "-" when it is unknown.

    Args:
        value: NaN means unknown.
        digits: after the point.

    Returns:
        Text.
    """
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def size_text(count: float) -> str:
    """A number of bytes for people.

    Args:
        count: bytes.

    Returns:
        Such as "3.1 MB".
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""


def progress(total: float | None, description: str, **options: Any) -> Any:
    """A progress bar on standard error, or nothing where that is no terminal and output would pile up.

    Args:
        total: at the end; None: unknown.
        description: what is done.
        options: further ones of tqdm.

    Returns:
        A ``tqdm.tqdm``.
    """
    from tqdm import tqdm

    interactive = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=description,
        file=sys.stderr,
        mininterval=0.1 if interactive else 5.0,
        dynamic_ncols=True,
        **options,
    )


@contextlib.contextmanager
def told_progress(description: str) -> Iterator[Callable[[str, float], None]]:
    """A progress bar that moves by what it is told.

    Args:
        description: what is done, until it is told.

    Yields:
        Takes a sentence, which stands beside the bar on a terminal, and the share done, 0 to 1.
    """
    with progress(1.0, description, bar_format="{l_bar}{bar}| {elapsed}") as bar:

        def tell(sentence: str, share: float) -> None:
            if sys.stderr.isatty():
                bar.set_description_str(sentence[:60])
            bar.update(max(share - bar.n, 0))

        yield tell


@contextlib.contextmanager
def on_stop_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Calls ``stop`` on the first SIGINT or SIGTERM within the block; a second SIGINT interrupts as usual.

    Only the main thread hears signals: in another this does nothing, and whoever began that thread stops it.

    Args:
        stop: sets a flag; it must return at once.

    Yields:
        Nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()

    for number_ in previous:
        signal.signal(number_, handle)
    try:
        yield
    finally:
        for number_, handler in previous.items():
            signal.signal(number_, handler)
