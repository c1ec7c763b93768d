"""The types of a question that was read: which things, which relation or quantity, seen from where, and when.

A question is data: reading makes it from words alone, answering computes it on a scene. Neither needs the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from n3d_ros.scene.phrases import Phrase


class Relation(Enum):
    """How one thing stands to others; sides are meant from the viewpoint, heights along the vertical."""

    LEFT = "left of"
    RIGHT = "right of"
    FRONT = "in front of"  # nearer to the viewer than the reference
    BEHIND = "behind"
    ABOVE = "above"
    BELOW = "below"
    ON = "on"  # carried by it
    UNDER = "under"  # below it and overlapping it seen from above
    INSIDE = "inside"
    NEXT_TO = "next to"
    BETWEEN = "between"  # two references


class Quantity(Enum):
    """What is measured of one thing; the value is the word for it."""

    WIDTH = "width"  # horizontal edge that runs most across the view
    HEIGHT = "height"  # edge that runs most along the vertical
    DEPTH = "depth"  # horizontal edge that runs most along the view
    LENGTH = "length"  # longest edge
    THICKNESS = "thickness"  # shortest edge
    VOLUME = "volume"  # what "big" and "small" compare
    FOOTPRINT = "footprint"  # area covered seen from above
    DIAMETER = "diameter"
    SIZE = "size"  # all three edges
    POSITION = "position"
    ELEVATION = "elevation"  # height of the centre: what "higher" and "lower" compare
    DISTANCE = "distance"  # from the viewer, or from ``Measure.reference``
    HORIZONTAL_DISTANCE = "horizontal distance"
    VERTICAL_DISTANCE = "vertical distance"
    GAP = "free space"  # smallest distance between two boxes' surfaces
    LATERAL = "position from left to right"  # as seen by the viewer; grows to the right
    COLOR = "colour"
    SHAPE = "shape"
    NAME = "name"  # what a thing is
    AGE = "time since it was last seen"
    MOVED = "distance moved"  # from where it was at the question's moment; None: the oldest remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Extreme:
    """The one with most or least of a quantity: "largest", "second nearest to the mug", "leftmost".

    Args:
        quantity: what is compared.
        most: True for the largest value, False for the smallest.
        rank: 1 for the extreme itself, 2 for the second, ...
        count: how many are meant ("the three largest").
        reference: for ``DISTANCE``: from what; None: from the viewer.
    """

    quantity: Quantity
    most: bool
    rank: int = 1
    count: int = 1
    reference: Thing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where things must be to be meant: "left of the mug", "between the box and the ball", "within 30 cm of it".

    Args:
        relation: how.
        references: one thing, for ``BETWEEN`` two (or one plural thing); empty: the viewer ("on my left", "in front of
            me", "behind the robot").
        within_m: at most this far from the reference; None: no limit.
    """

    relation: Relation
    references: tuple[Thing, ...] = ()
    within_m: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeBound:
    """A bound on a quantity: "taller than 20 cm", "less than half a metre away", "larger than the mug".

    Args:
        quantity: what is bounded.
        more: whether it must be more (else less) than the bound.
        bound: in m, m^2 or m^3; None when ``reference`` bounds.
        reference: the thing compared with.
        inclusive: whether the bound itself is within: "at least 20 cm", "no more than 20 cm".
    """

    quantity: Quantity
    more: bool
    bound: float | None = None
    reference: Thing | None = None
    inclusive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A noun phrase: which objects are meant, before looking. Pronouns and "the blue one" are already filled in.

    Args:
        phrase: noun, colours, adjectives; anything where only place or extreme say more ("the largest object").
        text: as it is to be called in an answer, without articles: "blue bottle" also for "the blue one".
        places: all must hold.
        bounds: all must hold.
        extreme: chooses among those that fit so far.
        is_other: all but the things named before ("the other box").
        id: the number in "box 3", "object 7"; None: not named by number.
        others_of: the thing that ``is_other`` leaves out; None: everything named before it in the question.
        is_any: one that fits suffices, whichever it is: "a box", "any box", "something"; else, without plural, the one
            that is meant ("the box", "my box", "box").
        is_each: every one that fits although the noun is singular: "every box", "each box", "none of the boxes".
        count: the number said of it: "two boxes", "the three mugs"; None: no number.
        stands_out: an adjective of size, which the phrase has too: "the big red box", "the short bottle". It chooses
            where several fit and one of them clearly has most or least; one alone is meant without it.
    """

    phrase: Phrase
    text: str
    places: tuple[Place, ...] = ()
    bounds: tuple[SizeBound, ...] = ()
    extreme: Extreme | None = None
    is_other: bool = False
    id: int | None = None
    others_of: Thing | None = None
    is_any: bool = False
    is_each: bool = False
    count: int | None = None
    stands_out: Extreme | None = None


class View(Enum):
    """Whose left and right."""

    ASKER = "asker"  # the request's viewpoint, else the camera: "from my side", or nothing said
    CAMERA = "camera"  # "from the camera's view"
    OPPOSITE = "opposite"  # "for someone facing the camera", "seen from behind the table", "from the other side"
    AT_THING = "at a thing"  # "from the mug", "standing at the mug", "seen from the box towards the ball"


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewpoint:
    """From where a question is meant.

    Args:
        view: whose.
        at: for ``AT_THING``: where the viewer stands; for ``OPPOSITE``: what it looks across ("behind the table"), or
            None.
        facing: for ``AT_THING``: what the viewer faces; None: the camera's own direction (the rule of the N3D-VLM
            paper, spec c).
    """

    view: View = View.ASKER
    at: Thing | None = None
    facing: Thing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a question is meant: exactly one of the three is set.

    Args:
        ago_s: seconds before now.
        stamp_ns: a stamp in nanoseconds.
        clock_s: local time of day in seconds since midnight ("at 12:03:04.2").
    """

    ago_s: float | None = None
    stamp_ns: int | None = None
    clock_s: float | None = None


