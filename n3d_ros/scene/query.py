"""Questions about a scene and their answers: where is it, how many, is there one, what do you see.

The question is read by a few patterns, the objects are found by their words, and code computes the rest; nothing is
guessed. ``answer`` returns a status for every text and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from n3d_ros.errors import StatusCode
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.scene.nouns import nouns_of as nouns_of  # the questions' other half: what to look for
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.phrases import Phrase, select, vocabulary
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialAnswer as SpatialAnswer
from n3d_ros.scene.spatial_answer import SpatialQuery as SpatialQuery
from n3d_ros.scene.spatial_answer import ValueType as ValueType

MAX_QUESTION_CHARS = 1024  # the bound of the service
MAX_TEXT_CHARS = 1000  # of an answer: a display or a voice must get to its end
MAX_NAMED = 10  # objects that an answer names one by one
LEVEL_M = 0.005  # shown as 0.00 m, so left unsaid
MAX_ECHO_CHARS = 60  # of the asker's own words in an answer

UNDERSTOOD = ("where is the red box?", "how many boxes are there?", "is there a blue ball?", "what do you see?")


class Intent(Enum):
    """What a question wants to know."""

    WHERE = "where"
    COUNT = "count"
    EXISTS = "exists"
    LIST = "list"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedQuestion:
    """A question that was understood.

    Args:
        intent: what it wants to know.
        phrase: about what; for ``LIST`` anything.
    """

    intent: Intent
    phrase: Phrase


def answer(scene: Scene, query: SpatialQuery) -> SpatialAnswer:
    """The answer to a question about a scene.

    Args:
        scene: what is known, in the frame that positions are wanted in.
        query: the question.

    Returns:
        An answer for every text; ``status`` says when there is none and ``text`` why.
    """
    refusal = _refusal(scene, query.text)
    if refusal is not None:
        return refusal
    question = parse(query.text)
    if question is None:
        return _not_understood(scene, query.text)
    phrase = question.phrase
    chosen = select(phrase, scene.objects)
    if not chosen.is_understood and not query.open_vocabulary:
        return _unknown_thing(scene, phrase)
    asked = _Asked(scene=scene, phrase=phrase, found=chosen.objects, notes=chosen.notes, viewpoint=query.viewpoint)
    return ANSWERERS[question.intent](asked)


# --- reading the question -------------------------------------------------------------------------------------------

_POLITE = re.compile(
    r"^(?:(?:please|hey|hi|hello|robot|so|now|ok|okay|tell me|can you tell me|could you tell me) )+|(?: please)+$"
)
_AROUND = (
    r"(?: (?:there|here|now|around|visible|in (?:view|sight|the scene|the picture|the image)|(?:can|do) you see))*"
)
_EVERYTHING = r"(?: (?:me|all|the|of|you see|scene|everything|objects|things|items|what you see))*"
_PATTERNS: tuple[tuple[Intent, re.Pattern[str]], ...] = tuple(
    (intent, re.compile(pattern))
    for intent, pattern in (
        (Intent.LIST, rf"what(?: other)?(?: objects| things| items| all)? (?:do|can|did) you see{_AROUND}"),
        (Intent.LIST, rf"(?:what|which) (?:objects|things|items) (?:are|do you know){_AROUND}"),
        (Intent.LIST, rf"what(?: is|s|)(?: there| here| visible| in view| in the scene| in the picture){_AROUND}"),
        (Intent.LIST, rf"(?:list|name|describe|enumerate|show){_EVERYTHING}"),
        (Intent.COUNT, rf"how many (?P<x>.+?)(?: (?:are|is))?{_AROUND}"),
        (Intent.COUNT, rf"(?:count|(?:what is |whats )?(?:the )?number of) (?P<x>.+?){_AROUND}"),
        (Intent.EXISTS, rf"(?:is|are) there (?P<x>.+?){_AROUND}"),
        (Intent.EXISTS, rf"(?:do|can|did) you (?:see|find|have) (?P<x>.+?){_AROUND}"),
        (Intent.WHERE, rf"where(?:s| is| are| was| were| can i find| do you see| did you see)? (?P<x>.+?){_AROUND}"),
        (Intent.WHERE, r"(?:find|locate|show me|look for|point at|point to) (?P<x>.+)"),
    )
)
_RELATIONS = frozenset((
    "left", "right", "front", "behind", "above", "below", "over", "under", "beneath", "underneath", "on", "in",
    "inside", "into", "onto", "next", "beside", "near", "nearest", "closest", "far", "furthest", "farthest",
    "between", "than", "largest", "biggest", "smallest", "tallest", "shortest", "widest", "closer", "from", "to",
    "or", "not", "is", "are", "which", "what", "who", "why", "when", "how", "if",
))  # fmt: skip
"""Words that no object is called by; a question with one of them asks more than these patterns read."""


def parse(text: str) -> ParsedQuestion | None:
    """What a text asks.

    Args:
        text: the question.

    Returns:
        Intent and phrase; None when it is not understood.
    """
    plain = " ".join(re.findall(r"[^\W_]+", re.sub(r"['\u2019]", "", text.lower())))
    plain = _POLITE.sub("", plain)
    for intent, pattern in _PATTERNS:
        match = pattern.fullmatch(plain)
        if match is None:
            continue
        said = match.groupdict().get("x") or "everything"
        phrase = Phrase.parse(said)
        if phrase is None or _RELATIONS.intersection(said.split()):
            return None
        return ParsedQuestion(intent=intent, phrase=phrase)
    return None


def _refusal(scene: Scene, text: str) -> SpatialAnswer | None:
    """Why a question cannot even be read or asked yet; None when it can."""
    if len(text) > MAX_QUESTION_CHARS:
        return SpatialAnswer(
            status=StatusCode.INVALID_REQUEST,
            text=f"Question: expected at most {MAX_QUESTION_CHARS} characters, got {len(text)}.",
        )
    if not text.strip():
        return SpatialAnswer(
            status=StatusCode.INVALID_REQUEST, text=f"Question: expected words, got none. Try: {UNDERSTOOD[0]}"
        )
    if not scene.stamp_ns and not scene.objects:
        return SpatialAnswer(status=StatusCode.NO_FRAME, text="No image has been processed yet, so nothing is known.")
    return None


def _not_understood(scene: Scene, text: str) -> SpatialAnswer:
    """What is understood, since this was not."""
    return SpatialAnswer(
        status=StatusCode.NOT_UNDERSTOOD,
        text=f'I do not understand "{_echo(text)}". I understand, for instance: {" ".join(UNDERSTOOD)}',
        stamp_ns=scene.stamp_ns,
    )


def _unknown_thing(scene: Scene, phrase: Phrase) -> SpatialAnswer:
    """What can be asked for, since nothing here is ever called by the noun: that none is found would say nothing."""
    return SpatialAnswer(
        status=StatusCode.NOT_UNDERSTOOD,
        text=_limited([
            f'I cannot tell whether something is "{_echo(phrase.noun or phrase.text)}": the objects here are known by '
            "colour and shape only.",
            vocabulary(),
        ]),
        stamp_ns=scene.stamp_ns,
    )  # fmt: skip


# --- answering ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What an answer is made from: the scene, what was asked about, the objects that fit, how, and who looks."""

    scene: Scene
    phrase: Phrase
    found: tuple[SceneObject, ...]
    notes: tuple[str, ...]
    viewpoint: RigidTransform | None


