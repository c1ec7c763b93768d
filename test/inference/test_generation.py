"""The generation loop: whatever is kept, forced, drafted, streamed or forked, the tokens are the plain loop's."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tokenizers", reason="the model's language needs the extra [model]")

from model_training.models.stand_in_tokenizer import train_stand_in_tokenizer
from n3d_ros.codec.box_code import metric_to_code
from n3d_ros.codec.box_text import MetricLine, format_boxes, parse_boxes, parse_metric_line
from n3d_ros.codec.grammar import GrammarState, box_grammar, free_text
from n3d_ros.codec.model_input import Prompt
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import BackendError, CancelledError, InputError
from n3d_ros.geometry.point_map import PointNormalization
from n3d_ros.inference.generation import GenerationConfig, GenerationRequest, Generator, Step
from n3d_ros.inference.sampling import Sampler
from scripted_backend import (
    ScriptedBackend,
    answer_without_cache,
    make_box_code,
    make_image,
    make_prompt,
    same_answer,
)

IMAGE = make_image()
PLAIN = GenerationConfig(forced_runs=False, expected_runs=False)
SAMPLED = {"temperature": 1.5, "top_p": 0.9, "top_k": 8, "seed": 5}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_stand_in_tokenizer(tmp_path_factory.mktemp("tokenizer"), vocab_size=1200)


def make_backend(tokenizer: Tokenizer, **options: object) -> ScriptedBackend:
    return ScriptedBackend(vocab_size=tokenizer.vocab_size, image_token=tokenizer.image_pad, **options)  # type: ignore[arg-type]


def make_answer(tokenizer: Tokenizer, count: int = 5) -> list[int]:
    labels = ("chair", "red mug", "chair", "orange/tangerine")
    bins = np.random.default_rng(3).integers(100, 1000, (count, 7)).tolist()
    codes = [make_box_code(labels[k % 4], [*bin_[:3], 500, *bin_[4:]]) for k, bin_ in enumerate(bins)]
    return [*tokenizer.encode(format_boxes(codes)), tokenizer.im_end]


def wishing_backend(tokenizer: Tokenizer, prompt: Prompt, **options: object) -> ScriptedBackend:
    backend = make_backend(tokenizer, **options)
    backend.wish(prompt.token_ids.tolist(), make_answer(tokenizer))
    return backend


GRAMMARS = {
    "open": lambda tokenizer: box_grammar(tokenizer, max_boxes=4),
    "closed": lambda tokenizer: box_grammar(tokenizer, classes=["chair", "red mug", "man, left"], max_boxes=4),
    "single": lambda tokenizer: box_grammar(tokenizer, classes=["chair"], max_boxes=3, yaw="zero"),
    "free": free_text,
}


@pytest.mark.parametrize("draws", [{}, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("kind", GRAMMARS)
@given(seed=st.integers(0, 2**32), kept=st.integers(0, 200))
@settings(max_examples=4)
def test_every_way_of_writing_gives_the_tokens_of_the_loop_without_cache(
    tokenizer: Tokenizer, kind: str, draws: dict[str, float], seed: int, kept: int
) -> None:
    """The model wants the beginning of a list of boxes (``kept`` tokens of it) and then talks noise."""
    grammar = GRAMMARS[kind](tokenizer)
    prompt = make_prompt(tokenizer, image=IMAGE)

    def backend() -> ScriptedBackend:
        made = make_backend(tokenizer, seed=seed)
        made.wish(prompt.token_ids.tolist(), make_answer(tokenizer)[:kept])
        return made

    limit = 90
    sampler = Sampler(**draws)
    expected = answer_without_cache(backend(), prompt, IMAGE, tokenizer.image_pad, grammar, limit, sampler)  # type: ignore[arg-type]
    base = None
    for forced, guessed, drafted in product((False, True), repeat=3):
        config = GenerationConfig(
            max_new_tokens=limit, forced_runs=forced, expected_runs=guessed, drafting=drafted, **draws
        )  # type: ignore[arg-type]
        answer = Generator(backend(), tokenizer).generate(prompt, IMAGE, grammar=grammar, config=config)
        base = base or answer
        assert list(answer.token_ids) == expected
        assert same_answer(answer, base)


def test_an_answer_as_the_model_wants_it(tokenizer: Tokenizer) -> None:
    prompt = make_prompt(tokenizer, image=IMAGE)
    backend = wishing_backend(tokenizer, prompt)
    answer = Generator(backend, tokenizer).generate(prompt, IMAGE, grammar=box_grammar(tokenizer))
    assert [*answer.token_ids, tokenizer.im_end] == make_answer(tokenizer)
    assert answer.finish_reason == "end"
    assert answer.log_probs.shape == answer.log_mass.shape == answer.forced.shape == (len(answer.token_ids),)
    assert np.array_equal(np.isnan(answer.log_probs), answer.forced)
    assert np.array_equal(np.isnan(answer.log_mass), answer.forced)
    assert (answer.log_probs[~answer.forced] <= 0).all() and (answer.log_mass[~answer.forced] > -0.01).all()
    assert len(parse_boxes(tokenizer.decode(answer.token_ids)).boxes) == 5
    assert answer.passes == backend.forwards - 1  # the prompt, prefix and question together


def test_log_mass_tells_that_the_model_wanted_to_leave_the_grammar(tokenizer: Tokenizer) -> None:
    prompt = make_prompt(tokenizer, image=IMAGE)
    backend = make_backend(tokenizer)
    backend.wish(prompt.token_ids.tolist(), tokenizer.encode("There is no chair."))
    answer = Generator(backend, tokenizer).generate(
        prompt, IMAGE, grammar=box_grammar(tokenizer), config=GenerationConfig(max_new_tokens=1)
    )
    assert answer.token_ids and answer.log_mass[0] < -20


def test_passes_of_one_box_line(tokenizer: Tokenizer) -> None:
    """Plain: one per token. Forced runs: one per choice. Expected runs: one per choice the grammar could not guess."""
    prompt = make_prompt(tokenizer, image=IMAGE)

    def passes(config: GenerationConfig, grammar: GrammarState) -> int:
        code = make_box_code("chair", (512, 433, 287, 500, 262, 150, 711))
        backend = make_backend(tokenizer)
        backend.wish(prompt.token_ids.tolist(), [*tokenizer.encode(format_boxes([code] * 3)), tokenizer.im_end])
        answer = Generator(backend, tokenizer).generate(prompt, IMAGE, grammar=grammar, config=config)
        assert answer.finish_reason == "end" and len(answer.token_ids) % 3 == 0
        return answer.passes

    line = len(tokenizer.encode("bbox_0=Bbox(chair,512,433,287,500,262,150,711)\n"))
    forced = GenerationConfig(expected_runs=False)
    label = len(tokenizer.encode("(chair"))
    start, one = box_grammar(tokenizer), box_grammar(tokenizer, classes=["chair"])
    zero = box_grammar(tokenizer, classes=["chair"], yaw="zero")
    assert passes(PLAIN, start) == 3 * line
    assert passes(forced, start) == 3 * (21 + label + 1 + 2)  # digits, class, its comma, the line's end, another box
    assert passes(forced, one) == 3 * (21 + 2)
    assert passes(forced, zero) == 3 * (18 + 2)
    assert passes(GenerationConfig(), start) == 3 * 18 + label  # the class of the second and third is that of the first
    assert passes(GenerationConfig(), one) == 3 * 18
    assert passes(GenerationConfig(drafting=True), one) < 2 * 18 + 5


def test_passes_of_a_line_with_one_token_per_field(tmp_path: Path) -> None:
    """Ten tokens: nine choices, of which the head, the class again and the usual angle are guessed."""
    from model_training.nano.tokenizer import write_nano_tokenizer

    tokenizer = write_nano_tokenizer(tmp_path)
    prompt = make_prompt(tokenizer, image=IMAGE)
    code = make_box_code("chair", (512, 433, 287, 500, 262, 150, 711))

    def passes(config: GenerationConfig) -> int:
        backend = make_backend(tokenizer)
        backend.wish(prompt.token_ids.tolist(), [*tokenizer.encode(format_boxes([code] * 3)), tokenizer.im_end])
        answer = Generator(backend, tokenizer).generate(
            prompt, IMAGE, grammar=box_grammar(tokenizer, max_boxes=3), config=config
        )
        assert answer.finish_reason == "end" and len(answer.token_ids) == 30
        return answer.passes

    assert passes(PLAIN) == 30
    assert passes(GenerationConfig(expected_runs=False)) == 26  # nine choices a line; the first is the prompt's pass
    assert passes(GenerationConfig()) == 3 * 6


@pytest.mark.parametrize("name", ["demo1", "demo2", "demo3"])
def test_recorded_boxes_take_at_most_23_passes_each(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    """With a vocabulary that knows their words, as the model's does; about 35 tokens are written per box."""
    tokenizer = train_stand_in_tokenizer(tmp_path_factory.mktemp("words"), vocab_size=1800)
    folder = shared_data / "realdata" / "n3d_demo"
    with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
        points = arrays["pcd"][arrays["pcd"][..., 3] > 0][:, :3].astype(np.float64)
    distance = np.linalg.norm(points - points.min(axis=0), axis=1).mean()
    scene = PointNormalization(offset_m=points.min(axis=0), scale_per_m=1 / distance)
    text = json.loads((folder / f"{name}.json").read_text())[0]["Native 3D Grounding"]
    lines = [parse_metric_line(line) for line in text.strip().splitlines()]
    codes = [metric_to_code(line.box, scene) for line in lines if isinstance(line, MetricLine)]
    answer = [*tokenizer.encode(format_boxes(codes)), tokenizer.im_end]
    prompt = make_prompt(tokenizer, image=IMAGE)
    for classes in (None, sorted({code.label for code in codes})):
        backend = make_backend(tokenizer)
        backend.wish(prompt.token_ids.tolist(), answer)
        written = Generator(backend, tokenizer).generate(prompt, IMAGE, grammar=box_grammar(tokenizer, classes=classes))
        assert [*written.token_ids, tokenizer.im_end] == answer
        assert written.passes <= 23 * len(codes) < 0.7 * len(answer)


