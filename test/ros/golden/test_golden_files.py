"""Golden files: read back as written, edited by hand, refused with the place of the mistake."""

from __future__ import annotations

import copy
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from n3d_ros.errors import InputError
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.ros.bag_questions import BagQuestion
from n3d_ros.ros.golden import reading
from n3d_ros.ros.golden.expected import ExpectedAnswer, ExpectedImage, ExpectedObject, Golden, RecordingIdentity
from n3d_ros.ros.golden.reading import golden_of_text, read_golden
from n3d_ros.ros.golden.writing import golden_text, image_of, write_golden

HOSTILE = 'a "b" \\ </script> \x00\x1b\ud800 \u202e\U0001f600'


def sample() -> Golden:
    box = Box3D(
        center=np.array([0.1, -0.2, 0.3]), size=np.array([0.3, 0.2, 0.1]), orientation_xyzw=np.array([0, 0, 0.6, 0.8])
    )
    objects = (
        ExpectedObject(label="red box", box=box, score=0.5),
        ExpectedObject(label=HOSTILE, box=box, any_yaw=True),
    )
    return Golden(
        package_version="0.1.0",
        recording=RecordingIdentity(
            name="desk", duration_s=1.5, topics={"color": "/c", "depth": "/d"}, messages={"/c": 3}, digest="sha256:00"
        ),
        backend="geometric",
        settings={"output_frame": "map"},
        tolerances={"center_m": 0.02},
        images=(
            ExpectedImage(stamp_ns=1_700_000_000_000_000_001, frame_id="map", objects=objects),
            ExpectedImage(stamp_ns=1_700_000_000_100_000_001, frame_id="", status="NO_DEPTH"),
        ),
        answers=(
            ExpectedAnswer(
                question=BagQuestion(text="where?", at_s=1.5),
                status="OK",
                value=[0.1, 0.2, 0.3],
                unit="m",
                objects=("red box",),
                answer="There.",
            ),
            ExpectedAnswer(question=BagQuestion(text="is it?"), value=True),
        ),
    )


def document() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(golden_text(sample()))
    return content


def test_a_golden_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_golden(tmp_path / "g.json", sample())
    again = read_golden(tmp_path / "g.json")
    assert golden_text(again) == golden_text(sample())
    assert again.recording == sample().recording
    assert again.images[0].objects[1].label == HOSTILE
    assert again.images[0].objects[0].box.orientation_xyzw == pytest.approx([0, 0, 0.6, 0.8])


def test_every_object_and_answer_has_a_line_of_its_own() -> None:
    lines = golden_text(sample()).splitlines()
    assert sum('"label":' in line for line in lines) == 2 and sum('"ask":' in line for line in lines) == 2
    assert all(len(line) < 300 for line in lines)


def test_numbers_are_rounded_and_read_back_to_the_very_same() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        quaternion = rng.normal(size=4)
        look = {
            "stamp_ns": 1,
            "frame_id": "map",
            "status": "OK",
            "objects": [
                {
                    "label": "box",
                    "center_m": rng.normal(size=3).tolist(),
                    "size_m": rng.uniform(1e-6, 1, 3).tolist(),
                    "orientation_xyzw": (quaternion / np.linalg.norm(quaternion)).tolist(),
                    "score": float(rng.uniform()),
                    "yaw_stddev_rad": 0.01,
                    "shape": None,
                    "support_ratio": None,
                }
            ],
        }
        image = image_of(look)
        again = golden_of_text(
            golden_text(Golden(package_version="", recording=sample().recording, backend="", images=(image,)))
        )
        for name in ("center", "size", "orientation_xyzw"):
            assert (getattr(again.images[0].objects[0].box, name) == getattr(image.objects[0].box, name)).all()


@pytest.mark.parametrize(
    ("shape", "size", "stddev", "support", "any_yaw"),
    [
        ("box", [0.2, 0.2, 0.1], 0.01, 0.9, False),
        ("box", [0.2, 0.2, 0.1], 1.8, 0.9, True),
        ("box", [0.2, 0.2, 0.1], 0.01, 0.6, True),  # a can taken for a box
        ("box", [0.3, 0.2, 0.1], 0.01, 0.6, False),
        ("bowl", [0.2, 0.19, 0.1], 0.01, 0.9, True),
        ("cylinder", [0.3, 0.1, 0.1], 0.01, 0.9, False),  # it lies
        (None, [0.2, 0.2, 0.1], 0.01, None, False),
    ],
)
def test_only_what_looks_the_same_all_round_may_be_turned(
    shape: str | None, size: list[float], stddev: float, support: float | None, any_yaw: bool
) -> None:
    item = {
        "label": "thing",
        "center_m": [0, 0, 1],
        "size_m": size,
        "orientation_xyzw": [0, 0, 0, 1],
        "score": None,
        "yaw_stddev_rad": stddev,
        "shape": shape,
        "support_ratio": support,
    }
    image = image_of({"stamp_ns": 1, "frame_id": "map", "status": "OK", "objects": [item]})
    assert image.objects[0].any_yaw is any_yaw


