"""What words mean in a frame, found by the node's own code, and how its objects can be called so that one is meant."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from model_training.data.records import ObjectRecord
from model_training.questions.asked_frame import AskedFrame, AskedObject, material_word
from n3d_ros.scene.answers.context import Context, UnansweredError
from n3d_ros.scene.answers.resolve import meanings
from n3d_ros.scene.nouns_alike import SAME_NAMES, singular, words_of
from n3d_ros.scene.phrases import COLORS, FILLERS, Phrase
from n3d_ros.scene.questions.budget import MAX_S
from n3d_ros.scene.questions.question import Question, Thing, Viewpoint, Where
from n3d_ros.scene.questions.reading import read

KEPT_READINGS = 16384  # of names and questions; the same ones come again in frame after frame
MAX_READS = 4  # of a text that the reader gave up for lack of time


def patiently_read(text: str) -> Question | None:
    """What the node reads in a question.

    Its reader stops at a limit of time, which a machine under load may come to with any text; so that neither questions
    nor verdicts depend on the load, it is asked again.

    Args:
        text: the question.

    Returns:
        The question; None where it is not understood.
    """
    for _ in range(MAX_READS):
        begun = time.monotonic()
        question = read(text).question
        if question is not None or time.monotonic() - begun < MAX_S:
            return question
    return None


@lru_cache(maxsize=KEPT_READINGS)
def understood(text: str) -> Question | None:
    """What the node reads in a question, remembered.

    Args:
        text: the question.

    Returns:
        As ``patiently_read``.
    """
    return patiently_read(text)


@lru_cache(maxsize=KEPT_READINGS)
def thing_of(words: str) -> Thing | None:
    """What the node reads in a name.

    Args:
        words: without article, such as "red mug left of the lamp".

    Returns:
        The thing; None where "Where is the ...?" is not understood, or asks more than that.
    """
    question = understood(f"Where is the {words}?")
    if question is None or question.viewpoint != Viewpoint() or not isinstance(question.intent, Where):
        return None
    return None if question.intent.relative_to is not None else question.intent.thing


def _is_called(phrase: Phrase, label: str) -> bool:
    """Whether a label itself says what a phrase names: by its last words, as a floor lamp is a lamp, or in other words.

    The node takes what comes nearest, a cereal box where a tissue box is asked for, or an orange bowl for "orange";
    that is no answer to learn.
    """
    said, own = singulars(phrase.text), singulars(label)
    if phrase.noun is None:
        return said == own
    bare = tuple(word for word in said if COLORS.get(word) not in phrase.colors)
    return own[-len(bare) :] == bare or (bare in SAME_NAMES and phrase.is_named_alike_by(label))


def singulars(text: str) -> tuple[str, ...]:
    """The words of a text that name and describe, as two names are compared by them.

    Args:
        text: a name or a sentence.

    Returns:
        Each word in the singular, lower case; articles and the like left out.
    """
    return tuple(singular(word) for word in words_of(text) if word not in FILLERS)


class Names:
    """What words mean in one frame; every answer is remembered."""

    def __init__(self, frame: AskedFrame) -> None:
        self._frame = frame
        self._one: dict[tuple[str, str, bool], int | None] = {}
        self._all: dict[str, tuple[int, ...] | None] = {}

    def the_one(self, words: str, *, scene: str = "plain", level: bool = False) -> int | None:
        """The object that a phrase means, where it means one beyond doubt.

        Args:
            words: without article.
            scene: "plain"; "described" where the words tell a material, "whole" where they tell what touches what.
            level: whether sides are meant along level axes, where the vertical is known.

        Returns:
            Its id; None where several fit, or none, or the measuring error has a say, or too little is seen of it, or
            something without a box could be meant.
        """
        key = (words, scene, level)
        if key not in self._one:
            self._one[key] = self._meant(words, scene, level=level)
        return self._one[key]

    def all_called(self, words: str) -> tuple[int, ...] | None:
        """All objects that a name without places fits.

        Args:
            words: such as "mug" or "red mug".

        Returns:
            Their ids in the order of writing, none included; None where that cannot be told.
        """
        if words not in self._all:
            self._all[words] = self._fitting(words)
        return self._all[words]

    def short_names(self, one: AskedObject) -> Iterator[str]:
        """Names without places that mean this object alone.

        Args:
            one: the object.

        Yields:
            The plain label first, then with colour, then with material, the shortest that do.
        """
        if self.the_one(one.label) == one.id:
            yield one.label
        colored = f"{one.record.color} {one.label}"
        if one.record.color and self.the_one(colored) == one.id:
            yield colored
        material = material_word(one.record)
        if (
            material
            and self.tells_material(one)
            and self.the_one(f"{material} {one.label}", scene="described") == one.id
        ):
            yield f"{material} {one.label}"

    def tells_material(self, one: AskedObject) -> bool:
        """Whether a material can tell this object from all that are called like it: theirs are known, too.

        Args:
            one: the object.

        Returns:
            True when no other one's material is unknown.
        """
        called = self._ids_called(one.label)
        return bool(called) and all(self._record_of(i).material for i in called or ())

    def _meant(self, words: str, scene: str, *, level: bool) -> int | None:
        thing = thing_of(words)
        if thing is None or self._is_doubtful(thing.phrase):
            return None
        frame = self._frame
        known = (
            frame.described_scene if scene == "described" else frame.whole_scene if scene == "whole" else frame.scene
        )
        context = Context.of(known, frame.query(words, level=level))
        try:
            found = meanings(thing, context)
        except UnansweredError:
            return None
        first = found[0]
        is_doubtful = len(found) > 1 or len(first.bodies) > 1 or context.work.is_cut or first.tie or first.notes
        object_id = first.one.id
        return None if is_doubtful or object_id in frame.faint_ids else object_id

    def _fitting(self, words: str) -> tuple[int, ...] | None:
        found = self._ids_called(words)
        if found is None or not self._frame.faint_ids.isdisjoint(found):
            return None
        return self._frame.in_order(found)

    def _ids_called(self, words: str) -> tuple[int, ...] | None:
        thing = thing_of(words)
        if thing is None or thing.places or thing.extreme or thing.bounds or self._is_doubtful(thing.phrase):
            return None
        frame = self._frame
        context = Context.of(frame.scene, frame.query(words))
        try:
            found = meanings(thing, context, together=True)
        except UnansweredError:
            return None
        bodies = [body for one in found for body in one.bodies]
        if not all(_is_called(thing.phrase, body.label) for body in bodies):
            return None  # taken for it by its shape, its colour or a part of its name alone
        return tuple(body.id for body in bodies if body.id is not None)

    def _is_doubtful(self, phrase: Phrase) -> bool:
        """Whether a phrase could mean what has no box, or tells a colour that is not known of all that it may mean."""
        bare = replace(phrase, colors=())
        if any(bare.matches(label) for label in self._frame.unplaced):
            return True
        every = (one.record for one in (*self._frame.objects, *self._frame.faint))
        return bool(phrase.colors) and any(
            bare.matches(one.label, None, one.shape or None) for one in every if not one.color
        )

    def _record_of(self, object_id: int) -> ObjectRecord:
        return next(one.record for one in (*self._frame.objects, *self._frame.faint) if one.id == object_id)