def _where(asked: _Asked) -> SpatialAnswer:
    """Where the one object is; all of them when several were asked for; which ones when it is not clear."""
    if not asked.found:
        return SpatialAnswer(
            status=StatusCode.NOT_FOUND,
            text=_limited([f'I see no "{_echo(asked.phrase.text)}".', *asked.notes, _known(asked.scene)]),
            steps=(_match_step(asked),),
            stamp_ns=asked.scene.stamp_ns,
        )
    places = [f"The {_name(one)} is {_place(asked, one)}." for one in asked.found]
    is_clear = len(asked.found) == 1 or asked.phrase.is_plural
    head = [] if len(asked.found) == 1 else [f'{len(asked.found)} objects match "{_echo(asked.phrase.text)}".']
    tail = [] if len(asked.found) > 1 else [f"It measures {_size(asked.found[0])}."]
    center = tuple(float(c) for c in asked.found[0].box.center)
    value = (center[0], center[1], center[2]) if len(asked.found) == 1 else None
    return SpatialAnswer(
        status=StatusCode.OK if is_clear else StatusCode.AMBIGUOUS,
        text=_limited([*head, *asked.notes, *places, *tail]),
        value=value,
        value_type=ValueType.NONE if value is None else ValueType.POSITION,
        value_text="" if value is None else f"{numbers(asked.found[0].box.center)} m in {_echo(asked.scene.frame_id)}",
        unit="" if value is None else "m",
        object_ids=tuple(one.id for one in asked.found),
        steps=(_match_step(asked), *(_measure_step(asked.scene, one) for one in asked.found[:MAX_NAMED])),
        stamp_ns=asked.scene.stamp_ns,
    )