def test_a_second_question_pays_for_its_own_words_only(tokenizer: Tokenizer) -> None:
    backend = make_backend(tokenizer)
    generator = Generator(backend, tokenizer)
    grammar = box_grammar(tokenizer, max_boxes=2)
    first = generator.generate(make_prompt(tokenizer, image=IMAGE), IMAGE, grammar=grammar)
    backend.chunk_lengths.clear()
    prompt = make_prompt(tokenizer, "Where is the red mug?", image=IMAGE)
    second = generator.generate(prompt, IMAGE, grammar=grammar)
    assert (first.prefix_reused, second.prefix_reused) == (False, True)
    assert second.vision_ms == 0.0 and backend.images == 1
    assert len(prompt.suffix_ids) <= backend.chunk_lengths[0] < len(prompt.suffix_ids) + 10
    alone = Generator(make_backend(tokenizer), tokenizer).generate(prompt, IMAGE, grammar=grammar)
    assert same_answer(second, alone)


def test_another_image_is_never_answered_from_the_last_ones_cache(tokenizer: Tokenizer) -> None:
    generator = Generator(make_backend(tokenizer), tokenizer)
    grammar = box_grammar(tokenizer, max_boxes=2)
    prompt = make_prompt(tokenizer, image=IMAGE)
    for image in (IMAGE, make_image(1), IMAGE):
        answer = generator.generate(prompt, image, grammar=grammar)
        alone = Generator(make_backend(tokenizer), tokenizer).generate(prompt, image, grammar=grammar)
        assert not answer.prefix_reused and same_answer(answer, alone)


