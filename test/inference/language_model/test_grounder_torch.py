"""The grounder with real networks: tiny ones with random weights, and one that was taught a few frames."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with the extra [model]")
pytest.importorskip("transformers", reason="transformers comes with the extra [model]")

from inference.language_model.scenes import KnownScene, tabletop
from inference.language_model.trained import Example, teach
from model_training.models.random_model import write_random_model
from n3d_ros.codec.frame_input import encode_frame
from n3d_ros.codec.input_options import InputOptions
from n3d_ros.codec.prompts import detection_text, grounding_text
from n3d_ros.codec.reasoning import reasoning_text
from n3d_ros.codec.tokenizer import load_tokenizer
from n3d_ros.detection import Detection3D
from n3d_ros.errors import CancelledError, N3dError
from n3d_ros.geometry.iou import iou_3d
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.inference.language_model.calibration import fit_calibration, write_calibration
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.inference.language_model.grounder import LanguageModelGrounder
from n3d_ros.inference.language_model.loading import Runtime
from n3d_ros.inference.recording_backend import RecordingBackend
from n3d_ros.inference.replay_backend import ReplayBackend
from n3d_ros.inference.replay_records import boxes_answer
from n3d_ros.inference.torch_backend import TorchBackend
from n3d_ros.model.checkpoint import load_model

OPTIONS = InputOptions(long_side=224)
QUESTION = "Which is taller?"
THOUGHT = "<think>0.2 against 0.1</think> the blue cylinder"


def settings(folder: Path, **changes: object) -> LanguageModelConfig:
    """Small pictures and short answers on the CPU."""
    values = {"model": str(folder), "device": "cpu", "long_side": 224, "max_new_tokens": 150, **changes}
    return LanguageModelConfig(**values)  # type: ignore[arg-type]


def plain(result: GroundingResult) -> list[tuple[object, ...]]:
    """Detections as values that can be compared."""
    return [(d.label, d.box.corners.tolist(), d.score, d.point_count) for d in result.detections]


@pytest.fixture(scope="module")
def random_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random") / "tiny"
    write_random_model(folder, size="tiny", dtype="float32", position_code="reference", seed=3)
    return folder


@pytest.fixture(scope="module")
def grounder(random_folder: Path) -> Iterator[LanguageModelGrounder]:
    found = LanguageModelGrounder(settings(random_folder))
    yield found
    found.close()


@pytest.fixture(scope="module")
def scene() -> KnownScene:
    return tabletop()


def test_random_weights_write_boxes_that_can_be_read(grounder: LanguageModelGrounder, scene: KnownScene) -> None:
    count = 0
    for request in (GroundingRequest(), GroundingRequest(phrase="mug"), GroundingRequest(question=QUESTION)):
        result = grounder.ground(scene.frame, request)
        assert not any("could not be read" in note for note in result.notes)
        for detection in result.detections:
            assert detection.label.strip()
            assert detection.score is not None and 0 <= detection.score <= 1
        count += len(result.detections)
    assert count > 2


def test_random_weights_answer_the_same_twice(
    grounder: LanguageModelGrounder, random_folder: Path, scene: KnownScene
) -> None:
    request = GroundingRequest(phrase="mug")
    first = grounder.ground(scene.frame, request)
    grounder.ground(tabletop(seed=1).frame, request)
    second = grounder.ground(scene.frame, request)
    fresh = LanguageModelGrounder(settings(random_folder)).ground(tabletop().frame, request)
    assert plain(first) == plain(second) == plain(fresh)


def test_a_seed_draws_the_same_twice(random_folder: Path, scene: KnownScene) -> None:
    drawn = [
        plain(LanguageModelGrounder(settings(random_folder, temperature=1.5, seed=seed)).ground(scene.frame, request))
        for seed in (1, 1, 2)
        for request in (GroundingRequest(),)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_options_that_only_save_time_change_nothing(random_folder: Path, scene: KnownScene) -> None:
    plainly = settings(random_folder, forced_runs=False, expected_runs=False)
    results = [
        plain(LanguageModelGrounder(config).ground(scene.frame, GroundingRequest()))
        for config in (settings(random_folder), plainly, settings(random_folder, drafting=True))
    ]
    for result in results[1:]:
        assert [(label, count) for label, _, _, count in result] == [
            (label, count) for label, _, _, count in results[0]
        ]
        for (_, corners, score, _), (_, expected, expected_score, _) in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(corners, expected)
            assert score == pytest.approx(expected_score, abs=1e-3)


def test_what_was_streamed_is_what_is_returned(grounder: LanguageModelGrounder, scene: KnownScene) -> None:
    seen: list[Detection3D] = []
    result = grounder.ground(scene.frame, GroundingRequest(), on_detection=seen.append)
    assert {id(d) for d in seen} == {id(d) for d in result.detections}


def test_real_networks_are_cancelled_within_a_step(grounder: LanguageModelGrounder, scene: KnownScene) -> None:
    asked = 0

    def is_cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 8

    with pytest.raises(CancelledError):
        grounder.ground(scene.frame, GroundingRequest(), is_cancelled=is_cancelled)
    assert asked == 9


def test_a_deadline_ends_real_networks(grounder: LanguageModelGrounder, scene: KnownScene) -> None:
    result = grounder.ground(scene.frame, GroundingRequest(deadline_s=time.monotonic()))
    assert result.partial
    assert result.detections == ()


def test_random_weights_reason_until_the_limit(random_folder: Path, scene: KnownScene) -> None:
    grounder = LanguageModelGrounder(settings(random_folder, max_answer_tokens=20))
    found = grounder.ground(scene.frame, GroundingRequest(question=QUESTION))
    first, second = (grounder.reason(scene.frame, QUESTION, found.raw_detections) for _ in range(2))
    assert (first.answer, first.thought, first.partial) == (second.answer, second.thought, second.partial)
    assert first.stage_ms["vision"] == second.stage_ms["vision"] == 0  # the image was there already


def test_the_models_card_tells_what_it_is(grounder: LanguageModelGrounder, random_folder: Path) -> None:
    assert any(str(random_folder) in fact for fact in grounder.facts)
    assert grounder.device.startswith("cpu")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("image_token_id", 7, r"image_pad\|> to be token 7"),
        ("vision_start_token_id", 7, r"vision_start\|> to be token 7"),
        ("vision_end_token_id", 7, r"vision_end\|> to be token 7"),
        ("eos_token_id", 7, r"end with one of tokens \[7\]"),
        ("vocab_size", -1, r"expected at most \d+ ids, as many as the model has rows"),
    ],
)
def test_a_tokenizer_of_another_model_is_refused_before_weights_are_read(
    random_folder: Path, tmp_path: Path, key: str, value: int, sentence: str
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for file in random_folder.iterdir():
        if file.suffix != ".safetensors" and file.name != "generation_config.json":
            (folder / file.name).symlink_to(file)
    config = json.loads((random_folder / "config.json").read_text())
    value = load_tokenizer(random_folder).vocab_size - 1 if value < 0 else value
    changed = config | {key: value}
    if isinstance(config.get("text_config"), dict):
        changed["text_config"] = config["text_config"] | {key: value}
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(changed))
    with pytest.raises(N3dError, match=sentence):
        LanguageModelGrounder(settings(folder))


# What follows is taught to a tiny model in some seconds: that prompts, tokens, codec, networks and runtime agree.


@pytest.fixture(scope="module")
def scenes() -> tuple[KnownScene, KnownScene]:
    return tabletop(seed=0), tabletop(seed=1, shift=0.06)


@pytest.fixture(scope="module")
def taught_folder(scenes: tuple[KnownScene, KnownScene], tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("taught")
    write_random_model(base / "start", size="tiny", dtype="float32", position_code="aligned", seed=1)
    examples = []
    for scene in scenes:
        context = encode_frame(scene.frame, OPTIONS)[1]
        examples.append(Example(scene.frame, detection_text(), boxes_answer(scene.said, context)))
    first, context = scenes[0], encode_frame(scenes[0].frame, OPTIONS)[1]
    examples.append(Example(first.frame, grounding_text(["blue cylinder"]), boxes_answer(first.said[1:2], context)))
    examples.append(Example(first.frame, reasoning_text(QUESTION, []), THOUGHT))
    loss = teach(base / "start", base / "model", examples, OPTIONS)
    assert loss < 0.05
    return base / "model"


@pytest.fixture(scope="module")
def taught(taught_folder: Path) -> Iterator[LanguageModelGrounder]:
    found = LanguageModelGrounder(settings(taught_folder))
    yield found
    found.close()


@pytest.mark.slow
def test_a_taught_model_finds_the_true_objects_of_each_frame(
    taught: LanguageModelGrounder, scenes: tuple[KnownScene, KnownScene]
) -> None:
    for scene in scenes:
        result = taught.ground(scene.frame, GroundingRequest(up=scene.up))
        assert sorted(d.label for d in result.detections) == sorted(name for name, _ in scene.said)
        for (name, said), true in zip(scene.said, scene.true, strict=True):
            found = next(d for d in result.detections if d.label == name)
            raw = next(d for d in result.raw_detections if d.label == name)
            assert iou_3d(raw.box, said) > 0.9
            assert iou_3d(found.box, true) > 0.8
            assert found.score is not None and found.score > 0.5


@pytest.mark.slow
def test_a_taught_model_answers_a_phrase_and_a_question(
    taught: LanguageModelGrounder, scenes: tuple[KnownScene, KnownScene]
) -> None:
    scene = scenes[0]
    (found,) = taught.ground(scene.frame, GroundingRequest(phrase="the blue cylinder")).detections
    assert found.label == "blue cylinder"
    assert iou_3d(found.box, scene.true[1]) > 0.8
    reasoning = taught.reason(scene.frame, QUESTION, ())
    assert (reasoning.thought, reasoning.answer) == ("0.2 against 0.1", "the blue cylinder")


@pytest.mark.slow
def test_what_a_real_model_said_is_replayed(taught_folder: Path, scenes: tuple[KnownScene, KnownScene]) -> None:
    tokenizer, config = load_tokenizer(taught_folder), settings(taught_folder)
    real = RecordingBackend(TorchBackend(load_model(taught_folder, device="cpu")), tokenizer)
    runtime = Runtime(backend=real, tokenizer=tokenizer, position_code="aligned")
    expected = LanguageModelGrounder(config, runtime=runtime).ground(scenes[0].frame, GroundingRequest())
    replay = Runtime(backend=ReplayBackend(tokenizer, real.records), tokenizer=tokenizer)
    replayed = LanguageModelGrounder(config, runtime=replay).ground(scenes[0].frame, GroundingRequest())
    by_label = {d.label: d for d in replayed.detections}
    assert len(expected.detections) == len(by_label) == 3
    for detection in expected.detections:
        np.testing.assert_array_equal(by_label[detection.label].box.corners, detection.box.corners)


@pytest.mark.slow
def test_a_fitted_calibration_beside_the_weights_is_used(
    taught_folder: Path, taught: LanguageModelGrounder, scenes: tuple[KnownScene, KnownScene], tmp_path: Path
) -> None:
    folder = tmp_path / "calibrated"
    folder.mkdir()
    for file in taught_folder.iterdir():
        (folder / file.name).symlink_to(file)
    rng = np.random.default_rng(0)
    write_calibration(fit_calibration(rng.normal(size=(100, 8)), rng.uniform(size=100) < 0.3), folder)
    before = taught.ground(scenes[0].frame, GroundingRequest()).detections[0].score
    after = LanguageModelGrounder(settings(folder)).ground(scenes[0].frame, GroundingRequest()).detections[0].score
    assert before is not None and after is not None
    assert after != pytest.approx(before, abs=0.01)
