"""Is a thing of a colour: IsColored."""

from __future__ import annotations

from collections.abc import Sequence

from n3d_ros.scene.answers.body import Body
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.describing import measured_step
from n3d_ros.scene.answers.finding import Finding, deciding, in_words, settled, yes_or_no
from n3d_ros.scene.answers.resolve import Meaning
from n3d_ros.scene.answers.wording import MAX_NAMED, echo, listed
from n3d_ros.scene.phrases import COLORS, words_of
from n3d_ros.scene.questions.question import IsColored
from n3d_ros.scene.spatial_answer import SpatialAnswer


def is_colored(intent: IsColored, context: Context) -> SpatialAnswer:
    """Whether a thing has a colour, or which of several.

    Args:
        intent: what is asked.
        context: what is known.

    Returns:
        Yes or no; with several colours the one that it has.
    """

    def compute(subject: Meaning) -> Finding:
        bodies = subject.bodies
        steps = [measured_step(body, context) for body in bodies[:MAX_NAMED]]
        if len(intent.colors) > 1:
            return _which(bodies[0], intent.colors, steps)
        found = [bool(_colors_of(body) & _plain(intent.colors)) for body in bodies]
        value = any(found) if intent.subject.is_any else all(found)
        sentences = deciding([_words(body) for body in bodies], found, value=value)
        return yes_or_no(value != intent.negated, sentences, bodies=bodies, steps=steps)

    return settled([intent.subject], context, compute)


def _which(body: Body, colors: Sequence[str], steps: Sequence[str]) -> Finding:
    """The colours of several that a body has."""
    fitting = [color for color in colors if _colors_of(body) & _plain([color])]
    words = _words(body)
    return in_words(listed(fitting) or "neither", (f"{words[:1].upper()}{words[1:]}",), bodies=(body,), steps=steps)


def _plain(words: Sequence[str]) -> set[str]:
    """Colour words as attributes use them."""
    return {COLORS.get(word, word) for one in words for word in words_of(one)}


def _colors_of(body: Body) -> set[str]:
    """The colours of a body, by its label where that says one, else as measured."""
    said = {word for word in words_of(body.label) if word in COLORS}
    return _plain(sorted(said)) if said else _plain([body.color or ""]) & set(COLORS)


def _words(body: Body) -> str:
    colors = listed(sorted(_colors_of(body)))
    return f"{body.the} is {echo(colors)}." if colors else f"I cannot tell the colour of {body.the}."
