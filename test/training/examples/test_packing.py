"""Questions packed behind one image give what each gives alone."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch comes with the extra [model]")
pytest.importorskip("transformers", reason="transformers comes with the extra [model]")

import torch

from model_training.examples.config import ExampleConfig
from model_training.examples.example import FrameExample, make_example
from model_training.examples.packing import IGNORED, make_batch, single, visible
from model_training.models.random_model import write_random_model
from n3d_ros.codec.tokenizer import Tokenizer, load_tokenizer
from n3d_ros.model.checkpoint import load_model
from n3d_ros.model.n3d_vlm import N3dVlm
from training.examples.known_records import questions_about, tabletop_record


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random") / "tiny"
    write_random_model(folder, size="tiny", dtype="float32", position_code="aligned", seed=5)
    return folder


@pytest.fixture(scope="module")
def examples(folder: Path) -> list[FrameExample]:
    tokenizer = load_tokenizer(folder)
    made = []
    for side, record in ((168, tabletop_record()), (140, tabletop_record(seed=1, shift=0.06))):
        example = make_example(record, questions_about(record), ExampleConfig(long_side=side), tokenizer)
        assert example is not None and len(example.turns) == 6
        made.append(example)
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> N3dVlm:
    return load_model(folder, device="cpu", dtype="float32").model


def logits_of(model: N3dVlm, batch: dict[str, object]) -> torch.Tensor:
    names = ("input_ids", "position_ids", "pixel_values", "image_grid_thw", "point_clouds")
    with torch.no_grad():
        return model(**{name: batch[name] for name in names}, attention_mask=visible(batch["part"])).logits


def test_packed_questions_give_the_logits_of_single_conversations(
    model: N3dVlm, examples: list[FrameExample], folder: Path
) -> None:
    tokenizer = load_tokenizer(folder)
    packed = make_batch(examples, tokenizer.image_pad)
    logits = logits_of(model, packed)
    compared = 0
    for row, example in enumerate(examples):
        start = len(example.prefix_ids)
        for turn in example.turns:
            # The model's own way: one conversation, ordinary causal attention, positions of its own making.
            ids = torch.tensor([[*example.prefix_ids, *turn.prompt_ids, *turn.answer_ids]])
            with torch.no_grad():
                alone = model(
                    input_ids=ids,
                    pixel_values=torch.tensor(example.image.pixel_values),
                    image_grid_thw=torch.tensor([[1, *example.image.grid]]),
                    point_clouds=[torch.tensor(example.image.points)],
                ).logits[0, len(example.prefix_ids) :]
            together = logits[row, start : start + len(turn)]
            torch.testing.assert_close(together, alone, rtol=0, atol=1e-4 * float(alone.abs().max()))
            start += len(turn)
            compared += len(turn)
    assert compared > 500


def test_the_packed_loss_is_that_of_single_conversations(
    model: N3dVlm, examples: list[FrameExample], folder: Path
) -> None:
    image = load_tokenizer(folder).image_pad
    losses = []
    for rows in (examples, [one for example in examples for one in single(example)]):
        batch = make_batch(rows, image)
        logits = logits_of(model, batch)[:, :-1].flatten(0, 1)
        labels = batch["labels"][:, 1:].flatten()
        losses.append(torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum"))
        assert int((labels != IGNORED).sum()) == sum(int(t.is_learnt.sum()) for e in examples for t in e.turns)
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)


def test_a_question_sees_the_image_and_itself_alone() -> None:
    part = torch.tensor([[0, 0, 1, 1, 2, 2, -1]])
    seen = visible(part)[0, 0]
    assert seen[3].tolist() == [True, True, True, True, False, False, False]
    assert seen[5].tolist() == [True, True, False, False, True, True, False]
    assert seen[1].tolist() == [True, True, False, False, False, False, False]
    assert seen[6].tolist() == [False] * 6 + [True]


def test_answers_alone_are_learnt(examples: list[FrameExample], tokenizer: Tokenizer) -> None:
    batch = make_batch(examples, tokenizer.image_pad)
    labels, ids = batch["labels"], batch["input_ids"]
    learnt = labels != IGNORED
    assert torch.equal(labels[learnt], ids[learnt])
    assert not learnt[:, : len(examples[0].prefix_ids)].any()
    assert (batch["position_ids"][:, 0, -1] > 0).all() or not learnt[0, -1]
