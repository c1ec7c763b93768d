"""The model alone: one prompt, one image, one answer under the grammar, beside ``generate`` writing the same tokens."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from n3d_ros.bench.failures import Dropped
from n3d_ros.bench.step_bytes import bandwidth_share
from n3d_ros.bench.subjects import Subject
from n3d_ros.bench.table import Row, percentiles, ratio_row
from n3d_ros.codec.frame_input import encode_frame
from n3d_ros.codec.grammar import GrammarState, box_grammar
from n3d_ros.codec.model_input import ImageInput, Prompt
from n3d_ros.codec.prompts import build_prompt, detection_text
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import GroundingError, N3dError
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.generation import GenerationConfig, Generator, Step
from n3d_ros.inference.language_model.box_stream import BoxStream
from n3d_ros.inference.language_model.loading import input_options
from n3d_ros.inference.language_model.scores import TokenEvidence

TRANSFORMERS = "transformers' generate"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """A frame as a model takes it.

    Args:
        image: patches and points.
        prompt: asks for everything.
    """

    image: ImageInput
    prompt: Prompt


@dataclass(slots=True, kw_only=True)
class AnswerTimes:
    """What some answers of one runtime took, milliseconds.

    Args:
        total_ms: whole answers.
        first_token_ms: from the call to the first token.
        first_box_ms: from the call to the end of the first box; NaN where there was none.
        token_ms: of one token, behind the first ones.
        pass_ms: of one forward, behind the one of the prompt.
        codec_ms: tokens to boxes.
        rows: tokens in the cache, in the middle of the answer.
        passes: forwards behind the one of the prompt.
        boxes: written.
        token_ids: of the latest answer to each question.
    """

    total_ms: list[float] = field(default_factory=list)
    first_token_ms: list[float] = field(default_factory=list)
    first_box_ms: list[float] = field(default_factory=list)
    token_ms: list[float] = field(default_factory=list)
    pass_ms: list[float] = field(default_factory=list)
    codec_ms: list[float] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)
    passes: int = 0
    boxes: int = 0
    token_ids: dict[int, tuple[int, ...]] = field(default_factory=dict)


class Answerer:
    """Asks one runtime for lists of boxes.

    Args:
        subject: computes.
        frames: are asked about; those without depth are left out.

    Raises:
        GroundingError: none of them has depth.
    """

    def __init__(self, subject: Subject, frames: Sequence[RgbdFrame]) -> None:
        self.subject, self.name, self.times = subject, subject.name, AnswerTimes()
        runtime, config = subject.runtime, subject.wanted.config
        self.tokenizer: Tokenizer = runtime.tokenizer
        self._generator = Generator(runtime.backend, runtime.tokenizer)
        self._max_new_tokens = config.max_new_tokens
        self._yaw_is_zero = runtime.position_code == "reference"  # as the grounder has it
        options = input_options(config, runtime.options)
        self.questions: list[Question] = []
        for frame in frames:
            try:
                image = encode_frame(frame, options)[0]
            except GroundingError:
                continue
            prompt = build_prompt(self.tokenizer, detection_text(), image.token_count)
            self.questions.append(Question(image=image, prompt=prompt))
        if not self.questions:
            raise GroundingError("None of the frames has depth that a model could use.")

    def answer(self, number: int, *, counts: bool) -> None:
        """One answer.

        Args:
            number: of the question.
            counts: whether its times are kept.
        """
        question, told = self.questions[number], list[tuple[float, list[Step]]]()
        self._generator.forget()
        began = time.perf_counter()
        made = self._generator.generate(
            question.prompt,
            question.image,
            grammar=self._grammar(),
            config=GenerationConfig(max_new_tokens=self._max_new_tokens),
            on_tokens=lambda steps: told.append((time.perf_counter(), list(steps))),
        )
        total_ms = (time.perf_counter() - began) * 1e3
        times = self.times
        times.token_ids[number] = made.token_ids
        if not counts:
            return
        codec_ms, boxes, first_box_s = self._read(told)
        times.total_ms.append(total_ms)
        times.first_token_ms.append(made.first_token_ms)
        times.first_box_ms.append((first_box_s - began) * 1e3)
        times.codec_ms.append(codec_ms)
        later = len(made.token_ids) - (len(told[0][1]) if told else 0)
        if later > 0 and made.passes > 0:
            times.token_ms.append(made.decode_ms / later)
            times.pass_ms.append(made.decode_ms / made.passes)
            times.rows.append(len(question.prompt.token_ids) + later / 2)
            times.passes += made.passes
        times.boxes += boxes

    def _grammar(self) -> GrammarState:
        return box_grammar(self.tokenizer, yaw="zero" if self._yaw_is_zero else "free")

    def _read(self, told: Sequence[tuple[float, list[Step]]]) -> tuple[float, int, float]:
        """Milliseconds of reading the tokens as boxes, how many boxes, and when the first was there."""
        stream, boxes, first_s, began = BoxStream(), 0, math.nan, time.perf_counter()
        for at_s, steps in told:
            found = stream.add(
                TokenEvidence(piece=self.tokenizer.piece(s.token_id), log_prob=s.log_prob, log_mass=s.log_mass)
                for s in steps
            )
            first_s = at_s if found and not boxes else first_s
            boxes += len(found)
        rest = stream.finish(complete=True)
        if rest and not boxes and told:
            first_s = told[-1][0]
        return (time.perf_counter() - began) * 1e3, boxes + len(rest), first_s


class TransformersAnswerer:
    """transformers' ``generate``, made to write what a runtime wrote.

    Args:
        beside: runtime over the same weights.

    Raises:
        N3dError: the weights cannot be loaded a second time.
    """

    def __init__(self, beside: Answerer) -> None:
        from n3d_ros.model.checkpoint import load_model

        wanted = beside.subject.wanted
        self.name, self.times = f"{wanted.title}, {TRANSFORMERS}", AnswerTimes()
        self._beside = beside
        loaded = load_model(
            wanted.checkpoint,
            dtype=beside.subject.runtime.backend.dtype,  # type: ignore[arg-type] # one of the names
            device=wanted.config.device,
            position_code=beside.subject.runtime.position_code,  # type: ignore[arg-type] # one of the names
            hashes=False,
        )
        self._model = loaded.model

    def answer(self, number: int, *, counts: bool) -> None:
        """One answer.

        Args:
            number: of the question, which the other has answered.
            counts: whether its times are kept.

        Raises:
            N3dError: it writes something else, or there is no answer to write.
        """
        from n3d_ros.bench.torch_generate import run_transformers, transformers_inputs

        if number not in self._beside.times.token_ids:
            raise N3dError(f"{self._beside.name} wrote no answer that it could be held against.")
        question, end = self._beside.questions[number], self._beside.tokenizer.im_end
        answer = (*self._beside.times.token_ids[number], end)
        inputs = transformers_inputs(question.image, question.prompt.token_ids, self._model.lm_head.weight.device)
        began, at_s, written = run_transformers(self._model, inputs, answer, end_token=end)
        if tuple(written) != answer:
            raise N3dError(f"{self.name} wrote other tokens than it was made to.")
        if counts:
            self.times.total_ms.append((at_s[-1] - began) * 1e3)
            self.times.first_token_ms.append((at_s[0] - began) * 1e3)
            if len(at_s) > 1:
                self.times.token_ms.append((at_s[-1] - at_s[0]) * 1e3 / (len(at_s) - 1))


def answer_in_turn(
    answerers: Sequence[Answerer],
    theirs: Sequence[TransformersAnswerer],
    repeats: int,
    advance: Callable[[], None],
    dropped: Dropped,
) -> None:
    """Every runtime at every question, one after the other.

    Args:
        answerers: runtimes.
        theirs: transformers beside some of them.
        repeats: answers of each to each question, after one that warms up.
        advance: told after each question.
        dropped: takes those that fail.
    """
    count = min((len(answerer.questions) for answerer in answerers), default=0)
    everyone: list[Answerer | TransformersAnswerer] = [*answerers, *theirs]
    for turn in range(repeats + 1):
        for number in range(count):
            for one in everyone:
                if one.name not in dropped:
                    with dropped.catching(one.name, "answer alone"):
                        one.answer(number, counts=turn > 0)
            advance()


def answer_rows(answerers: Sequence[Answerer], theirs: Sequence[TransformersAnswerer], bytes_per_s: float) -> list[Row]:
    """Tokens, first boxes, share of the bandwidth, and how runtimes compare with transformers.

    Args:
        answerers: runtimes.
        theirs: transformers beside some of them.
        bytes_per_s: that the memory gives.

    Returns:
        Rows.
    """
    everyone: list[Answerer | TransformersAnswerer] = [*answerers, *theirs]
    times = {one.name: one.times for one in everyone}
    rows = []
    for figure, part, note in (
        ("answer alone", "total_ms", "one image and prompt to the last token; nothing beside it"),
        ("answer alone, first token", "first_token_ms", "vision and prompt"),
        ("answer alone, first box", "first_box_ms", "streamed"),
        ("decode, per token", "token_ms", "behind the prompt's forward"),
        ("decode, per forward", "pass_ms", "several tokens where the grammar allows"),
        ("codec: tokens to boxes", "codec_ms", "a whole answer"),
    ):
        rows += [
            Row.of_samples(figure, name, samples, note=note)
            for name, of in times.items()
            if (samples := getattr(of, part))
        ]
    for name, of in times.items():
        rate = 1e3 / percentiles(of.token_ms)[0]
        rows.append(Row(figure="tokens per second", of=name, p50=rate, unit="tokens/s", note="by the median token"))
    for one in answerers:
        rows += _decoding_rows(one, bytes_per_s)
    for other in theirs:
        pair = other.name, other.times.total_ms
        for one in answerers:
            if one.times.token_ids == other._beside.times.token_ids:
                rows.append(ratio_row("answer alone, times as fast", pair, (one.name, one.times.total_ms)))
    return rows


def _decoding_rows(one: Answerer, bytes_per_s: float) -> list[Row]:
    """Forwards per box, and what the memory allows."""
    name, times, step = one.name, one.times, one.subject.step
    per_box = times.passes / times.boxes if times.boxes else math.nan
    rows = [Row(figure="forwards per box", of=name, p50=per_box, note=f"{times.boxes} boxes")]
    if step is None or not times.rows:
        why = "the model's files do not say what a step reads" if step is None else "no token behind the prompt's"
        return [*rows, Row(figure="share of the bandwidth limit", of=name, note=why)]
    read = step.at(percentiles(times.rows)[0])
    per_s = 1e3 / percentiles(times.pass_ms)[0]
    note = f"{read / 1e6:.4g} MB of weights and cache a forward, {per_s:.4g} forwards/s, {bytes_per_s / 1e9:.4g} GB/s"
    share = 100 * bandwidth_share(read, per_s, bytes_per_s)
    return [*rows, Row(figure="share of the bandwidth limit", of=name, p50=share, unit="%", note=note)]
