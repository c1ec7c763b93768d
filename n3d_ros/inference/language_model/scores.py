"""How sure the model was of a box: what its tokens' probabilities and the depth image say, as a few numbers.

A line ``bbox_0=Bbox(red mug,512,300,410,500,80,120,75)`` is a row of decisions: to name another box instead of ending,
what it is, and each digit of its numbers, or each number where a number is one token. Tokens that the grammar left no
choice about say nothing and do not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from n3d_ros.codec.model_input import DecodeContext
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.inference.language_model.calibration import FEATURES

NUMBERS = 7
"""Of a box line, after its class: u, v, depth, angle and three sizes."""

_OPEN = b"Bbox("
_MAX_LOG_ODDS = 6.0  # 0.25 % of doubt: beyond, float16 logits say nothing
_LEAST_LOG_PROB = -10.0
_MOST_SLIP = 2.0  # sizes of the box: beyond, it is elsewhere
_LAST_BIN = 999
_DIGITS = 3  # of the largest bin
_NEUTRAL = 0.5  # support and agreement of boxes that are as likely right as wrong
# What missing support adds beside its share, at the square of what is missing. A box of which nothing points back has
# a support of -4.5, which under the default weight of 2 outweighs tokens that are certain (6) and full agreement (0.5).
_LACK = 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEvidence:
    """One token of an answer.

    Args:
        piece: its bytes.
        log_prob: natural logarithm of its probability among what was allowed; NaN where it was forced.
        log_mass: of the share of the whole vocabulary that was allowed; NaN or 0 where it was forced.
    """

    piece: bytes
    log_prob: float
    log_mass: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LineEvidence:
    """What the tokens of one line say.

    Args:
        existence: log probability of naming another box instead of ending; NaN when there was no choice.
        label: log probability of the class, all its tokens together; 0 when there was no choice.
        digits: mean log probability of the decided digits; 0 when none was decided. A number that is one token counts
            as one digit with a third of its log probability: it decides as much as three.
        slips: expected error of each of the seven numbers, in bins, if the wrong digit leads to the nearest number
            that has another one in its place; of a number that is one token as ``_spread`` has it.
        form: mean log share of the vocabulary that the grammar allowed where something was decided, 0 or less.
    """

    existence: float
    label: float
    digits: float
    slips: tuple[float, ...]
    form: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFeatures:
    """The evidence for a box. More of each is better.

    Args:
        tokens: log-odds of existence, class and a typical digit together.
        existence: log-odds that there is another box.
        label: log probability of the class.
        digits: mean log probability of a digit.
        place: minus the expected error of centre and size, in sizes of the box.
        form: mean log share of what the grammar allowed: near 0 when the model wanted to write such a line anyway.
        support: share of the box's visible sides that points back, less one half, and below one half ever less, down
            to -4.5 where nothing does: no certainty of the tokens makes up for that. 0 when not checked.
        agreement: overlap (IoU) of the model's and the refined box, less one half; 0 when not checked.
    """

    tokens: float
    existence: float
    label: float
    digits: float
    place: float
    form: float
    support: float = 0.0
    agreement: float = 0.0

    def array(self) -> FloatArray:
        """(8,) float64 in the order of ``FEATURES``.

        Returns:
            The numbers.
        """
        return np.array([getattr(self, name) for name in FEATURES], dtype=np.float64)


def line_evidence(tokens: Sequence[TokenEvidence]) -> LineEvidence:
    """What the tokens of a line say about the box that it names.

    Args:
        tokens: of one whole line, in order; a token across two lines belongs to the one where it begins.

    Returns:
        The evidence.
    """
    text = b"".join(token.piece for token in tokens)
    head_end, bounds = _layout(text)
    existence, label, digits, masses = [], [], [], []
    slips = [0.0] * NUMBERS
    position = 0
    for token in tokens:
        start, position = position, position + len(token.piece)
        if math.isnan(token.log_prob):
            continue
        masses.append(0.0 if math.isnan(token.log_mass) else token.log_mass)
        index = next((k for k, (_, after) in enumerate(bounds) if start <= after), NUMBERS)
        whole = next((k for k, bound in enumerate(bounds) if (start + 1, position) == bound), None)
        if whole is not None:  # a comma and a number
            digits.append(token.log_prob / _DIGITS)
            slips[whole] += _spread(token.log_prob)
        elif position <= head_end:
            existence.append(token.log_prob)
        elif not bounds or start < bounds[0][0]:
            label.append(token.log_prob)
        elif index < NUMBERS and not _is_full(number := text[slice(*bounds[index])], start - bounds[index][0]):
            digits.append(token.log_prob)
            slips[index] += _slip(number, start - bounds[index][0], token.log_prob)
    return LineEvidence(
        existence=sum(existence) if existence else math.nan,
        label=sum(label),
        digits=float(np.mean(digits)) if digits else 0.0,
        slips=tuple(slips),
        form=float(np.mean(masses)) if masses else 0.0,
    )


def score_features(
    evidence: LineEvidence,
    box: Box3D,
    context: DecodeContext,
    *,
    support_ratio: float | None = None,
    agreement: float | None = None,
) -> ScoreFeatures:
    """The evidence for a box as the calibration takes it.

    Args:
        evidence: of its line.
        box: as the model said it, camera optical frame.
        context: of its frame.
        support_ratio: share of its visible sides backed by points, 0 to 1; None: not checked.
        agreement: IoU of the model's and the refined box, 0 to 1; None: not checked.

    Returns:
        Finite numbers.
    """
    existence = 0.0 if math.isnan(evidence.existence) else evidence.existence
    label, digits = max(evidence.label, _LEAST_LOG_PROB), max(evidence.digits, _LEAST_LOG_PROB)
    return ScoreFeatures(
        tokens=_log_odds(existence + label + digits),
        existence=_log_odds(existence),
        label=label,
        digits=digits,
        place=-place_doubt(evidence, box, context),
        form=max(evidence.form, _LEAST_LOG_PROB),
        support=0.0 if support_ratio is None else _support(support_ratio),
        agreement=0.0 if agreement is None else agreement - _NEUTRAL,
    )


def place_doubt(evidence: LineEvidence, box: Box3D, context: DecodeContext) -> float:
    """How far off a box may be, as the probabilities of its numbers have it.

    Args:
        evidence: of its line.
        box: as the model said it, camera optical frame.
        context: of its frame.

    Returns:
        Expected error of centre and size, in sizes of the box, 0 to 2.
    """
    return min(_relative_slip(evidence.slips, box, context), _MOST_SLIP)


def _layout(text: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Where the head ends, and begin and end of each number; no numbers when the line has another form.

    The parenthesis before the class counts as its beginning: the tokenizer joins the two.
    """
    opening = text.find(_OPEN)
    head_end = opening + len(_OPEN) - 1 if opening >= 0 else len(text)
    closing = text.rfind(b")")
    commas = [k for k in range(head_end, max(closing, head_end)) if text[k : k + 1] == b","][-NUMBERS:]
    if closing < 0 or len(commas) < NUMBERS:
        return head_end, []
    return head_end, list(zip([comma + 1 for comma in commas], [*commas[1:], closing], strict=True))


