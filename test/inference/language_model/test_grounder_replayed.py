"""The grounder from frame to boxes, with a model that answers from a record."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the tokenizer's package comes with the extra [model]")

from builders import make_detection, make_frame
from inference.language_model.scenes import KnownScene, tabletop
from model_training.models.stand_in_tokenizer import train_stand_in_tokenizer
from n3d_ros.codec.frame_input import encode_frame
from n3d_ros.codec.prompts import detection_text, grounding_text, question_text
from n3d_ros.codec.reasoning import reasoning_text
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.detection import Detection3D
from n3d_ros.errors import BackendError, CancelledError, ConfigurationError, GroundingError, InputError, StatusCode
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.iou import iou_3d
from n3d_ros.inference.grounder import Grounder, GroundingRequest, Reasoning, create_grounder
from n3d_ros.inference.language_model.calibration import DEFAULT_CALIBRATION
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.inference.language_model.grounder import LanguageModelGrounder
from n3d_ros.inference.language_model.loading import Runtime
from n3d_ros.inference.language_model.measured import measure_frame
from n3d_ros.inference.recording_backend import RecordingBackend
from n3d_ros.inference.replay_backend import ReplayBackend
from n3d_ros.inference.replay_records import REPLAY_FILE, ReplayRecord, boxes_answer, write_records
from scripted_backend import ScriptedBackend

QUESTION = "How far is the red box from the blue cylinder?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokenizer")


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return train_stand_in_tokenizer(folder)


@pytest.fixture(scope="module")
def scene() -> KnownScene:
    return tabletop()


@pytest.fixture(scope="module")
def answer(scene: KnownScene) -> str:
    return boxes_answer(scene.said, encode_frame(scene.frame)[1])


def grounder_of(tokenizer: Tokenizer, *records: ReplayRecord, **changes: object) -> LanguageModelGrounder:
    """A grounder whose model answers from these records."""
    config = LanguageModelConfig(**changes)  # type: ignore[arg-type]
    backend = ReplayBackend(tokenizer, records, capacity=config.capacity)
    return LanguageModelGrounder(config, runtime=Runtime(backend=backend, tokenizer=tokenizer))


def plain(detections: tuple[Detection3D, ...]) -> list[tuple[object, ...]]:
    """Detections as values that can be compared."""
    return [(d.label, d.box.corners.tolist(), d.score, d.color, d.shape, d.point_count) for d in detections]


def test_said_boxes_come_back_as_true_objects(tokenizer: Tokenizer, scene: KnownScene, answer: str) -> None:
    grounder = grounder_of(tokenizer, ReplayRecord(prompt=detection_text(), answer=answer))
    result = grounder.ground(scene.frame, GroundingRequest(up=scene.up))
    assert {d.label for d in result.detections} == {name for name, _ in scene.said}
    for (name, said), true in zip(scene.said, scene.true, strict=True):
        found = next(d for d in result.detections if d.label == name)
        raw = next(d for d in result.raw_detections if d.label == name)
        assert iou_3d(raw.box, said) > 0.95  # nothing is lost but the code's resolution
        assert iou_3d(found.box, true) > 0.8 > iou_3d(raw.box, true)
        assert f"{found.color} {found.shape}" == name
        assert found.support_ratio is not None and found.support_ratio > 0.7
        assert found.mask is not None and found.mask.sum() == found.point_count
        assert found.score is not None and 0.5 < found.score <= 1
    assert [surface.kind for surface in result.surfaces] == ["table"]
    assert not result.partial
    assert not result.cut_off
    assert result.counts["tokens"] > result.counts["passes"] > 3
    assert result.counts["prefix_reused"] == 0
    assert grounder.ground(scene.frame, GroundingRequest(up=scene.up)).counts["prefix_reused"] == 1
    assert result.notes == ()
    assert list(result.stage_ms) == ["input", "geometry", "vision", "prefill", "decode", "refine"]


def test_the_evidence_behind_scores_can_be_collected(tokenizer: Tokenizer, scene: KnownScene, answer: str) -> None:
    grounder = grounder_of(tokenizer, ReplayRecord(answer=answer))
    result = grounder.ground(scene.frame, GroundingRequest(up=scene.up))
    assert [found.code.label for found in grounder.last_found] == [name for name, _ in scene.said]
    assert {found.detection for found in grounder.last_found} == set(result.detections)
    for found in grounder.last_found:
        assert DEFAULT_CALIBRATION.probability(found.features.array()) == found.detection.score


def test_up_and_table_are_found_when_nobody_tells(tokenizer: Tokenizer, scene: KnownScene, answer: str) -> None:
    grounder = grounder_of(tokenizer, ReplayRecord(answer=answer))
    result = grounder.ground(scene.frame, GroundingRequest())
    assert [surface.kind for surface in result.surfaces] == ["table"]
    for detection in result.detections:
        assert detection.box.rotation[:, 2] @ scene.up > 0.999


def test_raw_boxes_stand_in_the_order_of_the_refined_ones(tokenizer: Tokenizer, scene: KnownScene, answer: str) -> None:
    result = grounder_of(tokenizer, ReplayRecord(answer=answer)).ground(scene.frame, GroundingRequest(up=scene.up))
    assert [d.label for d in result.raw_detections] == [d.label for d in result.detections]
    scores = [d.score or 0.0 for d in result.detections]
    assert scores == sorted(scores, reverse=True)


def test_without_refinement_the_models_boxes_are_returned(tokenizer: Tokenizer, scene: KnownScene, answer: str) -> None:
    grounder = grounder_of(tokenizer, ReplayRecord(answer=answer), refine=False)
    result = grounder.ground(scene.frame, GroundingRequest())
    for detection, raw in zip(result.detections, result.raw_detections, strict=True):
        np.testing.assert_array_equal(detection.box.corners, raw.box.corners)
        assert detection.support_ratio is None


def test_each_request_is_asked_in_its_own_words(tokenizer: Tokenizer, scene: KnownScene) -> None:
    lines = {
        detection_text(): "everything",
        grounding_text(["mug"]): "mug",
        grounding_text(["mug", "red box"]): "both",
        question_text(QUESTION): "question",
    }
    records = [
        ReplayRecord(prompt=prompt, answer=f"bbox_0=Bbox({name},500,500,300,500,90,90,90)\n")
        for prompt, name in lines.items()
    ]
    grounder = grounder_of(tokenizer, *records)
    requests = {
        "everything": GroundingRequest(),
        "mug": GroundingRequest(phrase="the mug"),
        "both": GroundingRequest(nouns=("mug", "red box")),
        "question": GroundingRequest(question=QUESTION, nouns=("red box",)),
    }
    for name, request in requests.items():
        assert [d.label for d in grounder.ground(scene.frame, request).detections] == [name]


def test_objects_are_streamed_as_their_lines_end(tokenizer: Tokenizer, scene: KnownScene, answer: str) -> None:
    seen: list[Detection3D] = []
    result = grounder_of(tokenizer, ReplayRecord(answer=answer)).ground(
        scene.frame, GroundingRequest(up=scene.up), on_detection=seen.append
    )
    assert [d.label for d in seen] == [name for name, _ in scene.said]
    assert {id(d) for d in seen} == {id(d) for d in result.detections}


def test_the_same_frame_twice_gives_the_same(tokenizer: Tokenizer, scene: KnownScene, answer: str) -> None:
    grounder = grounder_of(tokenizer, ReplayRecord(answer=answer))
    first = grounder.ground(scene.frame, GroundingRequest())
    second = grounder.ground(scene.frame, GroundingRequest())
    other = grounder_of(tokenizer, ReplayRecord(answer=answer)).ground(tabletop().frame, GroundingRequest())
    assert plain(first.detections) == plain(second.detections) == plain(other.detections)


def test_a_further_question_about_a_frame_reuses_the_image(
    tokenizer: Tokenizer, scene: KnownScene, answer: str
) -> None:
    class Counting(ReplayBackend):
        images = 0

        def encode_image(self, image):  # type: ignore[no-untyped-def]
            self.images += 1
            return super().encode_image(image)

    backend = Counting(tokenizer, [ReplayRecord(answer=answer)], capacity=2048)
    grounder = LanguageModelGrounder(
        LanguageModelConfig(kept_images=2), runtime=Runtime(backend=backend, tokenizer=tokenizer)
    )
    other = tabletop(seed=1).frame
    for frame in (scene.frame, scene.frame, other, scene.frame, other):
        grounder.ground(frame, GroundingRequest(phrase="mug"))
        grounder.reason(frame, QUESTION, ())
    assert backend.images == 2


def test_cancelling_stops_within_a_step(tokenizer: Tokenizer, scene: KnownScene, answer: str) -> None:
    seen: list[Detection3D] = []
    grounder = grounder_of(tokenizer, ReplayRecord(answer=answer))
    with pytest.raises(CancelledError):
        grounder.ground(scene.frame, GroundingRequest(), on_detection=seen.append, is_cancelled=lambda: len(seen) == 1)
    assert len(seen) == 1
    with pytest.raises(CancelledError):
        grounder.ground(scene.frame, GroundingRequest(), is_cancelled=lambda: True)
    assert len(grounder.ground(scene.frame, GroundingRequest()).detections) == 3


def test_no_thread_outlives_a_look_however_it_ends(
    tokenizer: Tokenizer, scene: KnownScene, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if "geometry" in thread.name]

    seen: list[list[str]] = []

    def stop(_found: Detection3D) -> None:
        seen.append(threads())
        raise ValueError("the listener failed")

    with pytest.raises(ValueError, match="the listener failed"):
        grounder_of(tokenizer, ReplayRecord(answer=answer)).ground(scene.frame, GroundingRequest(), on_detection=stop)
    assert (len(seen[0]), threads()) == (1, [])
    asked = iter([False, False, True])
    with pytest.raises(CancelledError):
        grounder_of(tokenizer, ReplayRecord(answer=answer)).ground(
            scene.frame, GroundingRequest(), is_cancelled=lambda: next(asked)
        )
    assert threads() == []

    def fail(*_arguments: object) -> None:
        raise GroundingError("no depth at all", code=StatusCode.NO_DEPTH)

    monkeypatch.setattr("n3d_ros.inference.language_model.frames.measure_frame", fail)
    for records in ([ReplayRecord(answer=answer)], []):  # asked for by a box, and by nobody
        with pytest.raises(GroundingError, match="no depth at all"):
            grounder_of(tokenizer, *records).ground(scene.frame, GroundingRequest())
    assert threads() == []


def test_the_model_does_not_wait_for_geometry(
    tokenizer: Tokenizer, scene: KnownScene, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = threading.Event()

    class Telling(ReplayBackend):
        def encode_image(self, image):  # type: ignore[no-untyped-def]
            started.set()
            return super().encode_image(image)

    def measured_late(*arguments: object) -> object:
        assert started.wait(timeout=20)  # until the model has begun
        return measure_frame(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("n3d_ros.inference.language_model.frames.measure_frame", measured_late)
    backend = Telling(tokenizer, [ReplayRecord(answer=answer)], capacity=2048)
    grounder = LanguageModelGrounder(LanguageModelConfig(), runtime=Runtime(backend=backend, tokenizer=tokenizer))
    assert len(grounder.ground(scene.frame, GroundingRequest()).detections) == 3


def test_a_deadline_leaves_what_is_there(
    tokenizer: Tokenizer, scene: KnownScene, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Detection3D] = []
    clock = SimpleNamespace(monotonic=lambda: float(len(seen)), perf_counter=time.perf_counter)
    monkeypatch.setattr("n3d_ros.inference.generation.time", clock)
    grounder = grounder_of(tokenizer, ReplayRecord(answer=answer))
    result = grounder.ground(scene.frame, GroundingRequest(deadline_s=0.5), on_detection=seen.append)
    assert result.partial
    assert len(result.detections) == len(seen) == 1
    assert any("deadline" in note for note in result.notes)


def test_a_deadline_that_has_passed_gives_an_empty_partial_result(
    tokenizer: Tokenizer, scene: KnownScene, answer: str
) -> None:
    grounder = grounder_of(tokenizer, ReplayRecord(answer=answer))
    result = grounder.ground(scene.frame, GroundingRequest(deadline_s=time.monotonic() - 1))
    assert result.partial
    assert result.detections == ()


def test_the_length_limit_is_told(tokenizer: Tokenizer, scene: KnownScene, answer: str) -> None:
    result = grounder_of(tokenizer, ReplayRecord(answer=answer), max_new_tokens=60).ground(
        scene.frame, GroundingRequest()
    )
    assert len(result.detections) in (1, 2)
    assert result.cut_off
    assert not result.partial  # there was time left: what is there is an answer
    assert any("cut off after 60 tokens" in note for note in result.notes)
    assert not any("could not be read" in note for note in result.notes)


def test_no_more_objects_than_asked_for(tokenizer: Tokenizer, scene: KnownScene, answer: str) -> None:
    result = grounder_of(tokenizer, ReplayRecord(answer=answer)).ground(scene.frame, GroundingRequest(max_objects=2))
    assert len(result.detections) == len(result.raw_detections) == 2
    assert result.cut_off
    assert not result.partial


def test_closed_classes_keep_to_the_words_asked_for(tokenizer: Tokenizer, scene: KnownScene) -> None:
    record = ReplayRecord(answer="bbox_0=Bbox(Hotair ballon,500,500,300,500,90,90,90)\n")
    for closed, label in ((False, "Hotair ballon"), (True, "mug")):
        grounder = grounder_of(tokenizer, record, closed_classes=closed)
        found = grounder.ground(scene.frame, GroundingRequest(phrase="mug", max_objects=1)).detections
        assert [d.label for d in found] == [label]


def test_a_frame_without_depth_is_refused(tokenizer: Tokenizer) -> None:
    grounder = grounder_of(tokenizer)
    with pytest.raises(GroundingError) as caught:
        grounder.ground(make_frame(depth_m=np.nan), GroundingRequest())
    assert caught.value.code is StatusCode.NO_DEPTH


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_of_noise_does_no_harm(tokenizer: Tokenizer, scene: KnownScene, temperature: float) -> None:
    count = 0
    for seed in range(12):
        noise = ScriptedBackend(tokenizer.vocab_size, tokenizer.image_pad, capacity=1024, seed=seed)
        config = LanguageModelConfig(max_new_tokens=300, temperature=temperature, seed=seed)
        grounder = LanguageModelGrounder(config, runtime=Runtime(backend=noise, tokenizer=tokenizer))
        request = GroundingRequest(phrase=f"thing number {seed}", up=scene.up)
        result = grounder.ground(scene.frame, request)
        assert not any("could not be read" in note for note in result.notes)
        for detection, raw in zip(result.detections, result.raw_detections, strict=True):
            assert detection.score is not None and 0 <= detection.score < 0.9
            assert np.isfinite(raw.box.corners).all()
        assert plain(result.detections) == plain(grounder.ground(scene.frame, request).detections)
        count += len(result.detections)
    assert count > 3


def test_a_failing_device_is_told_and_the_next_frame_works(tokenizer: Tokenizer, scene: KnownScene) -> None:
    noise = ScriptedBackend(tokenizer.vocab_size, tokenizer.image_pad, capacity=1024, seed=3, fail_at=3)
    config = LanguageModelConfig(max_new_tokens=200)
    grounder = LanguageModelGrounder(config, runtime=Runtime(backend=noise, tokenizer=tokenizer))
    with pytest.raises(BackendError):
        grounder.ground(scene.frame, GroundingRequest())
    after = grounder.ground(scene.frame, GroundingRequest())
    fresh = ScriptedBackend(tokenizer.vocab_size, tokenizer.image_pad, capacity=1024, seed=3)
    other = LanguageModelGrounder(config, runtime=Runtime(backend=fresh, tokenizer=tokenizer))
    assert after.detections
    assert plain(after.detections) == plain(other.ground(scene.frame, GroundingRequest()).detections)


@pytest.mark.parametrize("depth_m", [30.0, 0.05], ids=["beyond all tables", "at the lens"])
def test_depth_where_no_surface_is_looked_for_still_grounds(tokenizer: Tokenizer, depth_m: float) -> None:
    ramp = np.linspace(0.9 * depth_m, depth_m, 64, dtype=np.float32)[None].repeat(48, axis=0)
    record = ReplayRecord(answer="bbox_0=Bbox(thing,500,500,300,500,90,90,90)\n")
    result = grounder_of(tokenizer, record).ground(make_frame(depth_m=ramp), GroundingRequest())
    assert [d.label for d in result.detections] == ["thing"]
    assert any("up is taken from the camera" in note for note in result.notes)


def test_depth_beyond_what_the_model_can_say_is_told(tokenizer: Tokenizer) -> None:
    depth = np.full((48, 64), 1.0, dtype=np.float32)
    depth[:, :4] = 15.0
    depth[:24] += 0.1
    result = grounder_of(tokenizer).ground(make_frame(depth_m=depth), GroundingRequest())
    assert any("lies beyond" in note and "6 %" in note for note in result.notes)


def test_a_prompt_that_does_not_fit_is_refused(tokenizer: Tokenizer, scene: KnownScene) -> None:
    grounder = grounder_of(tokenizer, capacity=512, max_new_tokens=100)
    with pytest.raises(InputError, match="capacity"):
        grounder.ground(scene.frame, GroundingRequest())


def test_the_models_own_answer_follows_its_thought(tokenizer: Tokenizer, scene: KnownScene, answer: str) -> None:
    backend = RecordingBackend(
        ReplayBackend(
            tokenizer,
            [
                ReplayRecord(prompt=question_text(QUESTION), answer=answer),
                ReplayRecord(answer="<think>0.3 m apart</think> 0.3 metres"),
            ],
            capacity=2048,
        ),
        tokenizer,
    )
    grounder = LanguageModelGrounder(LanguageModelConfig(), runtime=Runtime(backend=backend, tokenizer=tokenizer))
    found = grounder.ground(scene.frame, GroundingRequest(question=QUESTION))
    reasoning = grounder.reason(scene.frame, QUESTION, found.raw_detections)
    assert (reasoning.thought, reasoning.answer) == ("0.3 m apart", "0.3 metres")
    assert not reasoning.partial
    asked = backend.records[-1].prompt
    assert asked is not None
    # Three boxes in the model's own order, whatever the order of scores.
    assert asked.startswith(QUESTION + " The 3D bbox of red box, blue cylinder and green box is [")


def test_boxes_of_others_can_be_reasoned_about(tokenizer: Tokenizer, scene: KnownScene) -> None:
    backend = RecordingBackend(ReplayBackend(tokenizer, [], capacity=2048), tokenizer)
    grounder = LanguageModelGrounder(LanguageModelConfig(), runtime=Runtime(backend=backend, tokenizer=tokenizer))
    detections = (
        make_detection("mug", center=(0.1, 0.2, 0.9), size=(0.1, 0.1, 0.1)),
        make_detection("ghost", center=(0.1, 0.2, -0.9)),
    )
    assert grounder.reason(scene.frame, QUESTION, detections).answer == ""
    asked = backend.records[-1].prompt
    assert asked is not None
    assert "The 3D bbox of mug is [-0.1, -0.2, 0.9, 0.1, 0.1, 0.1]" in asked
    assert "ghost" not in asked
    assert grounder.reason(scene.frame, QUESTION, ()).answer == ""
    assert backend.records[-1].prompt == reasoning_text(QUESTION, [])


def asked_of(
    tokenizer: Tokenizer, scene: KnownScene, question: str, detections: tuple[Detection3D, ...], **changes: object
) -> tuple[str, Reasoning]:
    """The words that a question came to, and what was made of the answer."""
    config = LanguageModelConfig(**changes)  # type: ignore[arg-type]
    records = [ReplayRecord(answer="<think>so</think> yes")]
    backend = RecordingBackend(ReplayBackend(tokenizer, records, capacity=config.capacity), tokenizer)
    grounder = LanguageModelGrounder(config, runtime=Runtime(backend=backend, tokenizer=tokenizer))
    reasoning = grounder.reason(scene.frame, question, detections)
    prompt = backend.records[-1].prompt
    assert prompt is not None
    return prompt, reasoning


def many(count: int, label: str = "mug") -> tuple[Detection3D, ...]:
    """Detections of others, the best first."""
    return tuple(
        make_detection(label, center=(0.01 * k, 0.1, 0.9), size=(0.1, 0.1, 0.1), score=1 - k / 300)
        for k in range(count)
    )


@pytest.mark.parametrize("count", [0, 1, 3, 4, 12, 20, 64, 100, 256])
@pytest.mark.parametrize("capacity", [512, 2048, 32_768])
def test_a_question_with_any_number_of_boxes_is_answered(
    tokenizer: Tokenizer, scene: KnownScene, count: int, capacity: int
) -> None:
    _, reasoning = asked_of(
        tokenizer, scene, QUESTION, many(count), capacity=capacity, max_new_tokens=100, long_side=448
    )
    assert (reasoning.answer, reasoning.partial) == ("yes", False)
    stated, left_out = reasoning.counts["boxes"], reasoning.counts["boxes_left_out"]
    assert stated + left_out == count
    assert bool(left_out) == bool(reasoning.notes)
    if capacity == 2048:
        assert stated >= min(count, 12)
    if left_out:
        assert f"{stated:.0f} of {count} boxes" in reasoning.notes[0]
        assert "language_model.capacity" in reasoning.notes[0]


def test_a_whole_question_fits_the_default_capacity(tokenizer: Tokenizer, scene: KnownScene) -> None:
    lines = [f"bbox_{k}=Bbox(thing {k},{100 + 90 * (k % 8)},{100 + 90 * (k // 8)},300,500,30,30,30)" for k in range(64)]
    records = [
        ReplayRecord(prompt=question_text(QUESTION), answer="\n".join(lines) + "\n"),
        ReplayRecord(answer="<think>" + "so it is " * 40 + "</think> 0.3 metres"),
    ]
    grounder = grounder_of(tokenizer, *records)
    found = grounder.ground(scene.frame, GroundingRequest(question=QUESTION))
    reasoning = grounder.reason(scene.frame, QUESTION, found.raw_detections)
    assert len(found.raw_detections) > 20
    assert (reasoning.answer, reasoning.partial) == ("0.3 metres", False)


def test_boxes_that_the_question_names_are_stated_first(tokenizer: Tokenizer, scene: KnownScene) -> None:
    unsure = make_detection("teapot", center=(0.2, 0.1, 0.8), size=(0.1, 0.1, 0.1), score=0.01)
    prompt, reasoning = asked_of(tokenizer, scene, "How high are the teapots?", (*many(60), unsure))
    assert "60_teapot" in prompt
    stated = int(reasoning.counts["boxes"])
    assert [int(number) for number in re.findall(r"(\d+)_mug", prompt)][: stated - 1] == list(range(stated - 1))


def test_a_question_that_does_not_fit_says_what_would_help(tokenizer: Tokenizer, scene: KnownScene) -> None:
    question = "\N{SNOWMAN}" * 1000 + "?"
    with pytest.raises(InputError, match=r"capacity 1024.*lower language_model.long_side, or use fewer words"):
        asked_of(tokenizer, scene, question, many(3), capacity=1024, max_new_tokens=100)


def test_a_turned_box_is_stated_by_its_extent_along_the_cameras_axes(tokenizer: Tokenizer, scene: KnownScene) -> None:
    turn = np.array([0, np.sin(0.35), 0, np.cos(0.35)])  # 0.7 rad about the camera's vertical
    turned = Box3D(center=np.array([0, 0, 0.9]), size=np.array([0.3, 0.1, 0.1]), orientation_xyzw=turn)
    prompt, _ = asked_of(tokenizer, scene, QUESTION, (Detection3D(label="mug", box=turned, score=0.5),))
    numbers = [float(number) for number in re.search(r"3D bbox of mug is \[(.*?)\]", prompt)[1].split(",")]  # type: ignore[index]
    np.testing.assert_allclose(numbers[3:], np.ptp(turned.corners, axis=0), atol=0.011)


def test_boxes_of_an_earlier_list_are_stated_as_the_model_wrote_them(
    tokenizer: Tokenizer, scene: KnownScene, answer: str
) -> None:
    records = [ReplayRecord(prompt=detection_text(), answer=answer)]
    backend = RecordingBackend(ReplayBackend(tokenizer, records, capacity=2048), tokenizer)
    grounder = LanguageModelGrounder(LanguageModelConfig(), runtime=Runtime(backend=backend, tokenizer=tokenizer))
    first = grounder.ground(scene.frame, GroundingRequest())
    grounder.reason(scene.frame, QUESTION, first.raw_detections)
    grounder.ground(scene.frame, GroundingRequest(phrase="mug"))
    grounder.reason(scene.frame, QUESTION, first.raw_detections)
    prompts = {record.prompt for record in backend.records if str(record.prompt).startswith(QUESTION)}
    assert len(prompts) == 1  # the same words before and after another list
    assert "red box, blue cylinder and green box" in str(prompts)


def test_reasoning_stops_when_asked(tokenizer: Tokenizer, scene: KnownScene) -> None:
    grounder = grounder_of(tokenizer, ReplayRecord(answer="<think>" + "so " * 200), max_answer_tokens=20)
    with pytest.raises(CancelledError):
        grounder.reason(scene.frame, QUESTION, (), is_cancelled=lambda: True)
    cut = grounder.reason(scene.frame, QUESTION, ())
    assert cut.partial
    assert cut.answer == ""
    assert cut.thought.startswith("so so")
    assert grounder.reason(scene.frame, QUESTION, (), deadline_s=time.monotonic() - 1).partial


def test_a_folder_of_records_is_a_model(tokenizer: Tokenizer, folder: Path, scene: KnownScene, answer: str) -> None:
    write_records([ReplayRecord(answer=answer)], folder / REPLAY_FILE)
    config = LanguageModelConfig(model=str(folder), backend="replay")
    grounder: Grounder = create_grounder("language_model", config)
    assert grounder.name == "language_model"
    assert "recorded" in grounder.device
    assert len(grounder.ground(scene.frame, GroundingRequest()).detections) == 3
    grounder.close()


def test_loading_tells_how_far_it_is(tokenizer: Tokenizer, folder: Path) -> None:
    write_records([], folder / REPLAY_FILE)
    told: list[tuple[str, float]] = []
    LanguageModelGrounder(
        LanguageModelConfig(model=str(folder), backend="replay"), lambda sentence, share: told.append((sentence, share))
    )
    assert told[-1][1] == 1.0
    assert [share for _, share in told] == sorted(share for _, share in told)


def test_no_model_is_a_sentence_that_helps() -> None:
    with pytest.raises(ConfigurationError, match="Parameter model"):
        LanguageModelGrounder(LanguageModelConfig())


@pytest.mark.parametrize("backend", ["torch", "replay"])
def test_a_folder_that_is_no_model_is_named(tmp_path: Path, backend: str) -> None:
    if backend == "torch":
        pytest.importorskip("torch", reason="torch comes with the extra [model]")
    with pytest.raises((ConfigurationError, BackendError), match="tokenizer"):
        LanguageModelGrounder(LanguageModelConfig(model=str(tmp_path), backend=backend))
