"""Evidence from tokens: which decision belongs to what, and how much a doubtful digit matters."""

from __future__ import annotations

import math

import numpy as np
import pytest

from builders import make_box, make_intrinsics
from n3d_ros.codec.model_input import DecodeContext
from n3d_ros.geometry.point_map import PointNormalization
from n3d_ros.inference.language_model.calibration import DEFAULT_CALIBRATION, FEATURES
from n3d_ros.inference.language_model.scores import LineEvidence, TokenEvidence, line_evidence, score_features

CONTEXT = DecodeContext(
    intrinsics=make_intrinsics(), normalization=PointNormalization(offset_m=np.zeros(3), scale_per_m=0.5)
)
FORCED = math.nan


def tokens(*pieces: tuple[str, float]) -> list[TokenEvidence]:
    """Tokens with their log probabilities."""
    return [TokenEvidence(piece=piece.encode(), log_prob=log_prob) for piece, log_prob in pieces]


def line(
    *,
    exists: float = -0.01,
    label: tuple[tuple[str, float], ...] = (("red", -0.2), (" mug", -0.3)),
    depth: tuple[tuple[str, float], ...] = (("4", 0.0), ("1", 0.0), ("0", 0.0)),
) -> list[TokenEvidence]:
    """A line of which only the named parts are in doubt."""
    return tokens(
        ("b", exists),
        ("box_0=Bbox(", FORCED),
        *label,
        (",", 0.0),
        *((digit, 0.0) for digit in "512"),
        (",", FORCED),
        *((digit, 0.0) for digit in "300"),
        (",", FORCED),
        *depth,
        (",500,80,120,75)\n", FORCED),
    )


def test_each_decision_counts_for_what_it_decides() -> None:
    evidence = line_evidence(line(depth=(("4", -0.6), ("1", 0.0), ("0", 0.0))))
    assert evidence.existence == pytest.approx(-0.01)
    assert evidence.label == pytest.approx(-0.5)
    assert evidence.digits == pytest.approx(-0.6 / 9)
    assert [k for k, slip in enumerate(evidence.slips) if slip] == [2]


def test_forced_tokens_say_nothing() -> None:
    evidence = line_evidence(tokens(("bbox_0=Bbox(mug,1,2,3,500,4,5,6)\n", FORCED)))
    assert math.isnan(evidence.existence)
    assert (evidence.label, evidence.digits, evidence.form) == (0, 0, 0)
    assert evidence.slips == (0.0,) * 7


@pytest.mark.parametrize(
    ("digits", "place", "bins"),
    [
        ("450", 0, 50),  # 399 and 500 are 51 and 50 away
        ("401", 0, 2),  # 399 is a near miss although its first digit is another one
        ("498", 0, 2),
        ("410", 1, 1),
        ("415", 1, 5),
        ("415", 2, 1),
        ("000", 0, 1),
    ],
)
def test_a_doubtful_digit_weighs_by_the_nearest_number_with_another(digits: str, place: int, bins: int) -> None:
    depth = tuple((digit, math.log(0.5) if k == place else 0.0) for k, digit in enumerate(digits))
    assert line_evidence(line(depth=depth)).slips[2] == pytest.approx(0.5 * bins)


def test_a_doubtful_end_of_a_number_weighs_as_ten_times_the_number() -> None:
    doubt = tokens(("bbox_0=Bbox(a", FORCED), (",", 0.0), *((digit, 0.0) for digit in "51"), (",", math.log(0.5)))
    rest = tokens(("300,410,500,80,120,75)\n", FORCED))
    assert line_evidence([*doubt, *rest]).slips[0] == pytest.approx(0.5 * 9 * 51)


def test_where_no_digit_can_follow_the_end_of_a_number_says_nothing() -> None:
    doubt = math.log(0.5)
    last = tokens(("bbox_0=Bbox(a,1,2,3,500,4,5,", FORCED), ("6", 0.0), ("0", 0.0), ("0", 0.0), (")\n", doubt))
    evidence = line_evidence(last)
    assert evidence.digits == 0
    assert evidence.slips == (0.0,) * 7


def test_a_parenthesis_joined_with_the_class_belongs_to_the_class() -> None:
    for head in (tokens(("bbox_0=Bbox", FORCED), ("(mug", -0.5)), tokens(("bbox_0=Bbox", FORCED), ("(", -0.5))):
        evidence = line_evidence([*head, *tokens((",1,2,3,500,4,5,6)", FORCED))])
        assert evidence.label == pytest.approx(-0.5)
        assert math.isnan(evidence.existence)


def test_commas_in_a_class_belong_to_the_class() -> None:
    evidence = line_evidence(line(label=(("red", -0.1), (",", -0.2), (" large", -0.3), (", mug", -0.4))))
    assert evidence.label == pytest.approx(-1.0)


def test_classes_that_are_not_ascii_are_told_by_bytes() -> None:
    pieces = [TokenEvidence(piece=piece, log_prob=-0.25) for piece in ("杯".encode()[:2], "杯".encode()[2:])]
    start, *rest = line(label=())
    evidence = line_evidence([start, rest[0], *pieces, *rest[1:]])
    assert evidence.label == pytest.approx(-0.5)


def test_a_line_of_another_form_gives_finite_numbers() -> None:
    evidence = line_evidence(tokens(("not a box", -1.0), ("\n", -1.0)))
    features = score_features(evidence, make_box(), CONTEXT).array()
    assert features.shape == (len(FEATURES),)
    assert np.isfinite(features).all()


def test_no_tokens_at_all_give_finite_numbers() -> None:
    assert np.isfinite(score_features(line_evidence([]), make_box(), CONTEXT).array()).all()


