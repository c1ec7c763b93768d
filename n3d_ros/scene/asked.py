"""Names that were asked for, given to what was found for them: a grounder of open vocabulary has words of its own.

Asked for "red mug", such a grounder may answer "mug" or "cup/mug". What it found is what was asked for, so an answer
calls it so; the scene keeps the grounder's own word.
"""

from __future__ import annotations

from collections.abc import Sequence

from n3d_ros.scene.answers.wording import numbers
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.phrases import Phrase, select, singular, words_of
from n3d_ros.scene.scene import Scene

MAX_NAMED = 8  # objects that a sentence names
NANOSECONDS = 1_000_000_000


def asked_name(label: str, nouns: Sequence[str], *, color: str | None = None, shape: str | None = None) -> str:
    """What an object that was found for these names is to be called.

    Args:
        label: the grounder's own word; several with a slash between them mean the same.
        nouns: the names asked for; empty: everything was looked for.
        color: the object's colour word, if known.
        shape: its shape word, if known.

    Returns:
        The label itself when it fits a name, or no name can be told to be the one; else the name, in the singular.
    """
    phrases = [(noun, phrase) for noun in nouns if (phrase := Phrase.parse(noun)) is not None]
    if any(phrase.matches(label, color, shape) and _has_all_words(phrase, label) for _, phrase in phrases):
        return label
    if len(phrases) == 1:
        return _singular(phrases[0][0])
    said = {singular(word) for word in words_of(label)}
    fitting = [noun for noun, phrase in phrases if phrase.noun in said and _color_fits(phrase, color)]
    return _singular(fitting[0]) if len(fitting) == 1 else label


def not_found(text: str, scene: Scene) -> str:
    """The sentence that says that a look found nothing, and where such a thing was seen last if one is remembered.

    Args:
        text: the phrase looked for; empty: anything.
        scene: what is known after the look, in the frame that positions are wanted in.

    Returns:
        One or two sentences.
    """
    names = ", ".join(one.label for one in scene.objects[:MAX_NAMED])
    noun = "object" if len(scene.objects) == 1 else "objects"
    known = f"the scene holds {len(scene.objects)} {noun}: {names}." if names else "the scene holds no objects."
    if not text:
        return f"This look found nothing; {known}"
    phrase = Phrase.parse(text)
    remembered = () if phrase is None else select(phrase, scene.objects).objects
    if not remembered:
        return f"Nothing here is called {text!r}; {known}"
    places = "; ".join(_last_seen(one, scene) for one in remembered[:MAX_NAMED])
    return f"This look did not find {text!r}. Remembered: {places}."


def _last_seen(one: SceneObject, scene: Scene) -> str:
    """Such as "mug 3, last seen 2.4 s ago at x 0.10, y -0.05, z 0.90 m in map"."""
    age_s = (scene.stamp_ns - one.last_seen_ns) / NANOSECONDS
    when = f"last seen {age_s:.1f} s ago" if age_s > 0 else "seen in this very image by an earlier look"
    return f"{one.label} {one.id}, {when} at {numbers(one.box.center)} m in {scene.frame_id}"


def _has_all_words(phrase: Phrase, label: str) -> bool:
    """Whether a label says everything of a name but its colours, which are told by measuring, too."""
    said = {singular(word) for word in words_of(label)}
    return all(word in said for word in phrase.adjectives)


def _color_fits(phrase: Phrase, color: str | None) -> bool:
    """Whether a measured colour speaks for a name, or at least not against it."""
    return color is None or not phrase.colors or any(word in words_of(color) for word in phrase.colors)


def _singular(noun: str) -> str:
    """A name for one thing."""
    head, _, last = noun.rpartition(" ")
    one = singular(last.lower())
    return f"{head} {last if one == last.lower() else one}".strip()
