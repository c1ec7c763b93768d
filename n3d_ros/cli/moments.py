"""Moments given on a command line: a stamp, a time of day, or how long ago."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from n3d_ros.errors import ConfigurationError

NANOSECONDS = 1_000_000_000
LATEST_NS = 2**31 * NANOSECONDS  # what a stamp in a message can hold
AGO = re.compile(r"(?P<number>\d{1,12}(?:\.\d{1,12})?)\s*(?P<unit>[a-z]+)\s+ago", re.IGNORECASE)
UNITS_S = {
    "ms": 0.001,
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
}
FORMS = 'a stamp in seconds (1764000000.25), a time (12:03:04.2, 2026-11-20T12:03:04), or such as "10 s ago"'


def stamp_of(text: str, now_ns: Callable[[], int]) -> int:
    """The stamp that a moment on a command line means.

    Args:
        text: in one of the forms of ``FORMS``; times are local.
        now_ns: gives the present in the clock of the images, for moments that count from now.

    Returns:
        Nanoseconds, above 0.

    Raises:
        ConfigurationError: another form, or outside what a stamp can hold.
    """
    stamp_ns = _ago(text, now_ns)
    if stamp_ns is None:
        stamp_ns = _number(text)
    if stamp_ns is None:
        stamp_ns = _time(text, now_ns)
    if stamp_ns is None:
        raise ConfigurationError(f"Moment: expected {FORMS}, got {text[:64]!r}.")
    if not 0 < stamp_ns < LATEST_NS:
        raise ConfigurationError(f"Moment: {text[:64]!r} lies outside what a stamp can hold.")
    return stamp_ns


def _ago(text: str, now_ns: Callable[[], int]) -> int | None:
    """A moment that counts back from now."""
    match = AGO.fullmatch(text.strip())
    unit_s = UNITS_S.get(match["unit"].lower()) if match else None
    if match is None or unit_s is None:
        return None
    return now_ns() - round(float(match["number"]) * unit_s * NANOSECONDS)


def _number(text: str) -> int | None:
    """A stamp in seconds, exact to the nanosecond."""
    try:
        seconds = Decimal(text.strip())
    except InvalidOperation:
        return None
    return round(seconds * NANOSECONDS) if seconds.is_finite() and abs(seconds) < LATEST_NS else None


def _time(text: str, now_ns: Callable[[], int]) -> int | None:
    """A local date and time, or a time of the last 24 hours."""
    words = text.strip()
    try:
        if not re.fullmatch(r"\d{1,2}:\d{2}(:\d{2}(\.\d{1,6})?)?", words):
            return round(Decimal(str(datetime.fromisoformat(_full(words)).timestamp())) * NANOSECONDS)
        present = datetime.fromtimestamp(now_ns() / NANOSECONDS)
        form = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f")[words.count(":") - 1 + words.count(".")]
        clock = datetime.strptime(words, form).time()
    except (ValueError, OverflowError, OSError):
        return None
    moment = datetime.combine(present.date(), clock)
    if moment > present:
        moment -= timedelta(days=1)
    return round(Decimal(str(moment.timestamp())) * NANOSECONDS)


def _full(words: str) -> str:
    """An ISO date and time as Python 3.10 reads it: six digits after the point, an offset instead of Z."""
    return re.sub(r"\.(\d{1,6})", lambda match: f".{match[1]:0<6}", re.sub(r"[zZ]$", "+00:00", words))