# --- what can be asked ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where is X? -> POSITION. With ``relative_to``: told from there ("where is X relative to Y")."""

    thing: Thing
    relative_to: Thing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many X? -> COUNT."""

    thing: Thing


@dataclass(frozen=True, slots=True, kw_only=True)
class Exists:
    """Is there an X? Do you see X? Is anything on X? -> BOOLEAN.

    ``negated``: "is nothing on the table?", "is the table empty?". With ``thing.count``: "are there three boxes?".
    ``at_least``, ``at_most``: "more than two" (3, None), "at most two" (0, 2), "exactly two", "only two" (2, 2); None:
    not said.
    """

    thing: Thing
    negated: bool = False
    at_least: int | None = None
    at_most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which X, what: what is on the table, what do you see, which box is the largest, list the boxes -> TEXT, objects.

    ``is_single``: exactly one is asked for ("which box is the largest", "what is the nearest object").
    """

    thing: Thing
    is_single: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose:
    """Which of these has most: "which is taller, A or B", "which is closer to R, A or B" -> TEXT (its name), object."""

    candidates: tuple[Thing, ...]
    extreme: Extreme


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoosePlaced:
    """Which of these stands so: "which is further left, A or B", "which one is behind, A or B" -> TEXT, object.

    ``reference`` None: compared with each other.
    """

    candidates: tuple[Thing, ...]
    relation: Relation
    reference: Thing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IsPlaced:
    """Is A left of B? -> BOOLEAN; ``options`` of several: "is A left or right of B?" -> TEXT, the one that holds.

    No references: as seen from the viewer's own place ("is A on my left?"). ``negated``: "isn't", "not".
    """

    subject: Thing
    options: tuple[Relation, ...]
    references: tuple[Thing, ...] = ()
    within_m: float | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IsColored:
    """Is A red? -> BOOLEAN; ``colors`` of several: "is A red or blue?" -> TEXT, the one that it is."""

    subject: Thing
    colors: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """How does A stand to B? On which side of B is A? -> TEXT: left/right, front/behind, above/below, with metres."""

    subject: Thing
    reference: Thing


