"""The words of questions: several ways to ask the same. "{a}" stands for "the mug", "{side}" for "left".

All of them are understood by the node's reader; words that could hint at the answer (the order of names, which of two
opposite words is used) are drawn apart from the truth.
"""

from __future__ import annotations

from collections.abc import Mapping

SIDES: Mapping[str, tuple[str, ...]] = {
    "left": (
        "Is {a} to the left of {b}?", "Is {a} on the left side of {b}?", "Is {a} left of {b}?",
        "Does {a} appear on the left-hand side of {b}?", "Can you confirm if {a} is to the left of {b}?",
        "Is {a} positioned on the left of {b}?", "Would you say that {a} is to the left of {b}?",
    ),
    "right": (
        "Is {a} to the right of {b}?", "Is {a} on the right side of {b}?", "Is {a} right of {b}?",
        "Does {a} appear on the right-hand side of {b}?", "Can you confirm if {a} is to the right of {b}?",
        "Is {a} positioned on the right of {b}?", "Would you say that {a} is to the right of {b}?",
    ),
    "front": (
        "Is {a} in front of {b}?", "Does {a} come in front of {b}?", "Is {a} located in front of {b}?",
        "Can you confirm if {a} is in front of {b}?", "Would you say that {a} is in front of {b}?",
    ),
    "behind": (
        "Is {a} behind {b}?", "Does {a} come behind {b}?", "Is {a} located behind {b}?",
        "Can you confirm if {a} is behind {b}?", "Would you say that {a} is behind {b}?",
    ),
    "above": (
        "Is {a} above {b}?", "Is {a} higher than {b}?", "Is {a} positioned above {b}?",
        "Can you confirm if {a} is above {b}?", "Would you say that {a} is higher than {b}?",
    ),
    "below": (
        "Is {a} below {b}?", "Is {a} lower than {b}?", "Is {a} positioned below {b}?",
        "Can you confirm if {a} is below {b}?", "Would you say that {a} is lower than {b}?",
    ),
}  # fmt: skip
"""Questions for yes or no, by side."""
EITHER: Mapping[str, tuple[str, ...]] = {
    "left_right": ("Is {a} to the left or to the right of {b}?", "Is {a} left or right of {b}?"),
    "front_behind": ("Is {a} in front of or behind {b}?",),
    "above_below": ("Is {a} above or below {b}?", "Is {a} higher or lower than {b}?"),
}
"""Questions for the side."""
WHICH_SIDE: Mapping[str, tuple[str, ...]] = {
    "left": ("Which one is further left, {a} or {b}?", "Which is further to the left, {a} or {b}?",
             "Between {a} and {b}, which one is further left?"),
    "right": ("Which one is further right, {a} or {b}?", "Which is further to the right, {a} or {b}?",
              "Between {a} and {b}, which one is further right?"),
    "front": ("Which is in front, {a} or {b}?", "Which one is closer to the camera, {a} or {b}?",
              "Which is closer to the camera, {a} or {b}?"),
    "behind": ("Which one is further back, {a} or {b}?", "Which one is farther from the camera, {a} or {b}?",
               "Which is farther from the camera, {a} or {b}?"),
    "above": ("Which is higher, {a} or {b}?", "Which one is higher, {a} or {b}?"),
    "below": ("Which is lower, {a} or {b}?", "Which one is lower, {a} or {b}?"),
}  # fmt: skip
"""Questions for one of two."""
WHICH_SIDE_OF_THREE: Mapping[str, tuple[str, ...]] = {
    "left": ("Which of {things} is the leftmost?", "Which of {things} is furthest to the left?"),
    "right": ("Which of {things} is the rightmost?", "Which of {things} is furthest to the right?"),
    "above": ("Which of {things} is the highest?",),
    "below": ("Which of {things} is the lowest?",),
}
OPPOSITE = (
    "From the opposite side, {q}", "For someone facing the camera, {q}", "Seen from the opposite side, {q}",
    "Viewed from the opposite side, {q}", "From the opposite perspective, {q}", "From the opposite viewpoint, {q}",
)  # fmt: skip
"""What is said before a question that is meant from the other side."""
FACING = (
    "If you are standing at {a}, facing {b}, {q}", "Standing at {a} and facing {b}, {q}",
    "When standing at {a} and facing {b}, {q}", "If you are at {a} facing {b}, {q}",
)  # fmt: skip
FACING_SIDES: Mapping[str, tuple[str, ...]] = {
    "": ("is {c} on your left or on your right?", "is {c} to your left or to your right?"),
    "left": ("is {c} on your left?", "is {c} to your left?"),
    "right": ("is {c} on your right?", "is {c} to your right?"),
}