def test_text_alone_is_answered(tokenizer: Tokenizer) -> None:
    prompt = make_prompt(tokenizer)
    backend = make_backend(tokenizer)
    backend.wish(prompt.token_ids.tolist(), [*tokenizer.encode("That is True."), tokenizer.end_of_text])
    answer = Generator(backend, tokenizer).generate(prompt, None, grammar=free_text(tokenizer))
    assert tokenizer.decode(answer.token_ids) == "That is True." and answer.finish_reason == "end"
    assert not answer.forced.any()


@pytest.mark.parametrize("drafting", [False, True])
def test_tokens_are_told_as_they_come_each_once(tokenizer: Tokenizer, drafting: bool) -> None:
    prompt = make_prompt(tokenizer, image=IMAGE)
    backend = wishing_backend(tokenizer, prompt)
    told: list[list[Step]] = []
    forwards: list[int] = []

    def listen(steps: Sequence[Step]) -> None:
        told.append(list(steps))
        forwards.append(backend.forwards)

    answer = Generator(backend, tokenizer).generate(
        prompt,
        IMAGE,
        grammar=box_grammar(tokenizer),
        config=GenerationConfig(drafting=drafting),
        on_tokens=listen,
    )
    steps = [step for group in told for step in group]
    assert tuple(step.token_id for step in steps) == answer.token_ids
    assert [step.forced for step in steps] == answer.forced.tolist()
    assert all(told) and forwards == sorted(set(forwards))
    # A line is told with the forward that brought its last digit.
    text = ""
    for group in told:
        text += tokenizer.decode([step.token_id for step in group])
        assert not text.endswith((",711", "0)")), text


