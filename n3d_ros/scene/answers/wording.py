"""Words of answers: names, numbers with units, sentences that stay short and on one line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from n3d_ros.geometry.arrays import FloatArray

MAX_TEXT_CHARS = 1000  # of an answer: a display or a voice must get to its end
MAX_NAMED = 10  # objects that an answer names one by one
MAX_ECHO_CHARS = 60  # of the asker's own words in an answer
MAX_STEPS = 24  # sentences that explain one answer
LEVEL_M = 0.005  # shown as 0.00 m, so left unsaid

UNIT_M = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "ft": 0.3048}
"""Units that can be asked for, in metres."""
UNIT_NAMES = {"m": "m", "cm": "cm", "mm": "mm", "in": "inches", "ft": "feet"}


def echo(words: str) -> str:
    """Words from outside as they may be shown: one line, printable, short.

    Args:
        words: any text.

    Returns:
        At most ``MAX_ECHO_CHARS`` characters and an ellipsis.
    """
    shown = "".join(c if c.isprintable() else " " for c in words[: MAX_ECHO_CHARS + 1])
    return shown if len(words) <= MAX_ECHO_CHARS else shown[:MAX_ECHO_CHARS] + "\u2026"


def limited(sentences: Sequence[str]) -> str:
    """Sentences in a row, as many as fit in ``MAX_TEXT_CHARS``; what is left out is counted.

    Args:
        sentences: in order of importance; empty ones are skipped.

    Returns:
        One line of text.
    """
    said = [sentence for sentence in sentences if sentence]
    room, kept = MAX_TEXT_CHARS - len("And 1000 more."), list[str]()
    for number, sentence in enumerate(said):
        if len(kept) > MAX_NAMED or len(sentence) + 1 > room:
            return " ".join([*kept, f"And {len(said) - number} more."])
        room -= len(sentence) + 1
        kept.append(sentence)
    return " ".join(kept)


def listed(names: Sequence[str], *, joiner: str = "and") -> str:
    """Names in a row: "a", "a and b", "a, b and c"; at most ``MAX_NAMED``.

    Args:
        names: the names.
        joiner: before the last one.

    Returns:
        The row; empty for no names.
    """
    shown = list(names[:MAX_NAMED])
    if len(names) > MAX_NAMED:
        return f"{', '.join(shown)} and {len(names) - MAX_NAMED} more"
    return f" {joiner} ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def numbers(point: FloatArray) -> str:
    """A point in words, such as "x 1.20, y -0.35, z 0.76"; a centimetre is what these measurements are good for.

    Args:
        point: (3,) metres.

    Returns:
        The three coordinates.
    """
    # adding zero turns -0.00 into 0.00
    return ", ".join(f"{axis} {value:.2f}" for axis, value in zip("xyz", np.round(point, 2) + 0.0, strict=True))


def length(value_m: float, unit: str | None = None) -> str:
    """A length in words: centimetres below 1 m, else metres with two decimals, or the unit asked for.

    Args:
        value_m: metres.
        unit: one of ``UNIT_M``; None: chosen by size.

    Returns:
        Such as "42 cm", "8.5 cm", "1.20 m", "16.5 inches".
    """
    if unit is None:
        unit = "cm" if abs(value_m) < 0.995 else "m"
        if unit == "m":
            return f"{value_m:.2f} m"
    amount = value_m / UNIT_M[unit] + 0.0
    digits = 0 if unit == "mm" else 2 if unit in ("m", "ft") else 1 if abs(amount) < 9.5 or unit == "in" else 0
    return f"{amount:.{digits}f} {UNIT_NAMES[unit]}"


def area(value_m2: float) -> str:
    """An area in words.

    Args:
        value_m2: square metres.

    Returns:
        Such as "120 square centimetres" or "1.50 square metres".
    """
    return f"{value_m2:.2f} square metres" if value_m2 >= 0.995 else f"{value_m2 * 1e4:.0f} square centimetres"


def volume(value_m3: float) -> str:
    """A volume in words.

    Args:
        value_m3: cubic metres.

    Returns:
        Such as "1.7 litres" or "1.20 cubic metres".
    """
    return f"{value_m3:.2f} cubic metres" if value_m3 >= 0.995 else f"{significant(value_m3 * 1e3)} litres"


def duration(value_s: float) -> str:
    """A time span in words.

    Args:
        value_s: seconds.

    Returns:
        Such as "2.4 s", "5 min 10 s", "2 h 5 min".
    """
    if value_s < 59.95:
        return f"{value_s:.1f} s"
    minutes, seconds = divmod(round(value_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def significant(value: float) -> str:
    """A number with about two significant digits and no exponent.

    Args:
        value: the number.

    Returns:
        Such as "0.085", "1.7", "42".
    """
    if value == 0:
        return "0"
    digits = max(0, 1 - int(np.floor(np.log10(abs(value)))))
    return f"{value:.{min(digits, 6)}f}"


def counted(count: int, noun: str) -> str:
    """Such as "1 object" or "3 objects".

    Args:
        count: how many.
        noun: in the singular, with a regular plural.

    Returns:
        The words.
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"
