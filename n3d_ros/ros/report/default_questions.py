"""Questions for a report when nobody asked any: about the things that are in the scene, one of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from n3d_ros.ros.bag_questions import BagQuestion
from n3d_ros.scene.objects import SceneObject

MAX_NAME_CHARS = 48
FIRST = "What do you see?"


def default_questions(objects: Sequence[SceneObject]) -> tuple[BagQuestion, ...]:
    """Questions that a scene gives rise to.

    Args:
        objects: that the scene holds.

    Returns:
        At most nine; only things whose name no other one bears are asked for singly, those seen last first.
    """
    ranked = sorted(objects, key=lambda item: (-item.last_seen_ns, -item.observations, item.id))
    names = [item.label for item in ranked]
    names = [name for name in names if len(name) <= MAX_NAME_CHARS and name.isprintable()]
    counts = Counter(names)
    single = [name for name in names if counts[name] == 1 and not _is_said_by_another(name, names)]
    texts = [FIRST, "How many objects are there?"]
    texts += [f"How many {name}s are there?" for name, count in counts.items() if count > 1][:1]
    if single:
        texts += [f"Where is the {single[0]}?", f"How tall is the {single[0]}?"]
    if len(single) > 1:
        first, second = single[:2]
        texts += [
            f"How far is the {first} from the {second}?",
            f"Is the {first} left of the {second}?",
            f"Which is taller, the {first} or the {second}?",
        ]
    if len(names) > 1:
        texts.append("What is the largest object?")
    return tuple(BagQuestion(text=text) for text in texts)


def _is_said_by_another(name: str, names: Sequence[str]) -> bool:
    """Whether another name has all words of this one, as "red and white box" has those of "red box"."""
    words = set(name.split())
    return any(words < set(other.split()) for other in names)


def questions_on_the_way(duration_s: float) -> tuple[BagQuestion, ...]:
    """Questions that are asked before the end.

    Args:
        duration_s: of the bag.

    Returns:
        One, in the middle.
    """
    return (BagQuestion(text="How many objects are there?", at_s=round(duration_s / 2, 2)),)
