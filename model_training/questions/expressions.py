"""Referring expressions: words for one object made from its attributes and from how it stands to others.

Every expression is proven by the node's own code: it means this object and no other, beyond the measuring error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model_training.questions.asked_frame import AskedFrame, AskedObject, material_word
from model_training.questions.names import Names

GENERIC_SHARE = 0.2  # of places said of "the object" rather than of its category
LONE_GENERIC_SHARE = 0.6
SIZE_WORDS = ("big", "large", "small", "tall", "short", "wide")
EXTREMES = (
    "leftmost {t}", "rightmost {t}", "{t} closest to the camera", "{t} farthest from the camera", "largest {t}",
    "smallest {t}", "tallest {t}", "shortest {t}", "widest {t}", "nearest {t}", "farthest {t}", "{t} furthest left",
    "{t} furthest right",
)  # fmt: skip
PLACES: dict[str, tuple[str, ...]] = {
    "left": ("{t} to the left of the {r}", "{t} left of the {r}", "{t} on the left side of the {r}"),
    "right": ("{t} to the right of the {r}", "{t} right of the {r}", "{t} on the right side of the {r}"),
    "front": ("{t} in front of the {r}",),
    "behind": ("{t} behind the {r}",),
    "on": ("{t} on the {r}", "{t} on top of the {r}", "{t} lying on the {r}"),
    "in": ("{t} in the {r}", "{t} inside the {r}"),
    "under": ("{t} under the {r}",),
    "next": ("{t} next to the {r}", "{t} beside the {r}"),
    "nearest": ("{t} closest to the {r}", "{t} nearest to the {r}"),
    "farthest": ("{t} farthest from the {r}", "{t} furthest from the {r}"),
    "between": ("{t} between the {r} and the {s}",),
}
"""How a thing stands to one or two others, each in several ways of saying it."""
ATTRIBUTES = frozenset({"color", "material", "size"})
CARRIES = frozenset({"on", "in"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """Words that mean one object of a frame.

    Args:
        words: with article, such as "the red mug left of the lamp".
        object_id: what they mean.
        kind: "color", "material", "size", "extreme", or one of ``PLACES``.
    """

    words: str
    object_id: int
    kind: str


def expressions(frame: AskedFrame, names: Names, rng: np.random.Generator, attempts: int) -> Iterator[Expression]:
    """Expressions that hold in a frame, drawn by chance: first the kind, then the object, then the words.

    Args:
        frame: the frame.
        names: of the frame.
        rng: source of chance.
        attempts: draws at most.

    Yields:
        Each expression once; plain labels are none.
    """
    if not frame.objects:
        return
    kinds = ("color", "material", "size", "extreme", *PLACES)
    given = set[str]()
    for _ in range(attempts):
        kind = kinds[int(rng.integers(len(kinds)))]
        target = _target(frame, rng)
        words = _words(kind, target, frame, names, rng)
        if words is None or words in given:
            continue
        given.add(words)
        is_true = kind not in CARRIES or _is_carried(kind, words, target, frame, names)
        if is_true and _is_proven(kind, words, target, names):
            yield Expression(words=f"the {words}", object_id=target.id, kind=kind)


def _is_proven(kind: str, words: str, target: AskedObject, names: Names) -> bool:
    """Whether the words mean the target alone, along the camera's axes and along level ones."""
    if names.the_one(words, described=kind == "material") != target.id:
        return False
    return kind in ATTRIBUTES or names.the_one(words, level=True) == target.id


def _target(frame: AskedFrame, rng: np.random.Generator) -> AskedObject:
    """An object; one whose label several share more often, for there an expression is needed."""
    labels = [one.label for one in frame.objects]
    weights = np.array([3.0 if labels.count(label) > 1 else 1.0 for label in labels])
    return frame.objects[int(rng.choice(len(labels), p=weights / weights.sum()))]


def _words(kind: str, target: AskedObject, frame: AskedFrame, names: Names, rng: np.random.Generator) -> str | None:
    """Words of a kind for an object, not yet proven; None where it has nothing of the kind."""
    record, label = target.record, target.label
    if kind == "color":
        return f"{record.color} {label if rng.random() > GENERIC_SHARE else 'object'}" if record.color else None
    if kind == "material":
        word = material_word(record)
        return f"{word} {label}" if word and names.tells_material(target) else None
    is_alone = sum(one.label == label for one in (*frame.objects, *frame.faint)) == 1
    if kind == "size" and is_alone:
        return None  # "the big mug" means the only mug, however small it is
    if kind == "size":
        color = f"{record.color} " if record.color and rng.random() < 0.5 else ""
        return f"{_one_of(SIZE_WORDS, rng)} {color}{label}"
    # an only mug is meant by "mug" already: then it is more often "the object" that stands so
    said = "object" if rng.random() < (LONE_GENERIC_SHARE if is_alone else GENERIC_SHARE) else label
    if kind == "extreme" and is_alone and said == label:
        return None
    if kind == "extreme":
        return _one_of(EXTREMES, rng).format(t=said)
    others = [name for one in _drawn(frame, target, rng) if (name := next(names.short_names(one), None)) is not None]
    if len(others) < 1 + (kind == "between"):
        return None
    return _one_of(PLACES[kind], rng).format(t=said, r=others[0], s=others[-1])


def _drawn(frame: AskedFrame, target: AskedObject, rng: np.random.Generator) -> list[AskedObject]:
    """Three other objects to stand to, or fewer."""
    others = [one for one in frame.objects if one.id != target.id]
    return [others[k] for k in rng.permutation(len(others))[:3].tolist()]


def _is_carried(kind: str, words: str, target: AskedObject, frame: AskedFrame, names: Names) -> bool:
    """Whether what is known of the frame agrees that the object stands on, or in, what the words end with."""
    carrier = next((one for one in frame.objects if any(words.endswith(f" {n}") for n in names.short_names(one))), None)
    record = target.record
    if carrier is None:
        return False
    if kind == "in":
        return record.inside_of in (None, carrier.id) and (
            record.inside_of is not None or record.supported_by in (None, carrier.id)
        )
    seen = set[int]()
    while record.supported_by and record.supported_by not in seen:
        seen.add(record.supported_by)
        below = frame.record.by_id(record.supported_by)
        if below is None:
            break
        record = below
    return target.record.supported_by is None or carrier.id in seen


def _one_of(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
