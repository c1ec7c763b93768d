"""Draft: a question with the answer that its template claims, before the node's code was asked; and what draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from model_training.questions.asked_frame import AskedFrame, AskedObject
from model_training.questions.config import Margins, QuestionConfig
from model_training.questions.names import Names
from n3d_ros.codec.reasoning import PLAIN_NAMES_UP_TO
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.transforms import optical_to_model

COLORED_SHARE = 0.15  # of names that tell a colour although the label is enough
One = TypeVar("One")


class NotAskedError(Exception):
    """Leaves the making of one question; its text is the reason, as statistics count it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Named:
    """An object as a question calls it.

    Args:
        object: what is meant.
        name: words that mean it alone in the frame.
        letter: "A", "B", ... as the reasoning calls it.
        tag: its name in the reasoning: the label, or with its number in the list of boxes where there are many.
    """

    object: AskedObject
    name: str
    letter: str
    tag: str

    @property
    def the(self) -> str:
        """With article."""
        return f"the {self.name}"

    @property
    def center(self) -> FloatArray:
        """(3,) float64 of its box, metres, x left, y up, z forward as in texts, but not rounded."""
        center: FloatArray = optical_to_model(self.object.box.center)
        return center


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draft:
    """A question with the answer that its template claims.

    Args:
        question: in words, one sentence.
        things: in the order in which their boxes are written.
        steps: the reasoning, without its tags.
        answer: the final sentence.
        value_type: as in ``QuestionRecord``.
        value: as in ``QuestionRecord``; a number as the text states it.
        unit: as in ``QuestionRecord``.
        viewpoint: as in ``QuestionRecord``.
        chosen: ids of the objects that a value in names names, in its order.
    """

    question: str
    things: tuple[Named, ...]
    steps: str
    answer: str
    value_type: str
    value: str
    unit: str = ""
    viewpoint: str = "camera"
    chosen: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawing:
    """What the templates draw from.

    Args:
        frame: the frame.
        names: of the frame.
        config: what is asked.
        rng: source of chance.
    """

    frame: AskedFrame
    names: Names
    config: QuestionConfig
    rng: np.random.Generator

    @property
    def margins(self) -> Margins:
        """How clear answers must be."""
        return self.config.margins

    def one_of(self, choices: Sequence[One]) -> One:
        """One of several, each as likely.

        Args:
            choices: at least one.

        Returns:
            One of them.
        """
        return choices[int(self.rng.integers(len(choices)))]

    def happens(self, share: float) -> bool:
        """Whether something with this chance comes about.

        Args:
            share: 0 to 1.

        Returns:
            True in that share of calls.
        """
        return bool(self.rng.random() < share)

    def things(self, count: int, *, whole: bool = False) -> tuple[Named, ...]:
        """Objects in an order of chance, each with a name that means it alone.

        Args:
            count: how many.
            whole: whether enough of them must be seen for their sizes to mean something.

        Returns:
            The objects.

        Raises:
            NotAskedError: there are not enough.
        """
        fit = [one for one in self.frame.objects if not whole or self.is_whole(one)]
        named: list[tuple[AskedObject, str]] = []
        for k in self.rng.permutation(len(fit)).tolist():
            name = self._name(fit[k])
            clashes = count <= PLAIN_NAMES_UP_TO and any(other.label == fit[k].label for other, _ in named)
            if name is not None and not clashes:  # the reasoning calls few objects by their labels alone
                named.append((fit[k], name))
            if len(named) == count:
                return lettered(named)
        raise NotAskedError("not enough objects that can be told apart")

    def every(self) -> tuple[Named, ...]:
        """All objects of the frame in the order of writing; those without a name of their own have none.

        Returns:
            The objects; ``name`` may be empty.

        Raises:
            NotAskedError: something is there that cannot be counted on, or labels alone would be used twice.
        """
        objects = self.frame.objects
        if self.frame.faint or self.frame.unplaced or not self.frame.is_complete:
            raise NotAskedError("not everything that is there is known well")
        if len(objects) <= PLAIN_NAMES_UP_TO and len({one.label for one in objects}) < len(objects):
            raise NotAskedError("not enough objects that can be told apart")
        return lettered([(one, self._name(one, colored=False) or "") for one in objects])

    def check_free(self, reference: Named, *things: Named) -> None:
        """Refuses a thing and what carries it: a mug is neither left of its table, nor nearer to a lamp than it is.

        Args:
            reference: one of them.
            things: the others, each beside the reference alone.

        Raises:
            NotAskedError: the reference carries one of them, or is carried by it.
        """
        below, own = self.frame.carriers, reference.object.id
        if any(own in below(one.object.id) or one.object.id in below(own) for one in things):
            raise NotAskedError("one carries the other")

    def check_apart(self, apart_m: float, a: Named, b: Named) -> None:
        """Refuses two things of which one is hardly further along than the other.

        Args:
            apart_m: by how much, along whatever is asked about, of either sign.
            a: one of them.
            b: the other.

        Raises:
            NotAskedError: that is within the margins of a place, or little beside how large the two are.
        """
        extent_m = float((a.object.box.size.mean() + b.object.box.size.mean()) / 2)
        if abs(apart_m) < max(self.margins.side_m, self.margins.side_share * extent_m):
            raise NotAskedError("too close to call")

    def is_whole(self, one: AskedObject) -> bool:
        """Whether enough is seen of an object for its size and place to mean something.

        Args:
            one: the object.

        Returns:
            True for whole boxes, and for visible ones that are neither cut by the image nor mostly hidden.
        """
        if self.frame.target_box == "full":
            return True
        seen = one.record.visible_fraction
        return not one.record.touches_border and (seen is None or seen >= self.config.min_fraction_for_sizes)

    def _name(self, one: AskedObject, *, colored: bool = True) -> str | None:
        label, color = one.label, one.record.color
        is_colored = color and colored and self.happens(COLORED_SHARE)
        choices = [f"{color} {label}", label] if is_colored else [label, f"{color} {label}"]
        return next((words for words in choices if words.strip() and self.names.the_one(words) == one.id), None)


def lettered(named: Sequence[tuple[AskedObject, str]]) -> tuple[Named, ...]:
    """Objects with the names that a reasoning text calls them by.

    Args:
        named: objects and their names in the question, in the order in which their boxes are written.

    Returns:
        The same, lettered and tagged.
    """
    is_numbered = len(named) > PLAIN_NAMES_UP_TO
    return tuple(
        Named(
            object=one,
            name=name,
            letter=chr(ord("A") + k),
            tag=f"{k}_{one.label}" if is_numbered else one.label,
        )
        for k, (one, name) in enumerate(named)
    )