def _count(asked: _Asked) -> SpatialAnswer:
    """How many there are; none is an answer too."""
    match = "object matches" if len(asked.found) == 1 else "objects match"
    named = f": {_names(asked.found)}" if asked.found else ""
    sentence = f'{len(asked.found)} {match} "{_echo(asked.phrase.text)}"{named}.'
    return SpatialAnswer(
        status=StatusCode.OK,
        text=_limited([sentence, *asked.notes, *([] if asked.found else [_known(asked.scene)])]),
        value=float(len(asked.found)),
        value_type=ValueType.COUNT,
        value_text=str(len(asked.found)),
        unit="1",
        object_ids=tuple(one.id for one in asked.found),
        steps=(_match_step(asked),),
        stamp_ns=asked.scene.stamp_ns,
    )


def _exists(asked: _Asked) -> SpatialAnswer:
    """Whether there is one."""
    if asked.found:
        text = _limited(["Yes.", *asked.notes, *(f"The {_name(one)} is {_place(asked, one)}." for one in asked.found)])
    else:
        text = _limited([f'No, I see no "{_echo(asked.phrase.text)}".', *asked.notes, _known(asked.scene)])
    return SpatialAnswer(
        status=StatusCode.OK,
        text=text,
        value=bool(asked.found),
        value_type=ValueType.BOOLEAN,
        value_text="yes" if asked.found else "no",
        object_ids=tuple(one.id for one in asked.found),
        steps=(_match_step(asked),),
        stamp_ns=asked.scene.stamp_ns,
    )


def _list(asked: _Asked) -> SpatialAnswer:
    """Everything that is known, with place and size."""
    lines = [f"The {_name(one)} is {_place(asked, one)}, {_size(one)}." for one in asked.found]
    noun = "object" if len(asked.found) == 1 else "objects"
    return SpatialAnswer(
        status=StatusCode.OK,
        text=_limited([f"I see {len(asked.found)} {noun}." if asked.found else "I see no objects.", *lines]),
        value_text=f"{len(asked.found)} {noun}",
        object_ids=tuple(one.id for one in asked.found),
        steps=tuple(_measure_step(asked.scene, one) for one in asked.found[:MAX_NAMED]),
        stamp_ns=asked.scene.stamp_ns,
    )


ANSWERERS: dict[Intent, Callable[[_Asked], SpatialAnswer]] = {
    Intent.WHERE: _where,
    Intent.COUNT: _count,
    Intent.EXISTS: _exists,
    Intent.LIST: _list,
}


# --- wording --------------------------------------------------------------------------------------------------------


def _place(asked: _Asked, one: SceneObject) -> str:
    """Where an object is, in the words people use for that frame."""
    scene, viewpoint, center = asked.scene, asked.viewpoint, one.box.center
    if viewpoint is not None:
        ahead, left, up = viewpoint.inverse().apply(center)
        return f"{_directions(ahead, -left, up, 'viewpoint')}, at {numbers(center)} m in {_echo(scene.frame_id)}"
    if "optical" in scene.frame_id:  # REP-103: the suffix of frames whose axes are x right, y down, z forward
        right, down, ahead = center
        return _directions(ahead, right, -down, "camera")
    return f"at {numbers(center)} m in {_echo(scene.frame_id)}"


