"""The generation loop over the torch backend: a tiny random network writes the same tokens in every way."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")

from model_training.models.stand_in_tokenizer import train_stand_in_tokenizer  # noqa: E402
from n3d_ros.codec.grammar import box_grammar, free_text  # noqa: E402
from n3d_ros.codec.model_input import ImageInput  # noqa: E402
from n3d_ros.codec.tokenizer import Tokenizer  # noqa: E402
from n3d_ros.inference.generation import GenerationConfig, GenerationRequest, Generator  # noqa: E402
from n3d_ros.inference.torch_backend import TorchBackend  # noqa: E402
from scripted_backend import answer_without_cache, make_prompt  # noqa: E402
from tiny_vlm import make_inputs, tiny_model  # noqa: E402

torch.set_num_threads(1)

GRID = (6, 10)
LIMIT = 45
GRAMMARS = {
    "open": lambda tokenizer: box_grammar(tokenizer, max_boxes=4),
    "closed": lambda tokenizer: box_grammar(tokenizer, classes=["chair", "red mug"], max_boxes=4),
    "free": free_text,
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_stand_in_tokenizer(tmp_path_factory.mktemp("tokenizer"), vocab_size=700)


@pytest.fixture(scope="module")
def backend(tokenizer: Tokenizer) -> TorchBackend:
    model = tiny_model(
        seed=5,
        text={"vocab_size": tokenizer.vocab_size},
        image_token_id=tokenizer.image_pad,
        vision_start_token_id=tokenizer.vision_start,
        vision_end_token_id=tokenizer.vision_end,
    )
    with torch.no_grad():  # noise would rather end at once than begin a line
        head = model.lm_head.weight
        head[tokenizer.im_end] = 0.5 * head[tokenizer.encode("bbox_0")[0]]
    return TorchBackend(SimpleNamespace(model=model, position_code=model.position_code), capacity=256)


def make_image(seed: int = 0) -> ImageInput:
    inputs = make_inputs([GRID], seed)
    points = inputs["point_clouds"][0].numpy().copy()
    points[..., :3][points[..., 3] <= 0] = np.nan
    return ImageInput(pixel_values=inputs["pixel_values"].numpy(), grid=GRID, points=points)


@pytest.mark.parametrize("draws", [{}, {"temperature": 1.2, "seed": 1}], ids=["greedy", "sampled"])
@pytest.mark.parametrize("kind", GRAMMARS)
def test_every_way_of_writing_gives_the_tokens_of_the_loop_without_cache(
    tokenizer: Tokenizer, backend: TorchBackend, kind: str, draws: dict[str, float]
) -> None:
    grammar, image = GRAMMARS[kind](tokenizer), make_image()
    prompt = make_prompt(tokenizer, image=image)
    sampler = GenerationConfig(**draws).sampler()  # type: ignore[arg-type]
    expected = answer_without_cache(backend, prompt, image, tokenizer.image_pad, grammar, LIMIT, sampler)
    assert len(expected) > 10
    for forced, guessed, drafted in product((False, True), repeat=3):
        reused = forced != drafted
        config = GenerationConfig(
            max_new_tokens=LIMIT,
            forced_runs=forced,
            expected_runs=guessed,
            drafting=drafted,
            **draws,  # type: ignore[arg-type]
        )
        generator = Generator(backend, tokenizer)
        if reused:
            other = make_prompt(tokenizer, "Where is the red mug?", image=image)
            generator.generate(other, image, grammar=free_text(tokenizer), config=GenerationConfig(max_new_tokens=5))
        answer = generator.generate(prompt, image, grammar=grammar, config=config)
        assert answer.prefix_reused == reused
        assert list(answer.token_ids) == expected


def test_several_questions_are_answered_as_if_asked_alone(tokenizer: Tokenizer, backend: TorchBackend) -> None:
    image = make_image()
    requests = [
        GenerationRequest(
            prompt=make_prompt(tokenizer, f"Question {index}?", image=image),
            grammar=grammar(tokenizer),
            config=GenerationConfig(max_new_tokens=20 + 10 * index),
        )
        for index, grammar in enumerate(GRAMMARS.values())
    ]
    together = Generator(backend, tokenizer, max_parallel=2).generate_many(requests, image)
    for request, answer in zip(requests, together, strict=True):
        alone = Generator(backend, tokenizer).generate(
            request.prompt, image, grammar=request.grammar, config=request.config
        )
        assert answer.token_ids == alone.token_ids
        np.testing.assert_allclose(answer.log_probs, alone.log_probs, atol=1e-5)
        np.testing.assert_allclose(answer.log_mass, alone.log_mass, atol=1e-5)


def test_after_a_cancelled_question_the_next_is_answered_as_on_a_fresh_cache(
    tokenizer: Tokenizer, backend: TorchBackend
) -> None:
    image = make_image(1)
    prompt, grammar = make_prompt(tokenizer, image=image), box_grammar(tokenizer, max_boxes=3)
    generator = Generator(backend, tokenizer)
    told: list[int] = []
    stopped = generator.generate(
        prompt, image, grammar=grammar, on_tokens=lambda steps: told.extend(range(len(steps))),
        is_cancelled=lambda: len(told) > 12,
    )  # fmt: skip
    assert stopped.finish_reason == "cancelled"
    again = generator.generate(prompt, image, grammar=grammar)
    fresh = Generator(backend, tokenizer).generate(prompt, image, grammar=grammar)
    assert again.prefix_reused and again.token_ids == fresh.token_ids
    assert stopped.token_ids == fresh.token_ids[: len(stopped.token_ids)]
