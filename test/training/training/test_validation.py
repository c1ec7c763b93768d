"""Errors of the parts of a box, by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from model_training.examples.config import ExampleConfig
from model_training.examples.example import Mix
from model_training.examples.left_out import UNREADABLE_FRAME, UNREADABLE_SHARD
from model_training.training.config import LossConfig
from model_training.training.network import TrainedModel
from model_training.training.validation import Errors, validation_examples, validation_scores
from n3d_ros.codec.tokenizer import Tokenizer, load_tokenizer
from n3d_ros.model.checkpoint import load_model
from training.examples.known_records import Known
from training.training.harness import RECORDS


class Bins:
    """A tokenizer whose numbers 0 to 999 are tokens 10 to 1009."""

    bin_ids = tuple(range(10, 1010))


def logits_for(tokens: list[int], size: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(tokens), size).float()


def test_errors_of_whole_numbers_are_counted_per_slot() -> None:
    errors = Errors(Bins(), torch.device("cpu"))  # type: ignore[arg-type]
    targets, said = [110, 210, 310, 3], [113, 204, 310, 4]
    slots, starts = torch.tensor([1, 3, 1, 0]), torch.tensor([100, 200, 300, -1])
    errors.add(logits_for(said, 1010), torch.tensor(targets), slots, starts)
    assert errors.read() == {"class_error": 1.0, "u_error": 1.5, "depth_error": 6.0}


def test_errors_of_digits_are_put_together_by_their_places(start: object) -> None:
    tokenizer = load_tokenizer(start)  # type: ignore[arg-type]
    digits = [tokenizer.encode(str(digit))[0] for digit in range(10)]
    comma = tokenizer.encode(",")[0]
    errors = Errors(tokenizer, torch.device("cpu"))
    # "523," for u, of which "533" is said, then "7," for v, of which "4" is said; the commas are no numbers.
    targets = [digits[5], digits[2], digits[3], comma, digits[7], comma]
    said = [digits[5], digits[3], digits[3], digits[1], digits[4], comma]
    slots, starts = torch.tensor([1, 1, 1, 1, 2, 2]), torch.tensor([523, -1, -1, -1, 7, -1])
    errors.add(logits_for(said, tokenizer.vocab_size), torch.tensor(targets), slots, starts)
    assert errors.read() == {"u_error": 10.0, "v_error": 3.0}


def test_validation_looks_at_the_same_unchanged_frames_every_time(start: object) -> None:
    tokenizer: Tokenizer = load_tokenizer(start)  # type: ignore[arg-type]
    source = Known(records=RECORDS, shards=(0,))
    config = ExampleConfig(long_side=112, questions_per_frame=2)
    seen = [list(validation_examples([source], config, Mix(), tokenizer, 5)) for _ in range(2)]
    assert [one.id for one in seen[0]] == ["a00", "a01"]
    for one, other in zip(*seen, strict=True):
        np.testing.assert_array_equal(one.image.pixel_values, other.image.pixel_values)
        assert [len(turn) for turn in one.turns] == [len(turn) for turn in other.turns]


def test_a_random_model_scores_like_chance_and_is_left_in_training(start: object) -> None:
    tokenizer = load_tokenizer(start)  # type: ignore[arg-type]
    vlm = load_model(start, device="cpu", dtype="float32").model  # type: ignore[arg-type]
    torch.manual_seed(0)
    model = TrainedModel(vlm, LossConfig(dense_width=8), classes=256, bin_ids=None).train()
    source = Known(records=RECORDS, shards=(0,))
    config = ExampleConfig(long_side=112, questions_per_frame=2, class_buckets=256)
    examples = validation_examples([source], config, Mix(), tokenizer, 2)
    scores = validation_scores(model, examples, tokenizer, torch.device("cpu"), half=False)
    assert model.training
    assert 5 < scores["answer"] < 10 and scores["class_error"] > 0.7
    assert all(scores[f"{name}_error"] > 20 for name in ("u", "v", "depth", "size_x"))
    assert scores["dense_box_error"] == pytest.approx(400, abs=300) and scores["dense_class_error"] > 0.5


def test_a_broken_shard_or_frame_of_validation_is_left_out_and_counted(start: object) -> None:
    tokenizer: Tokenizer = load_tokenizer(start)  # type: ignore[arg-type]
    source = Known(records=(replace(RECORDS[0], image=b"no picture"), RECORDS[1]), shards=(0, 1), broken=(1,))
    skipped: Counter[str] = Counter()
    config = ExampleConfig(long_side=112)
    made = list(validation_examples([source], config, Mix(), tokenizer, 5, skipped=skipped))
    assert [one.id for one in made] == ["a01"]
    assert skipped == {UNREADABLE_FRAME: 1, UNREADABLE_SHARD: 1}
