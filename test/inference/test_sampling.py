"""Taking tokens: greedy is exact, draws follow temperature, top-k and top-p, and a seed repeats them."""

from __future__ import annotations

import numpy as np
import pytest

from n3d_ros.errors import BackendError, InputError
from n3d_ros.inference.backend import Choices
from n3d_ros.inference.sampling import Sampler

LOGITS = np.log(np.array([0.5, 0.3, 0.15, 0.05]))


def make_choices(logits: np.ndarray = LOGITS, log_allowed: float = 0.0, log_all: float = 0.0) -> Choices:
    return Choices(
        token_ids=np.arange(10, 10 + len(logits))[None],
        logits=np.asarray(logits, np.float32)[None],
        log_allowed=np.array([log_allowed], np.float32),
        log_all=np.array([log_all], np.float32),
    )


def shares(sampler: Sampler, choices: Choices, draws: int = 20000) -> np.ndarray:
    picked = [sampler.pick(choices, 0).token_id - 10 for _ in range(draws)]
    return np.bincount(picked, minlength=choices.token_ids.shape[1]) / draws


def test_greedy_takes_the_first_and_asks_for_one_candidate() -> None:
    sampler = Sampler()
    pick = sampler.pick(make_choices(log_all=0.5), 0)
    assert sampler.candidates == 1 and pick.token_id == 10
    assert pick.log_prob == pytest.approx(np.log(0.5)) and pick.log_mass == pytest.approx(-0.5)


def test_log_probabilities_are_never_above_zero() -> None:
    pick = Sampler().pick(make_choices(np.array([1.0]), log_allowed=0.9999999, log_all=0.9999998), 0)
    assert pick.log_prob == 0.0 and pick.log_mass <= 0.0


def test_draws_follow_the_models_shares() -> None:
    assert shares(Sampler(temperature=1.0, seed=1), make_choices()) == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.02)


def test_a_low_temperature_sharpens() -> None:
    sharp = np.array([0.5, 0.3, 0.15, 0.05]) ** 2
    assert shares(Sampler(temperature=0.5), make_choices()) == pytest.approx(sharp / sharp.sum(), abs=0.02)


def test_top_p_keeps_the_first_that_reach_the_share() -> None:
    assert shares(Sampler(temperature=1.0, top_p=0.6), make_choices()) == pytest.approx([0.625, 0.375, 0, 0], abs=0.02)
    assert shares(Sampler(temperature=1.0, top_p=0.01), make_choices()).tolist() == [1, 0, 0, 0]


def test_top_k_keeps_as_many() -> None:
    sampler = Sampler(temperature=1.0, top_k=2)
    assert sampler.candidates == 2
    assert shares(sampler, make_choices()) == pytest.approx([0.625, 0.375, 0, 0], abs=0.02)


def test_what_is_not_allowed_is_never_drawn() -> None:
    choices = make_choices(np.array([0.0, 0.0, -np.inf, -np.inf]))
    assert shares(Sampler(temperature=5.0), choices)[2:].tolist() == [0, 0]


def test_a_seed_repeats_and_another_does_not() -> None:
    def draws(seed: int) -> list[int]:
        sampler = Sampler(temperature=1.0, seed=seed)
        return [sampler.pick(make_choices(), 0).token_id for _ in range(40)]

    assert draws(3) == draws(3) != draws(4)


@pytest.mark.parametrize(
    "arguments",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": 65},
        {"top_k": -1},
    ],
)
def test_values_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Sampler(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("logit", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_an_error_that_helps(logit: float) -> None:
    with pytest.raises(BackendError, match="bfloat16"):
        Sampler().pick(make_choices(np.array([logit])), 0)
