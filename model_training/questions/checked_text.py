"""Re-reads a reasoning text: every number in it is recomputed, and one that no rule accounts for is a fault.

This does not share the code that writes the texts: it knows the boxes and the rules of arithmetic. Names are taken out
first, so that digits in them are no numbers. Then each claim is looked for by its form, checked, and its numbers ticked
off; what is left over was claimed in a form that cannot be checked.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Sequence
from itertools import count

from model_training.questions.draft import Named
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.transforms import optical_to_model

NUM = r"-?\d+(?:\.\d+)?(?!\.?\d)"  # a whole number, never the beginning of one
ANY_NUMBER = re.compile(NUM)
EXACT_M = 0.03  # of a length worked out from coordinates with two decimals: three times half a centimetre, twice
HALF = 0.5000001  # of the last decimal: what rounding may take or add
LETTERS = "XYZWHDV"
_ROW = rf"{NUM}(?:, {NUM})*"
_BOX = re.compile(rf"The 3D bbox of §([A-Z]) is \[({_ROW})\]")
_CENTER = re.compile(rf"The 3D center coordinate of §([A-Z]) is \[({_ROW})\]")
_VALUE = re.compile(rf"\b([{LETTERS}])_([A-Z]) = ({NUM})(?! \*)")
_CHAIN = re.compile(rf"\w+_[A-Z]+ = {NUM}(?: [<>] \w+_[A-Z]+ = {NUM})+")
_VOLUME = re.compile(rf"V_([A-Z]) = ({NUM} \* {NUM} \* {NUM}) = ({NUM})")
_VECTOR = re.compile(
    rf"(?:along ([XYZ](?: and [XYZ])*): )?vector_([A-Z])([A-Z]) = ([A-Z])_pos - ([A-Z])_pos = \(({_ROW})\)"
)
_LENGTH = re.compile(rf"\b(horizontal_distance|vertical_distance|distance)_([A-Z])([A-Z]) = (sqrt\([^=]*\)) = ({NUM})")
_LENGTH_AGAIN = re.compile(rf"\bdistance_([A-Z])([A-Z]) = ({NUM})(?= [<>,]|,| )")
_CROSS = re.compile(rf"\bcross_([A-Z])([A-Z])([A-Z]) = ([^=]*) = ({NUM})")
_PRODUCTS = re.compile(rf"\(?({NUM})\)? \* \(?({NUM})\)? - \(?({NUM})\)? \* \(?({NUM})\)?")
_CROSS_SIGN = re.compile(r"cross_([A-Z])([A-Z])([A-Z]) ([<>]) (0)\b")
_ATAN = re.compile(
    rf"(angle|facing)_rad = atan2\(vector_([A-Z])([A-Z])\[(0)\], vector_\2\3\[(1)\]\) = (atan2\({NUM}, {NUM}\)) = "
    rf"({NUM}) \(radians\)\. \1_deg = degrees\(\1_rad\) = ({NUM}) \(degrees\)"
)
_RELATIVE = re.compile(rf"relative_deg = angle_deg - facing_deg = ({NUM})")
_NORMALIZED = re.compile(
    rf"into \[(0), (360)\) degrees: normalized_angle = \((angle|relative)_deg \+ (360)\) % (360) = ({NUM})"
)
# a thing may be called clock, or camera
_CLOCK = re.compile(
    r"(?:clock|§[A-Z]) position \((1) to (12)\), where each hour corresponds to (30) degrees: "
    r"clock_position = (12) - \(normalized_angle // (30)\) = (\d+)"
)
_WRAP = re.compile(r"Since clock_position = (0), it wraps around to (12)\.")
_HOUR = re.compile(r"around the (\d+) o'clock direction")
_METERS = re.compile(rf"({NUM}) meters")
_ITEM = re.compile(r"(?:^|(?<=[.:] ))(\d+)\. (?=[A-Z])")
_STEP = re.compile(r"\bStep (\d+): ")
_NAMED = re.compile(
    r"(?:the (width|height) of §([A-Z]) is|the (horizontal distance|vertical distance|distance) between §([A-Z]) and "
    rf"§([A-Z]) is|the (distance from the (?:camera|§[A-Z])) to §([A-Z]) is) ({NUM}) meters"
)


class _FaultError(Exception):
    """A claim that does not hold."""


def fault_of(text: str, things: Sequence[Named], *, spoken: bool = False) -> str:
    """What is wrong with the numbers of a text.

    Args:
        text: the reasoning without its tags, or the final sentence.
        things: the objects of the question, with their boxes.
        spoken: whether the text is the final sentence: it calls objects as the question does, and its number is left to
            whoever knows the value.

    Returns:
        A sentence that names the first claim that does not hold, or a number that no rule accounts for; empty when
        every number was read again and found right.
    """
    return _Reader(text, things, spoken=spoken).fault()


class _Reader:
    """One text with what was ticked off so far."""

    def __init__(self, text: str, things: Sequence[Named], *, spoken: bool) -> None:
        self._things = {one.letter: one for one in things}
        self._text = _without_names(text, [(one.name if spoken else one.tag, one.letter) for one in things])
        self._is_spoken = spoken
        self._ticked = set[int]()
        self._lengths: dict[str, float] = {}
        self._crosses: dict[str, float] = {}
        self._angles: dict[str, float] = {}
        self._hours = set[int]()

    def fault(self) -> str:
        """What is wrong; empty when nothing is."""
        try:
            for pattern, check in self._rules():
                for match in pattern.finditer(self._text):
                    check(match)
                    self._tick(match)
        except _FaultError as fault:
            return str(fault)
        for match in ANY_NUMBER.finditer(self._text):
            if match.start() not in self._ticked:
                around = self._text[max(0, match.start() - 20) : match.end() + 20]
                return f"Nothing accounts for the number {match[0]} in {around!r}."
        return ""

    def _rules(self) -> list[tuple[re.Pattern[str], Callable[[re.Match[str]], None]]]:
        if self._is_spoken:
            return [(_METERS, _nothing), (_HOUR, _nothing)]
        return [
            (_ITEM, _in_turn("paragraph")), (_STEP, _in_turn("step")), (_BOX, self._box), (_CENTER, self._center),
            (_VOLUME, self._volume), (_VALUE, self._value), (_VECTOR, self._vector), (_LENGTH, self._length),
            (_LENGTH_AGAIN, self._length_again), (_CHAIN, _check_chain), (_CROSS, self._cross),
            (_CROSS_SIGN, self._cross_sign), (_ATAN, self._atan), (_RELATIVE, self._relative),
            (_NORMALIZED, self._normalized), (_CLOCK, self._clock), (_WRAP, self._wrap), (_HOUR, self._hour),
            (_NAMED, self._named),
        ]  # fmt: skip

    def _tick(self, match: re.Match[str]) -> None:
        inner = ANY_NUMBER.finditer(match[0])
        self._ticked.update(match.start() + number.start() for number in inner)

    # --- what is recalled ---------------------------------------------------------------------------------------------

    def _center_of(self, letter: str) -> FloatArray:
        center: FloatArray = optical_to_model(self._things[letter].object.box.center)
        return center

    def _stated(self, kind: str, letter: str) -> float:
        """A number of an object as it must be stated."""
        if kind in "XYZ":
            return round(float(self._center_of(letter)["XYZ".index(kind)]), 2)
        sizes = self._things[letter].object.size_m
        return sizes["WHD".index(kind)] if kind in "WHD" else round(math.prod(sizes), 6)

    def _box(self, match: re.Match[str]) -> None:
        wanted = [self._stated(kind, match[1]) for kind in "XYZWHD"]
        _require(_numbers(match[2]) == wanted, match, f"{wanted}")

    def _center(self, match: re.Match[str]) -> None:
        wanted = [self._stated(kind, match[1]) for kind in "XYZ"]
        _require(_numbers(match[2]) == wanted, match, f"{wanted}")

    def _value(self, match: re.Match[str]) -> None:
        wanted = self._stated(match[1], match[2])
        _require(float(match[3]) == wanted, match, f"{wanted}")

    # --- what is worked out -------------------------------------------------------------------------------------------

    def _volume(self, match: re.Match[str]) -> None:
        factors = [float(number) for number in match[2].split(" * ")]
        _require(factors == [self._stated(kind, match[1]) for kind in "WHD"], match, "width * height * depth")
        _require(_rounds_to(math.prod(factors), match[3]), match, f"{math.prod(factors):.6f}")

    def _parts(self, a: str, b: str, axes: str) -> list[float]:
        return [round(self._stated(axis, b) - self._stated(axis, a), 2) for axis in axes]

    def _vector(self, match: re.Match[str]) -> None:
        axes = {1: "Y", 2: "XZ", 3: "XYZ"}[len(_numbers(match[6]))]
        _require(match[1] is None or match[1] == " and ".join(axes), match, f"the axes {axes}")
        _require((match[2], match[3]) == (match[5], match[4]), match, f"{match[3]}_pos - {match[2]}_pos")
        wanted = self._parts(match[2], match[3], axes)
        _require(_numbers(match[6]) == wanted, match, f"{wanted}")

    def _length(self, match: re.Match[str]) -> None:
        name, a, b, terms, result = match[1], match[2], match[3], match[4], match[5]
        axes = {"distance": "XYZ", "horizontal_distance": "XZ", "vertical_distance": "Y"}[name]
        # the numbers in the root must be the components, each squared: "^2" stands behind each of them
        parts = [float(number) for number in re.findall(rf"\(?({NUM})\)?\^2", terms)]
        _require(parts == self._parts(a, b, axes), match, f"{self._parts(a, b, axes)}")
        _require(_rounds_to(_value_of(terms), result), match, f"{_value_of(terms):.4f}")
        way = [float((self._center_of(b) - self._center_of(a))["XYZ".index(axis)]) for axis in axes]
        _require(abs(math.hypot(*way) - float(result)) <= EXACT_M, match, f"{math.hypot(*way):.3f} between the boxes")
        self._lengths[f"{name} {a}{b}"] = float(result)

    def _length_again(self, match: re.Match[str]) -> None:
        known = self._lengths.get(f"distance {match[1]}{match[2]}")
        _require(known is not None and float(match[3]) == known, match, f"{known}")

    def _cross(self, match: re.Match[str]) -> None:
        (bx, bz), (cx, cz) = self._parts(match[1], match[2], "XZ"), self._parts(match[1], match[3], "XZ")
        said = _PRODUCTS.fullmatch(match[4])
        _require(
            said is not None and [float(part) for part in said.groups()] == [cx, bz, cz, bx],
            match,
            f"{[cx, bz, cz, bx]}",
        )
        _require(_rounds_to(cx * bz - cz * bx, match[5]), match, f"{cx * bz - cz * bx:.4f}")
        self._crosses["".join(match.group(1, 2, 3))] = float(match[5])

    def _cross_sign(self, match: re.Match[str]) -> None:
        value = self._crosses.get("".join(match.group(1, 2, 3)))
        _require(value is not None and (value > 0 if match[4] == ">" else value < 0), match, f"{value}")

    def _atan(self, match: re.Match[str]) -> None:
        parts = self._parts(match[2], match[3], "XZ")
        said = _numbers(re.sub(r"atan2", "", match[6]))
        _require(said == parts, match, f"{parts}")
        radians = math.atan2(*parts)
        _require(_rounds_to(radians, match[7]), match, f"{radians:.4f}")
        _require(_rounds_to(math.degrees(radians), match[8]), match, f"{math.degrees(radians):.3f}")
        self._angles[match[1]] = float(match[8])

    def _relative(self, match: re.Match[str]) -> None:
        wanted = round(self._angles.get("angle", math.nan) - self._angles.get("facing", math.nan), 2)
        _require(float(match[1]) == wanted, match, f"{wanted}")
        self._angles["relative"] = wanted

    def _normalized(self, match: re.Match[str]) -> None:
        wanted = round((self._angles.get(match[3], math.nan) + 360) % 360, 2)
        _require(float(match[6]) == wanted, match, f"{wanted}")
        self._angles["normalized"] = wanted

    def _clock(self, match: re.Match[str]) -> None:
        wanted = 12 - self._angles.get("normalized", math.nan) // 30
        _require(float(match[6]) == wanted, match, f"{wanted}")
        self._hours = {int(wanted) or 12}

    def _wrap(self, match: re.Match[str]) -> None:
        _require(self._hours == {12}, match, "no wrap")

    def _hour(self, match: re.Match[str]) -> None:
        _require({int(match[1])} == self._hours, match, f"{self._hours}")

    def _named(self, match: re.Match[str]) -> None:
        if match[1]:
            wanted = self._stated("W" if match[1] == "width" else "H", match[2])
        elif match[3]:
            wanted = self._lengths.get(f"{match[3].replace(' ', '_')} {match[4]}{match[5]}", math.nan)
        else:
            wanted = self._stated("Z", match[7])
        _require(float(match[8]) == wanted, match, f"{wanted}")


def _without_names(text: str, names: Sequence[tuple[str, str]]) -> str:
    """The text with "§A" for the name of the first object, and so on; the longest names first."""
    for name, letter in sorted(names, key=lambda pair: -len(pair[0])):
        if name:
            text = re.sub(rf"(?<![\w§']){re.escape(name)}(?!\w)", f"§{letter}", text)
    return text


def _check_chain(match: re.Match[str]) -> None:
    """Numbers in a row must be in the order that the signs between them say; each is checked by its own rule."""
    row = [float(part) for part in re.findall(rf" = ({NUM})", match[0])]
    for a, b, sign in zip(row, row[1:], re.findall(r" ([<>]) ", match[0]), strict=False):
        _require(a < b if sign == "<" else a > b, match, f"{a} {'>' if sign == '<' else '<'} {b}")


def _in_turn(what: str) -> Callable[[re.Match[str]], None]:
    """A check that the numbers it is called with count up from 1."""
    numbers = count(1)

    def check(match: re.Match[str]) -> None:
        number = next(numbers)
        _require(int(match[1]) == number, match, f"{what} {number}")

    return check


def _nothing(_: re.Match[str]) -> None:
    """The number is checked by whoever knows the value."""


def _require(holds: bool, match: re.Match[str], wanted: str) -> None:
    if not holds:
        raise _FaultError(f"Expected {wanted}, got {match[0]!r}.")


def _numbers(text: str) -> list[float]:
    return [float(number) for number in ANY_NUMBER.findall(text)]


def _rounds_to(value: float, said: str) -> bool:
    """Whether a number may be said so: half of the last decimal said, of at least two where it ends in fewer."""
    decimals = max(len(said.partition(".")[2]), 2)
    return abs(value - float(said)) <= HALF * 10.0**-decimals


_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Pow: operator.pow,
}  # fmt: skip


def _value_of(expression: str) -> float:
    """The value of an expression of numbers, + - * ^ and sqrt."""

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            return float(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sqrt":
            return math.sqrt(value(node.args[0]))
        raise _FaultError(f"Expected numbers, + - * ^ and sqrt, got {expression!r}.")

    try:
        return value(ast.parse(expression.replace("^", "**"), mode="eval").body)
    except (SyntaxError, ValueError, IndexError):
        raise _FaultError(f"Expected an expression, got {expression!r}.") from None
