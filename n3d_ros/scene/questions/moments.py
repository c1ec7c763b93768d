"""When a question is meant: "5 seconds ago", "at 12:03:04.2", "at stamp 1700000000.5", "since noon"."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from n3d_ros.scene.questions.budget import Budget
from n3d_ros.scene.questions.patterns import Grammar, Lexeme, Source
from n3d_ros.scene.questions.question import Moment

NANOSECONDS = 1_000_000_000
DAY_S = 86_400.0
STAMPS_NS = (1_000_000_000 * NANOSECONDS, 4_000_000_000 * NANOSECONDS)  # years 2001 to 2096


def add_moments(grammar: Grammar) -> None:
    """Adds the rule ``moment``.

    Args:
        grammar: what it is added to.
    """
    said = "(at|since|as of|from|around|by|in)? (then)? (about)? "
    grammar.add("clock_time", [
        ("{t:time} {h:half_day}?", lambda k: _clock_s(k["t"], k.get("h"))),
        ("{n:number} {h:half_day}", lambda k: _clock_s(f"{int(k['n'])}:00", k["h"])),
        ("{t:day_part}", lambda k: k["t"]),
    ])  # fmt: skip
    grammar.add_reader("half_day", _half_day)
    grammar.add_reader("day_part", _day_part)
    grammar.add("stamp_word", [("at-stamp/stamp/timestamp/time", lambda _: True)])
    grammar.add_reader("stamp_value", _stamp_value)
    grammar.add_reader("plain_stamp", _plain_stamp)
    grammar.add("moment", [
        ("(since|from|at)? (about)? {d:duration} (ago|before|earlier|back)", lambda k: Moment(ago_s=k["d"])),
        (
            "(in|within|over|during|for|since|above) the? (last|past|previous) {d:period}",
            lambda k: Moment(ago_s=k["d"]),
        ),
        ("(in|within|over|during|since) the? (last|past|previous) {d:unit_of_time}", lambda k: Moment(ago_s=k["d"])),
        (said + "the? time? {c:clock_time}", lambda k: Moment(clock_s=k["c"])),
        ("(at|since|from)? the? {w:stamp_word} (stamp|of)? {s:stamp_value}", lambda k: Moment(stamp_ns=k["s"])),
        ("(at|since|from|around|as of|by) {s:plain_stamp}", lambda k: Moment(stamp_ns=k["s"])),
    ])  # fmt: skip
    grammar.add("period", [("{d:duration}", lambda k: k["d"])])
    grammar.add_reader("unit_of_time", _unit_of_time)


_UNITS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": DAY_S}


def _unit_of_time(source: Source, place: int) -> list[tuple[int, float]]:
    lexeme = source.at(place)
    word = "" if lexeme is None else lexeme.said.lower()
    return [(place + 1, _UNITS[word])] if word in _UNITS else []


def _half_day(source: Source, place: int) -> list[tuple[int, str]]:
    lexeme = source.at(place)
    said = "" if lexeme is None else lexeme.said.lower().replace(".", "")
    return [(place + 1, said)] if said in ("am", "pm") else []


def _day_part(source: Source, place: int) -> list[tuple[int, float]]:
    lexeme = source.at(place)
    said = "" if lexeme is None else lexeme.said.lower()
    return (
        [(place + 1, {"noon": 43200.0, "midday": 43200.0, "midnight": 0.0}[said])]
        if said in ("noon", "midday", "midnight")
        else []
    )


def _stamp_value(source: Source, place: int) -> list[tuple[int, int]]:
    """A stamp in seconds, or in nanoseconds where it has 16 digits or more."""
    lexeme = source.at(place)
    if lexeme is None or re.fullmatch(r"\d{1,19}(\.\d{1,9})?", lexeme.said) is None:
        return []
    whole, _, part = lexeme.said.partition(".")
    stamp = int(whole) if len(whole) >= 16 else int(whole) * NANOSECONDS + int(part.ljust(9, "0") or 0)
    return [(place + 1, stamp)] if stamp < 2**63 else []


def _plain_stamp(source: Source, place: int) -> list[tuple[int, int]]:
    """A stamp that nothing calls so: the number itself must be one of this age, in seconds or nanoseconds."""
    return [(end, stamp) for end, stamp in _stamp_value(source, place) if STAMPS_NS[0] <= stamp < STAMPS_NS[1]]


def _clock_s(said: str, half_day: str | None) -> float | None:
    if said[-1].isalpha() or said[-1] == ".":
        half_day = "pm" if "p" in said.lower() else "am"
        said = re.sub(r"[^\d:.]|\.(?!\d)", "", said)
    hours, minutes, *seconds = (said if ":" in said else f"{said}:00").split(":")
    hour = int(hours)
    if half_day is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half_day == "pm")
    second = float(seconds[0]) if seconds else 0.0
    if hour > 23 or int(minutes) > 59 or second >= 60:
        return None
    return hour * 3600.0 + int(minutes) * 60.0 + second


def without_moment(
    grammar: Grammar, lexemes: tuple[Lexeme, ...], budget: Budget
) -> tuple[tuple[Lexeme, ...], Moment | None]:
    """A question without the words that say when it is meant, and the moment they say.

    Args:
        grammar: with the rules of ``add_moments``.
        lexemes: of the question.
        budget: the work that may be done.

    Returns:
        The rest; the moment, None where none is said.
    """
    source = Source(lexemes=lexemes, grammar=grammar, budget=budget)
    found = [(end - start, start, end, m) for start in range(len(lexemes)) for end, m in source.read("moment", start)]
    if not found:
        return lexemes, None
    _, start, end, moment = max(found, key=lambda row: (row[0], -row[1]))
    left, right = lexemes[:start], lexemes[end:]
    while right and right[0].word in (",", ":"):
        right = right[1:]
    return (*left, *right), moment


def moment_ns(moment: Moment, now_ns: int) -> int:
    """The stamp that a moment means.

    Args:
        moment: as asked.
        now_ns: the present, nanoseconds since the epoch, in the clock of the images.

    Returns:
        Nanoseconds; for a time of day the newest that is not in the future, in the local time zone.
    """
    if moment.stamp_ns is not None:
        return moment.stamp_ns
    if moment.ago_s is not None:
        return now_ns - round(moment.ago_s * NANOSECONDS)
    clock_s = moment.clock_s or 0.0
    now = datetime.fromtimestamp(now_ns // NANOSECONDS)
    for days in (0, 1, 2):
        day = now.date() - timedelta(days=days)
        whole, part = divmod(clock_s, 1.0)
        at = datetime(day.year, day.month, day.day, int(whole // 3600), int(whole % 3600 // 60), int(whole % 60))
        stamp = int(at.timestamp()) * NANOSECONDS + round(part * NANOSECONDS)
        if stamp <= now_ns:
            return stamp
    return now_ns