@pytest.mark.parametrize("after", [0, 1, 2, 3, 7])
def test_cancel_takes_effect_before_the_next_forward(tokenizer: Tokenizer, after: int) -> None:
    prompt = make_prompt(tokenizer, image=IMAGE)
    backend = wishing_backend(tokenizer, prompt)
    generator = Generator(backend, tokenizer)
    grammar = box_grammar(tokenizer)
    cancelled = generator.generate(prompt, IMAGE, grammar=grammar, is_cancelled=lambda: backend.forwards >= after)
    assert backend.forwards == after and cancelled.finish_reason == "cancelled"
    fresh = Generator(wishing_backend(tokenizer, prompt), tokenizer).generate(prompt, IMAGE, grammar=grammar)
    assert cancelled.token_ids == fresh.token_ids[: len(cancelled.token_ids)]
    again = generator.generate(prompt, IMAGE, grammar=grammar)
    assert again.prefix_reused == (after > 0) and same_answer(again, fresh)


def test_an_exception_of_a_listener_passes_and_leaves_the_cache_usable(tokenizer: Tokenizer) -> None:
    prompt = make_prompt(tokenizer, image=IMAGE)
    backend = wishing_backend(tokenizer, prompt)
    generator = Generator(backend, tokenizer)

    def stop(steps: Sequence[Step]) -> None:
        if backend.forwards > 5:
            raise CancelledError("Stop.")

    with pytest.raises(CancelledError):
        generator.generate(prompt, IMAGE, grammar=box_grammar(tokenizer), on_tokens=stop)
    answer = generator.generate(prompt, IMAGE, grammar=box_grammar(tokenizer))
    assert answer.prefix_reused and [*answer.token_ids, tokenizer.im_end] == make_answer(tokenizer)


