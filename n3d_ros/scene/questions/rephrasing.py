"""Other orders of words for one question: what it is about said first, an adverb before it, a remark behind it.

Each is put as the grammar has it, and nothing that means anything is left out: "the red pen and the blue pen: how far
are they from each other?" -> "how far are the red pen and the blue pen from each other?".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from n3d_ros.scene.questions.words import Word

MAX_TOPIC = 20  # words; a longer beginning is a story
_MARKS = frozenset(",:;.-?!()")
_AUXILIARIES = frozenset((
    "is", "are", "was", "were", "do", "does", "did", "can", "could", "will", "would", "has", "have", "should", "may",
))  # fmt: skip
_ASKING = _AUXILIARIES | frozenset((
    "what", "where", "which", "who", "how", "when", "why", "whose", "at", "on", "in", "to", "from", "by", "tell",
    "show", "find", "give", "describe", "order", "sort", "rank", "list", "compare", "measure", "please",
))  # fmt: skip
_NO_TOPIC = _AUXILIARIES | frozenset((
    "what", "where", "which", "who", "how", "when", "why", "if", "seen", "viewed", "from", "standing", "facing",
    "looking", "suppose", "imagine", "assume", "assuming", "i", "you", "we", "me", "not", "for", "as", "it", "they",
    "them", "nothing", "something", "tell", "order", "sort", "rank", "list", "arrange",
))  # fmt: skip
_INTRODUCING = tuple(tuple(one.split()) for one in (
    "i have got", "we have got", "you have got",
    "i see", "i can see", "we see", "you see", "you can see", "there is", "there are", "i have", "we have", "here is",
    "take", "consider", "look at", "think of", "about", "regarding", "concerning", "as for", "what about", "how about",
    "now", "and", "so", "with regard to",
))  # fmt: skip
_PRONOUNS = frozenset(("it", "they", "them"))
_OWN = {"its": "'s", "their": "'s"}
_EDGES = frozenset(("length", "width", "height", "depth"))
_WITH_EDGES = _EDGES | frozenset((
    ",", "and", "i", "we", "need", "want", "please", "give", "me", "us", "the", "its", "all", "three", "would",
    "like", "tell", "dimensions", "include", "including", "with", ".", "!", "i.e", "that", "is", "namely",
))  # fmt: skip
_EXCEPT = (("besides",), ("apart", "from"), ("aside", "from"), ("except",), ("except", "for"), ("other", "than"))
_MEASURED = frozenset(("distance", "gap", "clearance", "spacing", "separation"))
_TO_ADVERB = {
    **{tuple(f"{before} {plane}{after}".split()): adverb
       for plane, adverb in (("horizontal", "horizontally"), ("vertical", "vertically"))
       for before in ("in the", "along the", "on the", "in")
       for after in ("", " direction", " plane", " axis", " sense")},
    **{tuple(f"{verb} {adverb}".split()): adverb
       for verb in ("measured", "measuring", "taken", "when measured", "if measured")
       for adverb in ("horizontally", "vertically")},
    ("along", "the", "ground"): "horizontally", ("across", "the", "floor"): "horizontally",
    ("along", "the", "floor"): "horizontally", ("on", "the", "level"): "horizontally",
    ("in", "a", "straight", "line"): "", ("as", "the", "crow", "flies"): "",
}  # fmt: skip


def rephrased(words: Sequence[Word]) -> Iterator[tuple[Word, ...]]:
    """Other ways to put a question, for when it is not understood as it stands.

    Args:
        words: of the question.

    Yields:
        The question with one change after the other; nothing where none applies.
    """
    current = tuple(words)
    for change in _CHANGES:
        changed = change(current)
        if changed is not None and changed != current:
            current = changed
            yield current


def _word(plain: str) -> Word:
    return Word(plain=plain, said=plain)


def _plain(words: Sequence[Word]) -> tuple[str, ...]:
    return tuple(word.plain for word in words)


def _parted(words: Sequence[Word]) -> tuple[Word, ...]:
    """Without marks at either end."""
    kept = list(words)
    while kept and kept[0].plain in _MARKS:
        kept.pop(0)
    while kept and kept[-1].plain in _MARKS:
        kept.pop()
    return tuple(kept)


def _as_topic(words: Sequence[Word]) -> tuple[Word, ...] | None:
    """The words that name what a question is about, with "the"; None when they do not only name."""
    kept, is_new = tuple(words), False
    while introducing := next((one for one in _INTRODUCING if _plain(kept[: len(one)]) == one), None):
        kept, is_new = kept[len(introducing) :], True
    if not kept or len(kept) > MAX_TOPIC or _NO_TOPIC.intersection(_plain(kept)):
        return None
    if is_new:  # what was just brought in is known from there on
        kept = tuple(_word("the") if word.plain in ("a", "an") else word for word in kept)
    if kept[0].plain in ("a", "an", "one") and len(kept) > 1 and (is_new or kept[0].plain != "one"):
        kept = (_word("the"), *kept[1:])
    return kept


def _put(words: Sequence[Word], topic: tuple[Word, ...]) -> tuple[Word, ...] | None:
    """A question with what it is about in the place of its pronouns; None when it has none that fits."""
    is_several = "and" in _plain(topic)
    found, put = list[Word](), 0
    for at, word in enumerate(words):
        if (word.plain == "it" and not is_several) or word.plain in ("they", "them"):
            found += topic
            put += 1
        elif word.plain in _OWN and not is_several:
            found += (*topic, Word(plain="'s", said="'s"))
            put += 1
        elif word.plain == "each" and put and _plain(words[at - 1 : at]) in (("they",), ("them",)):
            found.append(word)
        else:
            found.append(word)
    return tuple(found) if put else None


def _topic_inside(words: tuple[Word, ...]) -> tuple[Word, ...] | None:
    """The cylinder, is it behind the ball?"""
    for at, word in enumerate(words):
        rest = _parted(words[at:])
        if word.kind != "mark" or word.plain not in _MARKS or not rest or rest[0].plain not in _ASKING:
            continue
        topic = _as_topic(_parted(words[:at]))
        if topic is None:
            return None
        if (put := _put(rest, topic)) is not None:
            return put
        if (
            rest[0].plain in ("which", "who")
            and "ones" not in _plain(rest)
            and (topic[-1].plain.endswith("s") or "and" in _plain(topic))
        ):
            skip = 2 if _plain(rest[1:2]) == ("one",) else 1
            return (rest[0], _word("of"), *topic, *rest[skip:])
    return None


def _topic_behind(words: tuple[Word, ...]) -> tuple[Word, ...] | None:
    """Is it behind the ball, the cylinder?"""
    said = _parted(words)
    if not said or said[0].plain not in _ASKING:
        return None
    last = max((at for at, word in enumerate(said) if word.kind == "mark"), default=0)
    topic = _as_topic(said[last + 1 :]) if last else None
    if topic is None or topic[0].plain not in ("the", "my", "your", "our", "this", "that"):
        return None
    return _put(_parted(said[:last]), topic)


def _standing(words: tuple[Word, ...]) -> tuple[Word, ...] | None:
    """At the green ball, what is on the left?"""
    if not words or words[0].plain not in ("at", "by", "near") or _plain(words[1:2]) in (("what",), ("which",)):
        return None
    mark = next((at for at, word in enumerate(words) if word.plain in (",", ";", ":", ".")), 0)
    if mark == 0 or mark + 1 >= len(words) or words[mark + 1].plain not in _ASKING:
        return None
    return (_word("standing"), *words)


def _adverb_last(words: tuple[Word, ...]) -> tuple[Word, ...] | None:
    """Horizontally, how far is A from B? How far is A from B, measured horizontally?"""
    kept, at, adverbs = list[Word](), 0, list[Word]()
    while at < len(words):
        known = next(
            (length for length in range(5, 1, -1) if _plain(words[at : at + length]) in _TO_ADVERB), 0
        )  # fmt: skip
        adverb = _TO_ADVERB[_plain(words[at : at + known])] if known else words[at].plain
        if known or adverb in ("horizontally", "vertically"):
            while kept and kept[-1].plain == ",":
                kept.pop()
            adverbs += [_word(adverb)] if adverb else []
            at += known or 1
            at += at < len(words) and words[at].plain == ","
            continue
        kept.append(words[at])
        at += 1
    return (*_parted(kept), *adverbs) if len(adverbs) < 2 else None


def _without_sides(words: tuple[Word, ...]) -> tuple[Word, ...] | None:
    """On which side of A is B, left or right?"""
    said, plain = _parted(words), _plain(_parted(words))
    mark = max((at for at, word in enumerate(said) if word.plain in (",", ":", "-", "?", ".")), default=0)
    tail = [word for word in plain[mark:] if word not in ("the", "on", "to", "in", "at", "hand", "side", "its", "?")]
    ends = {"left", "right", "front", "back", "behind", "or", ",", ":", "-", "."}
    if not mark or "or" not in tail or not set(tail) <= ends or not {"side", "where"} & set(plain[:mark]):
        return None
    return _parted(said[:mark])


def _except_last(words: tuple[Word, ...]) -> tuple[Word, ...] | None:
    """Besides the book, what is on the table?"""
    first = next((one for one in _EXCEPT if _plain(words[: len(one)]) == one), None)
    mark = next((at for at, word in enumerate(words) if word.plain == ","), 0)
    rest = _parted(words[mark:])
    if first is None or not mark or not rest or rest[0].plain not in _ASKING:
        return None
    return (*rest, *words[:mark])


def _dash_between(words: tuple[Word, ...]) -> tuple[Word, ...] | None:
    """Distance mug - bowl."""
    dashes = [at for at, word in enumerate(words) if word.plain == "-"]
    if len(dashes) != 1 or not _MEASURED.intersection(_plain(words[: dashes[0]])) or _ASKING & set(_plain(words)):
        return None
    return (*words[: dashes[0]], _word("to"), *words[dashes[0] + 1 :])


def _without_edges(words: tuple[Word, ...]) -> tuple[Word, ...] | None:
    """How large is A? I need length, width and height."""
    said, plain = _parted(words), _plain(_parted(words))
    for at, word in enumerate(said):
        tail = plain[at:]
        if word.kind == "mark" and set(tail[1:]) <= _WITH_EDGES and (
            len(_EDGES.intersection(tail)) >= 2 or "dimensions" in tail
        ):  # fmt: skip
            asks = plain[:at]
            is_size = "how" in asks and {"big", "large", "small"} & set(asks)
            return _parted(said[:at]) if is_size or {"size", "dimensions", "measurements"} & set(asks) else None
    return None


_CHANGES: tuple[Callable[[tuple[Word, ...]], tuple[Word, ...] | None], ...] = (
    _without_edges, _without_sides, _except_last, _dash_between, _standing, _adverb_last, _topic_inside, _topic_behind,
)  # fmt: skip