def _directions(ahead: float, right: float, up: float, viewer: str) -> str:
    """Such as "0.85 m ahead of the camera, 0.12 m to the right, 0.05 m lower"."""
    depth = f"{abs(ahead):.2f} m {'ahead of' if ahead >= 0 else 'behind'} the {viewer}"
    side = f", {abs(right):.2f} m to the {'right' if right > 0 else 'left'}" if abs(right) >= LEVEL_M else ""
    height = f", {abs(up):.2f} m {'higher' if up > 0 else 'lower'}" if abs(up) >= LEVEL_M else ""
    return f"{depth}{side}{height}"


def numbers(point: FloatArray) -> str:
    """A point in words, such as "x 1.20, y -0.35, z 0.76"; a centimetre is what these measurements are good for.

    Args:
        point: (3,) metres.

    Returns:
        The three coordinates.
    """
    # adding zero turns -0.00 into 0.00
    return ", ".join(f"{axis} {value:.2f}" for axis, value in zip("xyz", np.round(point, 2) + 0.0, strict=True))


def _size(one: SceneObject) -> str:
    """Such as "20 x 10 x 8 cm", along the box's own axes."""
    return " x ".join(f"{100 * side:.0f}" if side >= 0.095 else f"{100 * side:.1f}" for side in one.box.size) + " cm"


def _name(one: SceneObject) -> str:
    """Such as "red box 3", so that equal ones can be told apart."""
    return f"{_echo(one.label)} {one.id}"


def _names(found: Sequence[SceneObject]) -> str:
    """Names in a row, at most ``MAX_NAMED``."""
    rest = [f"{len(found) - MAX_NAMED} more"] if len(found) > MAX_NAMED else []
    return ", ".join([*(_name(one) for one in found[:MAX_NAMED]), *rest])


def _known(scene: Scene) -> str:
    """What there is instead."""
    return f"I see: {_names(scene.objects)}." if scene.objects else "I see no objects at all."


def _match_step(asked: _Asked) -> str:
    """How the objects were chosen."""
    wanted = " and ".join(f'"{_echo(word)}"' for word in asked.phrase.words) or "anything"
    names = f": {_names(asked.found)}" if asked.found else ""
    how = " ".join(["", *asked.notes])
    return f"{len(asked.found)} of {len(asked.scene.objects)} objects fit {wanted}{names}.{how}"


def _measure_step(scene: Scene, one: SceneObject) -> str:
    """What was measured of an object, and how well."""
    stddev_m = float(np.sqrt(np.trace(one.uncertainty.center_covariance_m2) / 3))
    age_s = (scene.stamp_ns - one.last_seen_ns) * 1e-9
    seen = "in this image" if age_s <= 0 else f"{age_s:.1f} s before this image"
    return (
        f"{_name(one)}: centre {numbers(one.box.center)} m in {_echo(scene.frame_id)}, give or take {stddev_m:.3f} m; "
        f"size {_size(one)}; found in {one.observations} image{'' if one.observations == 1 else 's'}, last {seen}."
    )


def _echo(words: str) -> str:
    """Words from outside as they may be shown: one line, printable, short."""
    shown = "".join(c if c.isprintable() else " " for c in words[: MAX_ECHO_CHARS + 1])
    return shown if len(words) <= MAX_ECHO_CHARS else shown[:MAX_ECHO_CHARS] + "\u2026"


def _limited(sentences: Sequence[str]) -> str:
    """Sentences in a row, as many as fit; what is left out is counted."""
    room, kept = MAX_TEXT_CHARS - len("And 1000 more."), list[str]()
    for number, sentence in enumerate(sentences):
        if len(kept) > MAX_NAMED or len(sentence) + 1 > room:
            return " ".join([*kept, f"And {len(sentences) - number} more."])
        room -= len(sentence) + 1
        kept.append(sentence)
    return " ".join(kept)