class Sense(Enum):
    """Which way a comparison goes."""

    MORE = "more"
    LESS = "less"
    EQUAL = "equal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """Is A taller than B? Are they equally tall? Is A closer to R than B? Is A taller than 20 cm? -> BOOLEAN.

    ``reference``: for DISTANCE, from what (None: the viewer). ``bound``: compared with a number (m, m^2, m^3) instead
    of ``other``. ``factor``: "twice as tall as". With ``other`` and ``bound`` None: compared with all other objects.
    ``inclusive``: "at least", "at most", "no more than": equality counts.
    """

    subject: Thing
    quantity: Quantity
    sense: Sense
    other: Thing | None = None
    bound: float | None = None
    reference: Thing | None = None
    factor: float = 1.0
    negated: bool = False
    inclusive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """How tall is A? How far is A from B? What colour is A? -> NUMBER, SIZE, POSITION or TEXT.

    ``reference``: the other end of a distance or gap; None: the viewer. ``unit``: asked for ("in cm"): "m", "cm", "mm",
    "in" or "ft"; the value stays in metres, the words use the unit.
    """

    quantity: Quantity
    thing: Thing
    reference: Thing | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How much taller is A than B? -> NUMBER (m, m^2, m^3), >= 0; the sentence says which way.

    ``as_ratio``: "how many times taller" -> NUMBER, unit "1". ``reference``: for DISTANCE.
    """

    quantity: Quantity
    subject: Thing
    other: Thing
    reference: Thing | None = None
    as_ratio: bool = False
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """In which direction is B from A? At what o'clock? -> DIRECTION (vector, clock hour).

    ``origin`` None: from the viewer. The question's viewpoint says where 12 o'clock is: AT_THING with ``facing``, else
    the camera's forward (spec n3d_vlm c). ``hour``: "is B at 3 o'clock from A?" -> BOOLEAN.
    """

    target: Thing
    origin: Thing | None = None
    as_clock: bool = False
    hour: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Order these by a quantity: "list the objects from nearest to farthest", "depth order of A, B and C" -> TEXT."""

    things: tuple[Thing, ...]
    quantity: Quantity
    ascending: bool = True
    reference: Thing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fits:
    """Does A fit a gap or a box of given size? -> BOOLEAN.

    Exactly one of: ``opening_m`` (one to three lengths: a gap, a slot, a box), ``between`` (two things), ``inside`` (a
    thing that contains). ``on_top_of``: fits on the surface of a thing.
    """

    thing: Thing
    opening_m: tuple[float, ...] = ()
    between: tuple[Thing, ...] = ()
    inside: Thing | None = None
    on_top_of: Thing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    """Describe X, what is object 3, what do you know about X -> TEXT."""

    thing: Thing


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What changed since (the question's moment; None: the oldest remembered)? -> TEXT.

    With a thing: "did X move?" -> BOOLEAN.
    """

    thing: Thing | None = None
    is_new: bool = False  # only "what is new / appeared"
    is_gone: bool = False  # only "what is gone / missing"
    is_moved: bool = False  # only "what has moved"; of a thing: "did X move?"
    place: Place | None = None  # only there: "what is new on the table?"


Intent = (
    Where
    | Count
    | Exists
    | Which
    | Choose
    | ChoosePlaced
    | IsPlaced
    | IsColored
    | Side
    | Compare
    | Measure
    | Difference
    | Direction
    | Order
    | Fits
    | Describe
    | Changed
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that was understood.

    Args:
        text: as asked.
        intent: what it wants to know.
        viewpoint: from where it is meant.
        moment: when it is meant; None: now. For ``Changed`` since when.
    """

    text: str
    intent: Intent
    viewpoint: Viewpoint = Viewpoint()
    moment: Moment | None = None