def _is_full(number: bytes, place: int) -> bool:
    """Whether no digit could stand at a place: what is decided there is not the number."""
    return place >= len(number) and (len(number) >= _DIGITS or number == b"0")


def _slip(number: bytes, place: int, log_prob: float) -> float:
    """Expected error in bins from the doubt about the digit at ``place``, or, past the end, about ending there."""
    if not number.isdigit() or len(number) > _DIGITS:
        return 0.0
    value, doubt = int(number), -math.expm1(min(log_prob, 0.0))
    if place >= len(number):  # a further digit would make it ten times as large
        return doubt * max(min(9 * value, _LAST_BIN - value), 1)
    unit = 10 ** (len(number) - 1 - place)
    below = value % unit
    return float(doubt * min(below + 1, unit - below))


def _spread(log_prob: float) -> float:
    """Expected error in bins of a number that was chosen as one token among all numbers.

    A network that knows a number to within w bins gives each of them about 1 / w, so the probability of the chosen one
    tells the width; the mean distance from the middle of w equally likely bins is w / 4, and none where w is 1.
    """
    width = min(math.exp(-min(log_prob, 0.0)), _LAST_BIN + 1.0)
    return (width - 1 / width) / 4


def _relative_slip(slips: Sequence[float], box: Box3D, context: DecodeContext) -> float:
    """Expected error of centre and size, mean of the three axes, as a share of the box's size."""
    intrinsics, normalization = context.intrinsics, context.normalization
    depth = max(float(box.center[2]), 0.0)
    depth_step = (context.max_depth_m - float(normalization.offset_m[2])) / _LAST_BIN
    size_step = context.max_size_m / _LAST_BIN
    center_m = np.array(
        [
            slips[0] / 1000 * intrinsics.width / intrinsics.fx * depth,
            slips[1] / 1000 * intrinsics.height / intrinsics.fy * depth,
            slips[2] * depth_step,
        ]
    )
    size_m = np.array(slips[4:7]) * size_step
    size = np.maximum(box.size, size_step)
    return float(((center_m + size_m) / size).mean())


def _support(ratio: float) -> float:
    """The evidence in the share of visible sides that points back; rises with it, smoothly."""
    over = ratio - _NEUTRAL
    return over - _LACK * min(over, 0.0) ** 2


def _log_odds(log_prob: float) -> float:
    """``log(p / (1 - p))`` within what is believed of a network."""
    if log_prob >= 0:
        return _MAX_LOG_ODDS
    odds = log_prob - math.log(-math.expm1(log_prob))
    return max(-_MAX_LOG_ODDS, min(odds, _MAX_LOG_ODDS))
