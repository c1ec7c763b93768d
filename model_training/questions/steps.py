"""Reasoning texts in the style of the released model: what is recalled, the arithmetic, the conclusion.

Coordinates are the model's: X to the left, Y up, Z forward, metres. All arithmetic starts from the numbers as they are
stated, so that whoever reads along comes to the same results; ``checked_text`` re-reads each of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from model_training.questions.draft import Named, NotAskedError
from n3d_ros.codec.reasoning import DECIMALS

VOLUME_DECIMALS = 6  # a litre is 0.001 m^3
RADIAN_DECIMALS = 3
AXES = {"X": 0, "Y": 1, "Z": 2}
SIZES = {"W": 0, "H": 1, "D": 2}
SIZE_WORDS = {"W": "width", "H": "height", "D": "depth"}


def figure(value: float, decimals: int = DECIMALS) -> str:
    """A number as texts have it.

    Args:
        value: the number.
        decimals: places behind the point at most.

    Returns:
        Such as "0.3" or "-1.25"; no exponent, no "-0.0".
    """
    rounded = round(float(value), decimals) + 0.0
    text = f"{rounded:.{decimals}f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def stated(letter: str, thing: Named) -> float:
    """A number of an object as texts state it.

    Args:
        letter: "X", "Y", "Z" of its centre, "W", "H", "D" of its size, "V" for the volume that these make.
        thing: the object.

    Returns:
        Metres, or cubic metres.
    """
    if letter in AXES:
        return thing.object.center_m[AXES[letter]]
    if letter in SIZES:
        return thing.object.size_m[SIZES[letter]]
    return round(math.prod(thing.object.size_m), VOLUME_DECIMALS)


def vector(a: Named, b: Named, axes: str = "XYZ") -> tuple[float, ...]:
    """From one object to another, of the numbers as stated.

    Args:
        a: from.
        b: to.
        axes: which components.

    Returns:
        Metres, rounded.
    """
    return tuple(round(stated(axis, b) - stated(axis, a), DECIMALS) + 0.0 for axis in axes)


def boxes(things: Sequence[Named]) -> str:
    """The boxes as they were located.

    Args:
        things: the objects.

    Returns:
        A sentence for each.
    """
    return " ".join(
        f"The 3D bbox of {one.tag} is {_row((*one.object.center_m, *one.object.size_m), '[]')}." for one in things
    )


def centers(things: Sequence[Named]) -> str:
    """The centres of the boxes.

    Args:
        things: the objects.

    Returns:
        A sentence for each.
    """
    return " ".join(f"The 3D center coordinate of {one.tag} is {_row(one.object.center_m, '[]')}." for one in things)


def values(letter: str, things: Sequence[Named]) -> str:
    """One number of several objects.

    Args:
        letter: as ``stated`` takes it.
        things: the objects.

    Returns:
        Such as "Z_A = 1.25, Z_B = 0.8".
    """
    return ", ".join(f"{letter}_{one.letter} = {figure(stated(letter, one), _decimals(letter))}" for one in things)


def chain(letter: str, things: Sequence[Named], sign: str) -> str:
    """One number of several objects in order.

    Args:
        letter: as ``stated`` takes it.
        things: in the order of the number.
        sign: "<" or ">".

    Returns:
        Such as "Z_B = 0.8 < Z_A = 1.25".

    Raises:
        NotAskedError: as stated, the numbers are not in this order.
    """
    return chained([(f"{letter}_{one.letter}", stated(letter, one)) for one in things], sign, _decimals(letter))


def chained(numbers: Sequence[tuple[str, float]], sign: str, decimals: int = DECIMALS) -> str:
    """Numbers in order.

    Args:
        numbers: names and values as stated, in the order of the values.
        sign: "<" or ">".
        decimals: places behind the point at most.

    Returns:
        Such as "distance_AC = 0.5 < distance_BC = 0.8".

    Raises:
        NotAskedError: as stated, the numbers are not in this order.
    """
    if any((a >= b) if sign == "<" else (a <= b) for (_, a), (_, b) in pairwise(numbers)):
        raise NotAskedError("two decimals do not tell the difference")
    return f" {sign} ".join(f"{name} = {figure(value, decimals)}" for name, value in numbers)


def volumes(things: Sequence[Named]) -> str:
    """How the volumes come about.

    Args:
        things: the objects.

    Returns:
        A sentence for each.
    """
    return " ".join(
        f"V_{one.letter} = {' * '.join(figure(stated(k, one)) for k in SIZES)} = "
        f"{figure(stated('V', one), VOLUME_DECIMALS)}."
        for one in things
    )


def distance(a: Named, b: Named, axes: str = "XYZ", name: str = "distance") -> tuple[str, float]:
    """How far two centres lie apart, along some axes.

    Args:
        a: from.
        b: to.
        axes: which components count.
        name: of the result.

    Returns:
        Such as "distance_AB = sqrt(0.3^2 + 0.4^2 + 0.0^2) = 0.5", and the number as stated.
    """
    parts = vector(a, b, axes)
    result = round(math.hypot(*parts), DECIMALS)
    squares = " + ".join(f"{_bracketed(part)}^2" for part in parts)
    return f"{name}_{a.letter}{b.letter} = sqrt({squares}) = {figure(result)}", result


def difference(a: Named, b: Named, axes: str = "XYZ") -> str:
    """The vector between two centres.

    Args:
        a: from.
        b: to.
        axes: which components.

    Returns:
        Such as "vector_AB = B_pos - A_pos = (0.3, 0.4, 0.0)".
    """
    return f"vector_{a.letter}{b.letter} = {b.letter}_pos - {a.letter}_pos = {_row(vector(a, b, axes), '()')}"


def angle(a: Named, b: Named, name: str = "angle") -> tuple[str, float]:
    """In which direction a thing lies from another, counter-clockwise from straight ahead.

    Args:
        a: from where.
        b: what.
        name: of the angle.

    Returns:
        The two equations, and degrees as stated.

    Raises:
        NotAskedError: as stated, one is where the other is.
    """
    left, ahead = vector(a, b, "XZ")
    if left == 0 and ahead == 0:
        raise NotAskedError("two decimals do not tell the difference")
    radians = math.atan2(left, ahead)
    degrees = round(math.degrees(radians), DECIMALS) + 0.0
    pair = f"vector_{a.letter}{b.letter}"
    return (
        f"{name}_rad = atan2({pair}[0], {pair}[1]) = atan2({figure(left)}, {figure(ahead)}) = "
        f"{figure(radians, RADIAN_DECIMALS)} (radians). "
        f"{name}_deg = degrees({name}_rad) = {figure(degrees)} (degrees).",
        degrees,
    )


def clock(angle_deg: float, source: str) -> tuple[str, int]:
    """From an angle to the hour.

    Args:
        angle_deg: as stated.
        source: the name of that number in the text.

    Returns:
        Steps 3 and 4, and the hour, 1 to 12.
    """
    turned = round((angle_deg + 360) % 360, DECIMALS)
    position = 12 - int(turned // 30)
    wrap = " Since clock_position = 0, it wraps around to 12." if position == 0 else ""
    return (
        f"Step 3: Normalize the angle into [0, 360) degrees: normalized_angle = ({source} + 360) % 360 = "
        f"{figure(turned)}. Step 4: Convert the normalized angle to clock position (1 to 12), where each hour "
        f"corresponds to 30 degrees: clock_position = 12 - (normalized_angle // 30) = {position}.{wrap}",
        position or 12,
    )


def turned(a: Named, b: Named, c: Named) -> tuple[str, float]:
    """On which side one passes a thing on the way from one to another: above 0 on the left.

    Args:
        a: where one stands.
        b: what one faces.
        c: the thing.

    Returns:
        The equation, and its result as stated.
    """
    (face_x, face_z), (to_x, to_z) = vector(a, b, "XZ"), vector(a, c, "XZ")
    result = round(to_x * face_z - to_z * face_x, DECIMALS + 2) + 0.0
    return (
        f"cross_{a.letter}{b.letter}{c.letter} = {_bracketed(to_x)} * {_bracketed(face_z)} - {_bracketed(to_z)} * "
        f"{_bracketed(face_x)} = {figure(result, DECIMALS + 2)}",
        result,
    )


def _decimals(letter: str) -> int:
    return VOLUME_DECIMALS if letter == "V" else DECIMALS


def _bracketed(value: float) -> str:
    return f"({figure(value)})" if value < 0 else figure(value)


def _row(numbers: Sequence[float], brackets: str) -> str:
    return f"{brackets[0]}{', '.join(figure(value) for value in numbers)}{brackets[1]}"