def test_doubt_about_digits_weighs_more_for_small_boxes() -> None:
    evidence = line_evidence(line(depth=(("4", 0.0), ("5", math.log(0.3)), ("5", 0.0))))
    small = score_features(evidence, make_box(size=(0.05, 0.05, 0.05)), CONTEXT)
    large = score_features(evidence, make_box(size=(0.5, 0.5, 0.5)), CONTEXT)
    assert small.place == pytest.approx(10 * large.place)
    assert small.place < 0


def test_the_expected_error_of_depth_is_that_of_the_code() -> None:
    slips = (0.0, 0.0, 10.0, 0.0, 0.0, 0.0, 0.0)
    evidence = LineEvidence(existence=0.0, label=0.0, digits=0.0, slips=slips, form=0.0)
    found = score_features(evidence, make_box(size=(0.4, 0.4, 0.4)), CONTEXT)
    # Ten bins of 0.002 / 0.5 m each are 0.04 m, a tenth of the size along one axis of three.
    assert found.place == pytest.approx(-0.04 / 0.4 / 3)


def test_the_expected_error_of_u_is_that_of_the_pixels() -> None:
    slips = (10.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    evidence = LineEvidence(existence=0.0, label=0.0, digits=0.0, slips=slips, form=0.0)
    found = score_features(evidence, make_box(center=(0, 0, 2.0), size=(0.4, 0.4, 0.4)), CONTEXT)
    # One percent of 64 px at 2 m and f = 60 px.
    assert found.place == pytest.approx(-(0.64 * 2.0 / 60) / 0.4 / 3)


def test_the_default_score_is_the_tokens_probability_where_depth_says_nothing() -> None:
    evidence = LineEvidence(
        existence=math.log(0.9), label=math.log(0.8), digits=math.log(0.7), slips=(0.0,) * 7, form=0
    )
    features = score_features(evidence, make_box(), CONTEXT)
    assert DEFAULT_CALIBRATION.probability(features.array()) == pytest.approx(0.9 * 0.8 * 0.7)


def test_what_depth_says_moves_the_score() -> None:
    evidence = line_evidence(line())
    unchecked = score_features(evidence, make_box(), CONTEXT)
    backed = score_features(evidence, make_box(), CONTEXT, support_ratio=0.9, agreement=0.8)
    refuted = score_features(evidence, make_box(), CONTEXT, support_ratio=0.0, agreement=0.1)
    scores = [float(DEFAULT_CALIBRATION.probability(f.array())) for f in (refuted, unchecked, backed)]
    assert scores == sorted(scores)
    assert scores[0] < scores[2] - 0.1


@pytest.mark.parametrize("agreement", [None, 0.0, 1.0])
def test_a_box_that_depth_does_not_back_has_a_low_score_however_sure_the_tokens_are(agreement: float | None) -> None:
    certain = line_evidence(line(exists=0.0, label=(("mug", 0.0),)))
    features = score_features(certain, make_box(), CONTEXT, support_ratio=0.0, agreement=agreement)
    assert DEFAULT_CALIBRATION.probability(features.array()) < 0.1
    unchecked = score_features(certain, make_box(), CONTEXT)
    assert DEFAULT_CALIBRATION.probability(unchecked.array()) > 0.99


@pytest.mark.parametrize("sure", [0.0, -0.3, -3.0])
def test_more_support_never_lowers_the_score(sure: float) -> None:
    evidence = line_evidence(line(exists=sure))
    ratios = np.linspace(0.0, 1.0, 201)
    found = [score_features(evidence, make_box(), CONTEXT, support_ratio=ratio, agreement=0.5) for ratio in ratios]
    assert (np.diff([features.support for features in found]) > 0).all()
    assert np.abs(np.diff([features.support for features in found])).max() < 0.1  # no step
    scores = DEFAULT_CALIBRATION.probability(np.array([features.array() for features in found]))
    assert (np.diff(scores) > 0).all()


def test_support_of_one_half_says_as_much_as_none_looked_at() -> None:
    evidence = line_evidence(line())
    assert score_features(evidence, make_box(), CONTEXT, support_ratio=0.5).support == 0
    assert score_features(evidence, make_box(), CONTEXT, support_ratio=1.0).support == 0.5
    assert score_features(evidence, make_box(), CONTEXT, support_ratio=0.0).support == -4.5


def whole_line(depth: float = 0.0, angle: float = 0.0) -> list[TokenEvidence]:
    """A line of one token per number, of which two are in doubt."""
    return tokens(
        ("bbox_0=Bbox", -0.2),
        ("(red", -0.1),
        (" mug", -0.3),
        *((f",{number}", 0.0) for number in (512, 300)),
        (",410", depth),
        (",500", angle),
        *((f",{number}", 0.0) for number in (80, 120, 75)),
        (")\n", FORCED),
    )


def test_a_number_that_is_one_token_is_a_decision_of_its_own() -> None:
    evidence = line_evidence(whole_line(depth=math.log(0.1), angle=math.log(0.5)))
    assert evidence.existence == pytest.approx(-0.2)
    assert evidence.label == pytest.approx(-0.4)
    assert evidence.digits == pytest.approx((math.log(0.1) + math.log(0.5)) / 3 / 7)
    assert [k for k, slip in enumerate(evidence.slips) if slip] == [2, 3]


@pytest.mark.parametrize(("width", "bins"), [(1, 0.0), (2, 0.375), (10, 2.475), (1000, 249.99975), (10**6, 249.99975)])
def test_a_number_known_to_within_some_bins_is_off_by_a_quarter_of_them(width: int, bins: float) -> None:
    assert line_evidence(whole_line(depth=-math.log(width))).slips[2] == pytest.approx(bins)
