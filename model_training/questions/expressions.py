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
    "on": ("{t} on the {r}", "{t} on top of the {r}"),
    "in": ("{t} in the {r}", "{t} inside the {r}"),
    "under": ("{t} under the {r}",),
    "next": ("{t} next to the {r}", "{t} beside the {r}"),
    "nearest": ("{t} closest to the {r}", "{t} nearest to the {r}"),
    "farthest": ("{t} farthest from the {r}", "{t} furthest from the {r}"),
    "between": ("{t} between the {r} and the {s}",),
}
"""How a thing stands to one or two others, each in several ways of saying it."""
ATTRIBUTES = frozenset({"color", "material", "size"})
CARRIED = frozenset({"on", "in"})
TOUCHING = frozenset({"on", "in", "under", "next"})
"""Places told by faces that meet, not by centres: whole boxes are needed where they are known."""
MOST_REFERENCES = 3  # whose names are tried for one expression


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
        words = (
            _placed(kind, target, frame, names, rng) if kind in PLACES else _described(kind, target, frame, names, rng)
        )
        if words is None or words in given:
            continue
        given.add(words)
        if _is_proven(kind, words, target, frame, names):
            yield Expression(words=f"the {words}", object_id=target.id, kind=kind)


def _is_proven(kind: str, words: str, target: AskedObject, frame: AskedFrame, names: Names) -> bool:
    """Whether the words mean the target alone, along the camera's axes and along level ones."""
    if kind == "size" and names.the_one(words.partition(" ")[2]) is not None:
        return False  # "the big red mug" means the only red one, however small it is
    if kind in ATTRIBUTES:
        return names.the_one(words, scene="described" if kind == "material" else "plain") == target.id
    if kind in TOUCHING and frame.has_whole_boxes:
        return names.the_one(words, scene="whole", level=True) == target.id
    return names.the_one(words) == names.the_one(words, level=True) == target.id


def _target(frame: AskedFrame, rng: np.random.Generator) -> AskedObject:
    """An object; one whose label several share more often, for there an expression is needed."""
    labels = [one.label for one in frame.objects]
    weights = np.array([3.0 if labels.count(label) > 1 else 1.0 for label in labels])
    return frame.objects[int(rng.choice(len(labels), p=weights / weights.sum()))]


def _is_alone(target: AskedObject, frame: AskedFrame) -> bool:
    return sum(one.label == target.label for one in (*frame.objects, *frame.faint)) == 1


def _described(kind: str, target: AskedObject, frame: AskedFrame, names: Names, rng: np.random.Generator) -> str | None:
    """Words that describe an object, not yet proven; None where it has nothing of the kind."""
    record, label = target.record, target.label
    if kind == "color":
        return f"{record.color} {label if rng.random() > GENERIC_SHARE else 'object'}" if record.color else None
    if kind == "material":
        word = material_word(record)
        return f"{word} {label}" if word and names.tells_material(target) else None
    if kind == "extreme":
        return _one_of(EXTREMES, rng).format(t=_said_among(target, frame, rng))
    if _is_alone(target, frame):
        return None  # "the big mug" means the only mug, however small it is
    color = f"{record.color} " if record.color and rng.random() < 0.5 else ""
    return f"{_one_of(SIZE_WORDS, rng)} {color}{label}"


def _placed(kind: str, target: AskedObject, frame: AskedFrame, names: Names, rng: np.random.Generator) -> str | None:
    """Words for where an object is, not yet proven; None where nothing is there that it could stand so to."""
    carriers = frame.carriers(target.id)
    others = [one for one in frame.objects if one.id != target.id]
    if kind in CARRIED and carriers:
        # nobody says "in the shelf" of what stands on one of its boards
        others = [one for one in others if (one.id == target.record.inside_of if kind == "in" else one.id in carriers)]
    elif kind == "under" and any(frame.carriers(one.id) for one in others):
        others = [one for one in others if target.id in frame.carriers(one.id)]
    elif kind not in TOUCHING:
        # what stands on a table is neither left of it nor behind it, wherever their centres are
        others = [one for one in others if one.id not in carriers and target.id not in frame.carriers(one.id)]
    drawn = (others[k] for k in rng.permutation(len(others))[:MOST_REFERENCES].tolist())
    called = [name for one in drawn if (name := next(names.short_names(one), None)) is not None]
    if len(called) < 1 + (kind == "between"):
        return None
    words = _one_of(PLACES[kind], rng)
    said = _said_among(target, frame, rng) if kind in ("nearest", "farthest") else _said(target, frame, rng)
    return words.format(t=said, r=called[0], s=called[-1])


def _said(target: AskedObject, frame: AskedFrame, rng: np.random.Generator) -> str:
    """What the thing itself is called: an only mug is meant by "mug" already, so it is more often "the object"."""
    share = LONE_GENERIC_SHARE if _is_alone(target, frame) else GENERIC_SHARE
    return "object" if rng.random() < share else target.label


def _said_among(target: AskedObject, frame: AskedFrame, rng: np.random.Generator) -> str:
    """The same where the most or least of several is meant: nobody says "the largest jug" of the only one."""
    return "object" if _is_alone(target, frame) else _said(target, frame, rng)


def _one_of(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