def test_a_hand_written_file_needs_little() -> None:
    small = {
        "format": "n3d golden file",
        "version": 1,
        "bag": {"name": "desk", "topics": {}},
        "frames": [
            {
                "stamp_ns": 5,
                "frame_id": "map",
                "objects": [{"label": "cup", "center_m": [0, 0, 1], "size_m": [0.1, 0.1, 0.1]}],
            }
        ],
        "questions": [{"ask": "how many cups?", "value": 1}],
    }
    golden = golden_of_text(json.dumps(small))
    assert golden.images[0].objects[0].box.orientation_xyzw.tolist() == [0, 0, 0, 1]
    assert golden.images[0].objects[0].score is None and golden.answers[0].status is None


def changed(path: list[Any], value: Any) -> str:
    content = copy.deepcopy(document())
    target: Any = content
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (["format"], "golden", r'"format": "n3d golden file"'),
        (["version"], 2, r"version: expected 1, got 2"),
        (["frames"], {}, r"frames: expected a list"),
        (
            ["frames", 0, "objects", 1, "size_m"],
            [0.1, 0, 0.2],
            r"frames\[0\].objects\[1\].size_m: expected three lengths above 0",
        ),
        (
            ["frames", 0, "objects", 1, "size_m"],
            [0.1, 0.2],
            r"objects\[1\].size_m: expected three lengths in metres, got \[0.1, 0.2\]",
        ),
        (["frames", 0, "objects", 0, "center_m", 1], "here", r'center_m\[1\]: expected a number .*, got "here"'),
        (["frames", 0, "objects", 0, "center_m", 1], True, r"center_m\[1\]"),
        (["frames", 0, "objects", 0, "center_m", 1], 1e300, r"center_m\[1\]"),
        (["frames", 0, "objects", 0, "orientation_xyzw"], [0, 0, 0, 0], r"frames\[0\].objects\[0\]: .*quaternion"),
        (["frames", 0, "objects", 0, "label"], "", r"label: expected text"),
        (["frames", 0, "objects", 0, "score"], 1.5, r"score: expected a number from 0 to 1"),
        (["frames", 0, "objects", 0, "any_yaw"], 1, r"any_yaw: expected true or false"),
        (["frames", 0, "objects", 0, "colour"], "red", r"objects\[0\]: the field \"colour\" is not known"),
        (["frames", 0, "stamp_ns"], 1.5, r"stamp_ns: expected a whole number"),
        (["frames", 1, "stamp_ns"], 1_700_000_000_000_000_001, r"stands in frames\[0\] already"),
        (["frames", 1, "status"], "FINE", r"frames\[1\].status: expected one of OK, "),
        (
            ["tolerances"],
            {"centre_m": 1},
            r"tolerances: the field \"centre_m\" is not known; known are min_iou, center_m",
        ),
        (["tolerances"], {"min_iou": 2}, r"tolerances.min_iou: expected a number from 0 to 1"),
        (["bag", "name"], 7, r"bag.name: expected text"),
        (["frames", 0, "objects", 0, "center_m", 1], math.nan, r"objects\[0\].center_m\[1\]: .*, got NaN"),
        (["frames", 0, "objects", 0, "score"], math.inf, r"score: expected a number from 0 to 1, got Infinity"),
        (["settings"], {"scene.min_iou": math.nan}, r"settings.scene.min_iou: expected a finite number, got NaN"),
        (["questions", 0, "ask"], "  ", r"questions\[0\]"),
        (["questions", 0, "at_s"], -1, r"questions\[0\].at_s"),
        (["questions", 0, "value"], {"x": 1}, r"questions\[0\].value"),
        (["questions", 0, "objects"], [1], r"questions\[0\].objects\[0\]: expected text"),
    ],
)
def test_a_mistake_is_named_with_its_place(path: list[Any], value: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as raised:
        golden_of_text(changed(path, value))
    assert raised.value.reason == "bad_golden_file"
    assert raised.value.message.count("frames[0].objects[0]") <= 1


def test_a_missing_field_is_named() -> None:
    content = document()
    del content["frames"][0]["objects"][0]["label"]
    with pytest.raises(InputError, match=r"frames\[0\].objects\[0\]: the field 'label' is missing"):
        golden_of_text(json.dumps(content))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": "n3d golden file", "format": 1}',
        '{"format": "n3d golden file", "version": NaN}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "1" * 5000,
    ],
)
def test_what_is_no_golden_file_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        golden_of_text(text)


def test_a_file_that_is_not_there_too_large_or_no_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_golden(tmp_path / "none.json")
    with pytest.raises(InputError, match="no such file"):
        read_golden(tmp_path)
    (tmp_path / "g.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_golden(tmp_path / "g.json")
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", 10)
    write_golden(tmp_path / "g.json", sample())
    with pytest.raises(InputError, match="at most 10 bytes"):
        read_golden(tmp_path / "g.json")


def test_damaged_files_are_refused_and_nothing_else_happens() -> None:
    text, rng = golden_text(sample()), random.Random(3)
    alphabet = '{}[]",:0129.-eE truefalsnu\\\x00"'
    refused = 0
    for _ in range(3000):
        at, count = rng.randrange(len(text)), rng.randrange(1, 8)
        put = "".join(rng.choice(alphabet) for _ in range(rng.randrange(0, 8)))
        try:
            golden_of_text(text[:at] + put + text[at + count :])
        except InputError as error:
            refused += len(error.message) < 1000
    assert refused > 1000
