"""How well a model in training knows what comes next: the loss, and the error of each part of a box.

The errors are teacher-forced: each number is said after the true text before it. They fall long before whole boxes come
out right (F1 stays near 0 for the first ten thousand samples of a small model), so a run can be judged by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_training.examples.config import ExampleConfig
from model_training.examples.example import FrameExample, Mix, make_example
from model_training.examples.left_out import UNREADABLE_FRAME, UNREADABLE_SHARD, Broken, BrokenOnes
from model_training.examples.packing import make_batch
from model_training.examples.sources import Pair, Source
from model_training.examples.tokens import SLOTS
from model_training.training.losses import answer_losses, learnt_places
from model_training.training.network import TrainedModel
from n3d_ros.codec.box_code import BINS
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import N3dError

ANSWER_LOSS = "answer"
SEED = 20  # of the questions that are drawn for validation, always the same


def validation_examples(
    sources: Sequence[Source],
    examples: ExampleConfig,
    mix: Mix,
    tokenizer: Tokenizer,
    frames: int,
    *,
    skipped: Counter[str] | None = None,
    broken: BrokenOnes | None = None,
) -> Iterator[FrameExample]:
    """The first frames of a source, never changed, each with the same questions every time.

    Args:
        sources: of validation.
        examples: how records become examples.
        mix: which questions.
        tokenizer: of the model.
        frames: how many.
        skipped: counts what is left out, by reason.
        broken: tells what cannot be read, once for all calls that share it.

    Yields:
        Examples.
    """
    counts = Counter() if skipped is None else skipped
    broken = broken or BrokenOnes()
    plain = ExampleConfig(**{n: getattr(examples, n) for n in examples.__dataclass_fields__ if n != "augment"})
    for number, (frame, questions) in enumerate(islice(readable_pairs(sources, counts, broken), frames)):
        rng = np.random.default_rng([SEED, number])
        try:
            example = make_example(frame, questions, plain, tokenizer, mix=mix, rng=rng, skipped=counts)
        except N3dError as error:
            broken.tell([Broken("frame", f"Validation frame {frame.id}", error.message)])
            counts[UNREADABLE_FRAME] += 1
            continue
        if example is not None:
            yield example


def readable_pairs(sources: Sequence[Source], counts: Counter[str], broken: BrokenOnes) -> Iterator[Pair]:
    """Frames and questions of all shards but those that cannot be read.

    Args:
        sources: of validation.
        counts: of what is left out, by reason; added to.
        broken: tells it.

    Yields:
        Frames with their questions, in the shards' order.
    """
    for source in sources:
        for shard in source.shards:
            yield from _pairs_of(source, shard, counts, broken)


def _pairs_of(source: Source, shard: int, counts: Counter[str], broken: BrokenOnes) -> Iterator[Pair]:
    """What can be read of one shard."""
    try:
        yield from source.pairs(shard)
    except N3dError as error:
        broken.tell([Broken("shard", f"Validation, {source.about}, shard {shard}", error.message)])
        counts[UNREADABLE_SHARD] += 1


class Errors:
    """Sums of errors over batches.

    Args:
        tokenizer: of the model.
        device: of the model.
    """

    def __init__(self, tokenizer: Tokenizer, device: torch.device) -> None:
        if tokenizer.bin_ids is not None:
            ids = list(tokenizer.bin_ids)
        else:
            ids = [tokenizer.encode(str(digit))[0] for digit in range(10)]
        self.bins = tokenizer.bin_ids is not None
        self._ids = torch.tensor(ids, device=device)
        self._sums = dict.fromkeys(SLOTS, 0.0)
        self._counts = dict.fromkeys(SLOTS, 0)

    def add(self, logits: Tensor, targets: Tensor, slots: Tensor, starts: Tensor) -> None:
        """Takes in the places of a batch.

        Args:
            logits: (L, V).
            targets: (L,) true tokens, in the order of the text.
            slots: (L,) parts of a box.
            starts: (L,) the number that begins there, -1 elsewhere.
        """
        names = slots == 0
        self._note("class", (logits[names].argmax(-1) != targets[names]).float())
        is_number = (slots > 0) & torch.isin(targets, self._ids)
        if not is_number.any():
            return
        said = logits[is_number][:, self._ids].argmax(-1)
        true = (targets[is_number][:, None] == self._ids[None]).int().argmax(-1)
        number = (starts[is_number] >= 0).cumsum(0) - 1
        count = int(number[-1]) + 1
        if self.bins:
            errors = (said - true).float()
        else:  # digits of one number, of which each stands for ten times the next
            digits = torch.bincount(number, minlength=count)
            ends = digits.cumsum(0)
            place = ends[number] - 1 - torch.arange(len(number), device=number.device)
            errors = torch.zeros(count, device=number.device).index_add_(0, number, (said - true) * 10.0**place)
        slot = slots[is_number][starts[is_number] >= 0]
        for index in range(1, len(SLOTS)):
            self._note(SLOTS[index], errors.abs()[slot == index].clamp_max(BINS - 1))

    def _note(self, name: str, values: Tensor) -> None:
        self._sums[name] += float(values.sum())
        self._counts[name] += len(values)

    def read(self) -> dict[str, float]:
        """Mean errors.

        Returns:
            "class_error" as a share of tokens, the others in bins of 1000; only what was met.
        """
        return {f"{n}_error": self._sums[n] / self._counts[n] for n in SLOTS if self._counts[n]}


@torch.no_grad()
def validation_scores(
    model: TrainedModel, examples: Iterable[FrameExample], tokenizer: Tokenizer, device: torch.device, *, half: bool
) -> dict[str, float]:
    """Loss and errors.

    Args:
        model: as it is trained.
        examples: of validation.
        tokenizer: of the model.
        device: of the model.
        half: whether activations are bfloat16.

    Returns:
        "answer" (loss per token), an error for each part of a box, and of the dense head the share of objects with
        another class and the mean error of its boxes in bins, over the tokens of each object; empty without examples.
    """
    was_training = model.training
    model.eval()
    errors, dense = Errors(tokenizer, device), {"wrong": 0.0, "bins": 0.0, "objects": 0.0}
    loss, count = 0.0, 0
    for example in examples:
        batch = {name: _moved(value, device) for name, value in make_batch([example], tokenizer.image_pad).items()}
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            learnt = learnt_places(batch["labels"], batch["slots"], batch["bins"])
            logits, visual = model.logits(batch, learnt)
            told = None if model.dense is None else model.dense(visual)
        losses = answer_losses(logits, learnt, model.bin_ids, model.settings.sigma_bins)
        loss, count = loss + float(losses.sum()), count + len(losses)
        errors.add(logits.float(), learnt.targets, learnt.slots, learnt.bins)
        is_object = batch["dense_classes"] >= 0
        if told is not None and bool(is_object.any()):
            _, kinds, boxes = told
            share = batch["dense_weights"][is_object]
            wrong = (kinds[is_object].argmax(-1) != batch["dense_classes"][is_object]).float()
            off = (boxes[is_object] - batch["dense_boxes"][is_object]).abs().mean(-1) * BINS
            dense["wrong"] += float((wrong * share).sum())
            dense["bins"] += float((off * share).sum())
            dense["objects"] += float(share.sum())
    model.train(was_training)
    scores = {ANSWER_LOSS: loss / count, **errors.read()} if count else {}
    if dense["objects"]:
        scores["dense_class_error"] = dense["wrong"] / dense["objects"]
        scores["dense_box_error"] = dense["bins"] / dense["objects"]
    return scores


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    return [_moved(each, device) for each in value] if isinstance(value, list) else value