def test_a_deadline_ends_with_what_is_there(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = make_prompt(tokenizer, image=IMAGE)
    backend = wishing_backend(tokenizer, prompt)
    monkeypatch.setattr(time, "monotonic", lambda: float(backend.forwards))  # a second per forward
    answer = Generator(backend, tokenizer).generate(prompt, IMAGE, grammar=box_grammar(tokenizer), deadline_s=12.0)
    assert answer.finish_reason == "deadline" and backend.forwards == 12
    assert list(answer.token_ids) == make_answer(tokenizer)[: len(answer.token_ids)] != []


def test_a_deadline_that_has_passed_computes_nothing(tokenizer: Tokenizer) -> None:
    backend = make_backend(tokenizer)
    prompt = make_prompt(tokenizer, image=IMAGE)
    answer = Generator(backend, tokenizer).generate(prompt, IMAGE, grammar=box_grammar(tokenizer), deadline_s=0.0)
    assert answer.finish_reason == "deadline" and answer.token_ids == () and backend.forwards == backend.images == 0
    assert np.isnan(answer.first_token_ms)


@given(limit=st.integers(1, 60), forced=st.booleans(), drafted=st.booleans())
@settings(max_examples=30)
def test_the_limit_of_tokens_cuts_at_the_same_place_however_it_is_written(
    tokenizer: Tokenizer, limit: int, forced: bool, drafted: bool
) -> None:
    prompt = make_prompt(tokenizer, image=IMAGE)
    config = GenerationConfig(max_new_tokens=limit, forced_runs=forced, expected_runs=drafted, drafting=drafted)
    backend = wishing_backend(tokenizer, prompt)
    answer = Generator(backend, tokenizer).generate(prompt, IMAGE, grammar=box_grammar(tokenizer), config=config)
    assert answer.finish_reason == "length"
    assert list(answer.token_ids) == make_answer(tokenizer)[:limit]


@pytest.mark.parametrize("room", [1, 2, 5, 30])
@pytest.mark.parametrize("config", [PLAIN, GenerationConfig(), GenerationConfig(drafting=True)])
def test_a_full_cache_ends_the_answer(tokenizer: Tokenizer, room: int, config: GenerationConfig) -> None:
    prompt = make_prompt(tokenizer, image=IMAGE)
    backend = wishing_backend(tokenizer, prompt, capacity=len(prompt.token_ids) + room)
    answer = Generator(backend, tokenizer).generate(prompt, IMAGE, grammar=box_grammar(tokenizer), config=config)
    assert answer.finish_reason == "length"
    assert list(answer.token_ids) == make_answer(tokenizer)[:room]


def test_a_prompt_longer_than_the_cache_is_refused_with_the_figures(tokenizer: Tokenizer) -> None:
    prompt = make_prompt(tokenizer, image=IMAGE)
    length = len(prompt.token_ids)
    backend = make_backend(tokenizer, capacity=length)
    with pytest.raises(InputError, match=rf"at most {length - 1} tokens .* got {length}\."):
        Generator(backend, tokenizer).generate(prompt, IMAGE, grammar=box_grammar(tokenizer))
    empty = Prompt(prefix_ids=prompt.prefix_ids, suffix_ids=np.zeros(0, np.int64))
    with pytest.raises(InputError, match="suffix"):
        Generator(make_backend(tokenizer), tokenizer).generate(empty, IMAGE, grammar=box_grammar(tokenizer))


def test_an_answer_without_a_choice_needs_no_forward_of_its_own(tokenizer: Tokenizer) -> None:
    start = box_grammar(tokenizer, max_boxes=1)
    state = start
    for token in tokenizer.encode("bbox_0=Bbox(chair,1,2,3,4,5,6,7)\n"):
        state = state.after(token)
    backend = make_backend(tokenizer)
    answer = Generator(backend, tokenizer).generate(make_prompt(tokenizer, image=IMAGE), IMAGE, grammar=state)
    assert answer.token_ids == () and answer.finish_reason == "end" and backend.forwards == 0
    assert answer.passes == 0


@pytest.mark.parametrize("fail_at", [0, 1, 4])
def test_after_a_failed_forward_nothing_half_written_is_used_again(tokenizer: Tokenizer, fail_at: int) -> None:
    prompt = make_prompt(tokenizer, image=IMAGE)
    backend = wishing_backend(tokenizer, prompt, fail_at=fail_at)
    generator = Generator(backend, tokenizer)
    with pytest.raises(BackendError):
        generator.generate(prompt, IMAGE, grammar=box_grammar(tokenizer))
    answer = generator.generate(prompt, IMAGE, grammar=box_grammar(tokenizer))
    assert not answer.prefix_reused and [*answer.token_ids, tokenizer.im_end] == make_answer(tokenizer)


def test_logits_that_are_no_numbers_end_with_an_error(tokenizer: Tokenizer) -> None:
    backend = make_backend(tokenizer, bad_logits_at=1)
    with pytest.raises(BackendError, match="finite"):
        Generator(backend, tokenizer).generate(
            make_prompt(tokenizer, image=IMAGE), IMAGE, grammar=box_grammar(tokenizer)
        )


def make_requests(tokenizer: Tokenizer, count: int = 6) -> list[GenerationRequest]:
    grammars = list(GRAMMARS.values())
    return [
        GenerationRequest(
            prompt=make_prompt(tokenizer, f"Question {k}?", image=IMAGE),
            grammar=grammars[k % 4](tokenizer),
            config=GenerationConfig(max_new_tokens=20 + 15 * k, drafting=k % 2 == 0),
        )
        for k in range(count)
    ]


@pytest.mark.parametrize("side_by_side", [1, 2, 4, 8])
def test_several_questions_are_answered_as_if_asked_alone(tokenizer: Tokenizer, side_by_side: int) -> None:
    requests = make_requests(tokenizer)
    backend = make_backend(tokenizer)
    answers = Generator(backend, tokenizer, max_parallel=side_by_side).generate_many(requests, IMAGE)
    assert backend.images == 1 and backend.caches == 1 and backend.forks == min(side_by_side, 6) - 1
    for request, answer in zip(requests, answers, strict=True):
        alone = Generator(make_backend(tokenizer), tokenizer).generate(
            request.prompt, IMAGE, grammar=request.grammar, config=request.config
        )
        assert same_answer(answer, alone)


def test_questions_of_two_prefixes_come_back_in_order(tokenizer: Tokenizer) -> None:
    requests = make_requests(tokenizer, 4)
    other = Prompt(
        prefix_ids=np.array([*tokenizer.encode("other"), *requests[0].prompt.prefix_ids]),
        suffix_ids=requests[0].prompt.suffix_ids,
    )
    requests.insert(1, GenerationRequest(prompt=other, grammar=requests[0].grammar, config=requests[0].config))
    answers = Generator(make_backend(tokenizer), tokenizer).generate_many(requests, IMAGE)
    for request, answer in zip(requests, answers, strict=True):
        generator = Generator(make_backend(tokenizer), tokenizer)
        assert same_answer(answer, generator.generate_many([request], IMAGE)[0])


def test_questions_take_turns_and_one_that_stops_does_not_stop_the_others(tokenizer: Tokenizer) -> None:
    prompts = [make_prompt(tokenizer, f"Question {k}?", image=IMAGE) for k in range(3)]
    backend = make_backend(tokenizer)
    for prompt in prompts:
        backend.wish(prompt.token_ids.tolist(), make_answer(tokenizer))
    turns: list[int] = []

    def request(index: int) -> GenerationRequest:
        return GenerationRequest(
            prompt=prompts[index],
            grammar=box_grammar(tokenizer),
            on_tokens=lambda _: turns.append(index),
            is_cancelled=lambda: index == 1 and turns.count(1) >= 4,
        )

    answers = Generator(backend, tokenizer).generate_many([request(k) for k in range(3)], IMAGE)
    assert [answer.finish_reason for answer in answers] == ["end", "cancelled", "end"]
    assert turns[:9] == [0, 1, 2] * 3 and turns.count(1) == 4
    assert [*answers[2].token_ids, tokenizer.im_end] == make_answer(tokenizer)


def test_when_nobody_waits_any_more_nothing_is_computed(tokenizer: Tokenizer) -> None:
    backend = make_backend(tokenizer)
    requests = [
        GenerationRequest(prompt=make_prompt(tokenizer, image=IMAGE), grammar=free_text(tokenizer), **stop)
        for stop in ({"is_cancelled": lambda: True}, {"deadline_s": 0.0})
    ]
    answers = Generator(backend, tokenizer).generate_many(requests, IMAGE)
    assert [answer.finish_reason for answer in answers] == ["cancelled", "deadline"] and backend.images == 0
    assert Generator(backend, tokenizer).generate_many([], IMAGE) == ()


@pytest.mark.parametrize(
    "arguments",
    [{"max_new_tokens": 0}, {"draft_tokens": 0}, {"draft_tokens": 65}, {"temperature": -1.0}, {"top_k": 99}],
)
def test_settings_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(InputError):
        GenerationConfig(**arguments)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        Generator(None, None, max_parallel=0)  # type: ignore[arg-type]
