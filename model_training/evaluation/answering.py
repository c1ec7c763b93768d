"""Answers computed from found boxes as the node computes them, and the objects that a name means among them."""

from __future__ import annotations

from collections.abc import Sequence

from model_training.data.records import OPTICAL_FRAME
from model_training.evaluation.found import FoundObject
from model_training.questions.asked_frame import OPTICAL_T_VIEWER, STAMP_NS
from model_training.questions.names import patiently_read, singulars, understood
from n3d_ros.scene.answers.context import Context, UnansweredError
from n3d_ros.scene.answers.resolve import meanings
from n3d_ros.scene.nouns_alike import SAME_NAMES
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.phrases import COLORS, Phrase
from n3d_ros.scene.query import answer
from n3d_ros.scene.questions.question import Where
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialAnswer, SpatialQuery


def scene_of(objects: Sequence[FoundObject], target_box: str, ids: Sequence[int] = ()) -> Scene:
    """What a node knows after one look that found these objects, in the camera's optical frame.

    Args:
        objects: what was found.
        target_box: "visible" or "full": the boxes that the question's answer rests on.
        ids: numbers of the objects; empty: counted from 1.

    Returns:
        The scene.
    """
    numbers = ids or range(1, len(objects) + 1)
    known = [
        SceneObject.first(number, one.detection(target_box), STAMP_NS)
        for number, one in zip(numbers, objects, strict=True)
    ]
    return Scene(frame_id=OPTICAL_FRAME, stamp_ns=STAMP_NS, objects=tuple(known))


def computed_answer(scene: Scene, text: str, *, open_vocabulary: bool) -> SpatialAnswer:
    """The answer to a question asked by the camera, along its own axes.

    Args:
        scene: as ``scene_of`` makes it.
        text: the question.
        open_vocabulary: whether objects are called what they are.

    Returns:
        The answer; its status says when there is none.
    """
    # Read beforehand: given none, ``answer`` reads once more, for the words that were not understood.
    return answer(scene, _query(text, open_vocabulary=open_vocabulary), patiently_read(text))


def ids_called(name: str, scene: Scene) -> frozenset[int]:
    """The objects of a scene that a name means, as the node's code understands it.

    Args:
        name: such as "red mug" or "the mug left of the lamp".
        scene: the objects.

    Returns:
        Their ids; none where the name is not understood or nothing is called so.
    """
    article_free = name.strip().removeprefix("the ")
    question = understood(f"Where is the {article_free}?")
    if question is None or not isinstance(question.intent, Where) or question.intent.relative_to is not None:
        return frozenset()
    context = Context.of(scene, _query(name, open_vocabulary=True))
    try:
        found = meanings(question.intent.thing, context, together=True)
    except UnansweredError:
        return frozenset()
    phrase = question.intent.thing.phrase
    return frozenset(
        body.id for one in found for body in one.bodies if body.id is not None and _says(body.label, phrase)
    )


def _says(label: str, phrase: Phrase) -> bool:
    """Whether a label itself says what a phrase names: by its last words, as a floor lamp is a lamp, or in other words.

    The node takes what comes nearest, a grey box for "cereal box" or a cylinder for "candle": no exact answer.
    Questions are made by a rule of their own (``_is_called`` in ``questions.names``), which data sets rest on: there,
    an orange orange is not asked for by that name; here, one that is asked for is found.
    """
    said, own = singulars(phrase.text), singulars(label)
    # The last word is what the thing is called, even where it is a colour's word, too: an orange orange.
    bare = (*(word for word in said[:-1] if COLORS.get(word) not in phrase.colors), *said[-1:])
    if phrase.noun is None:
        return own in (said, bare)
    return own[-len(bare) :] == bare or (bare in SAME_NAMES and phrase.is_named_alike_by(label))


def _query(text: str, *, open_vocabulary: bool) -> SpatialQuery:
    return SpatialQuery(text=text, viewpoint=OPTICAL_T_VIEWER, open_vocabulary=open_vocabulary)