COMPARED: Mapping[str, tuple[str, ...]] = {
    "wider": ("Is {a} wider than {b}?", "Does {a} have a greater width than {b}?",
              "Would you say that {a} is wider than {b}?"),
    "thinner": ("Is {a} thinner than {b}?", "Is {a} narrower than {b}?",
                "Does {a} have a smaller width compared to {b}?"),
    "taller": ("Is {a} taller than {b}?", "Does {a} have a greater height compared to {b}?",
               "Would you say that {a} is taller than {b}?"),
    "shorter": ("Is {a} shorter than {b}?", "Does {a} have a smaller height compared to {b}?",
                "Would you say that {a} is shorter than {b}?"),
    "bigger": ("Is {a} bigger than {b}?", "Is {a} larger than {b}?", "Would you say that {a} is bigger than {b}?"),
    "smaller": ("Is {a} smaller than {b}?", "Is {a} smaller in size than {b}?",
                "Would you say that {a} is smaller than {b}?"),
}  # fmt: skip
WHICH_COMPARED: Mapping[str, tuple[str, ...]] = {
    word: (f"Which is {word}, {{a}} or {{b}}?", f"Which one is {word}, {{a}} or {{b}}?",
           f"Between {{a}} and {{b}}, which one is {word}?")
    for word in COMPARED
}  # fmt: skip
SUPERLATIVES: Mapping[str, str] = {
    "wider": "widest", "thinner": "narrowest", "taller": "tallest", "shorter": "shortest", "bigger": "biggest",
    "smaller": "smallest",
}  # fmt: skip
WHICH_MOST = ("Which of {things} is the {most}?",)

WIDTH = ("How wide is {a}?", "What is the width of {a}?", "Give me the width of {a}.",
         "Can you tell me how wide {a} is?", "Could you tell me the width of {a}?")  # fmt: skip
HEIGHT = ("How tall is {a}?", "What is the height of {a}?", "Give me the height of {a}.",
          "Can you tell me how tall {a} is?", "Could you tell me the height of {a}?")  # fmt: skip
DISTANCE = (
    "How far is {a} from {b}?", "What is the distance between {a} and {b}?", "How far apart are {a} and {b}?",
    "What is the distance from {a} to {b}?", "Could you tell me the distance between {a} and {b}?",
)  # fmt: skip
CAMERA_DISTANCE = (
    "How far is {a} from the camera?", "How far away is {a}?", "What is the distance between the camera and {a}?",
    "What is the distance from the camera to {a}?",
)  # fmt: skip
HORIZONTAL = ("What is the horizontal distance between {a} and {b}?", "How far is {a} from {b} horizontally?",
              "Could you measure the horizontal distance between {a} and {b}?",
              "How far apart are {a} and {b} horizontally?")  # fmt: skip
VERTICAL = ("What is the vertical distance between {a} and {b}?", "How far is {a} from {b} vertically?",
            "Could you measure the vertical distance between {a} and {b}?",
            "How far apart are {a} and {b} vertically?")  # fmt: skip
CLOCK = (
    "If you are at {a}, at what o'clock is {b}?", "If you are at {a}, where will you find {b}?",
    "At what o'clock is {b} from {a}?", "In which clock direction is {b} from {a}?",
    "If you are standing at {a}, in which clock direction will you find {b}?",
    "Standing at {a}, at what o'clock is {b}?",
)  # fmt: skip
CLOCK_FACING = ("If you are at {a} facing {b}, at what o'clock is {c}?",
                "Standing at {a} and facing {b}, at what o'clock is {c}?")  # fmt: skip
NEARER: Mapping[str, tuple[str, ...]] = {
    "closer": ("Which is closer to {r}, {a} or {b}?", "Which is nearer to {r}, {a} or {b}?",
               "Which one is closer to {r}, {a} or {b}?"),
    "farther": ("Which is farther from {r}, {a} or {b}?", "Which one is farther from {r}, {a} or {b}?"),
}  # fmt: skip
IS_NEARER: Mapping[str, tuple[str, ...]] = {
    "closer": ("Is {a} closer to {r} than {b} is?",),
    "farther": ("Is {a} farther from {r} than {b} is?",),
}
"""With "is" at the end: else "than the bowl" could also mean "than to the bowl"."""
NEAREST: Mapping[str, tuple[str, ...]] = {
    "closer": ("Which of {things} is closest to {r}?", "Which of {things} is nearest to {r}?"),
    "farther": ("Which of {things} is farthest from {r}?",),
}
ORDER: Mapping[str, tuple[str, ...]] = {
    "closer": ("Sort {things} from nearest to farthest.", "What is the depth order of {things}?",
               "What is the order of {things} from closest to farthest?", "List {things} from nearest to farthest."),
    "farther": ("List {things} from farthest to nearest.", "Order {things} from farthest to nearest.",
                "Sort {things} from farthest to nearest."),
}  # fmt: skip
FURTHEST: Mapping[str, tuple[str, ...]] = {
    "closer": ("Which of {things} is the closest to the camera?", "Which of {things} is nearest to the camera?",
               "Among {things}, which one is closest to the camera?"),
    "farther": ("Which of {things} is the farthest?", "Which of {things} is farthest from the camera?",
                "Among {things}, which one is farthest from the camera?"),
}  # fmt: skip
FURTHEST_OF_ALL: Mapping[str, tuple[str, ...]] = {
    "closer": ("Which object is closest to the camera?", "What is the nearest object?"),
    "farther": ("Which object is the furthest away?", "Which object is farthest from the camera?"),
}


def lowered(question: str) -> str:
    """A question as it stands behind a comma.

    Args:
        question: with a capital at its beginning.

    Returns:
        The same without it.
    """
    return question[:1].lower() + question[1:]


def listed(names: tuple[str, ...]) -> str:
    """Names in a row.

    Args:
        names: two or more, with articles.

    Returns:
        Such as "the mug, the bowl and the lamp".
    """
    return f"{', '.join(names[:-1])} and {names[-1]}"
