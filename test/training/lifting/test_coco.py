"""COCO's and Objects365's JSON: what is right is read, what is wrong is named, skipped and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lifting_builders import HEIGHT, WIDTH, annotation, coco_content, write_coco
from model_training.lifting.coco import read_coco
from model_training.lifting.outlines import Polygons, RunLengths
from n3d_ros.errors import InputError


def test_an_annotation_is_read_with_label_box_outline_and_licence(tmp_path: Path) -> None:
    images, tally = read_coco(write_coco(tmp_path, coco_content([annotation()])), rename={})
    (image,) = images
    (one,) = image.annotations
    assert (image.file_name, image.width, image.height) == ("room.png", WIDTH, HEIGHT)
    assert image.licence == "CC BY 2.0 http://creativecommons.org/licenses/by/2.0/"
    assert (one.label, one.box_2d, one.id) == ("storage box", (80.0, 60.0, 120.0, 100.0), "7")
    assert isinstance(one.outline, Polygons)
    assert not one.is_group
    assert one.score is None
    assert not tally.by_rule


def test_crowds_have_run_lengths_and_say_that_they_are_groups(tmp_path: Path) -> None:
    runs = {"counts": [0, 5, WIDTH * HEIGHT - 5], "size": [HEIGHT, WIDTH]}
    images, _ = read_coco(write_coco(tmp_path, coco_content([annotation(segmentation=runs, iscrowd=1)])), rename={})
    (one,) = images[0].annotations
    assert isinstance(one.outline, RunLengths)
    assert one.is_group


def test_remarks_of_objects365_are_read(tmp_path: Path) -> None:
    entries = [annotation(segmentation=None, isfake=1), annotation(id=8, isreflected=1)]
    name = "images/v2/patch16/objects365_v2_00908726.jpg"
    images, _ = read_coco(write_coco(tmp_path, coco_content(entries, file_name=name)), rename={})
    assert [one.remarks for one in images[0].annotations] == [("depiction",), ("reflection",)]
    assert images[0].annotations[0].outline is None
    assert images[0].file_name == name


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"bbox": [0, 0, 0, 10]}, "box_without_area"),
        ({"bbox": [5, 5, 10, -3]}, "box_without_area"),
        ({"bbox": [float("nan"), 0, 10, 10]}, "box_not_finite"),
        ({"bbox": [0, 0, float("inf"), 10]}, "box_not_finite"),
        ({"bbox": ["a", 0, 10, 10]}, "box_not_finite"),
        ({"bbox": [1, 2, 3]}, "box_not_finite"),
        ({"bbox": None}, "box_not_finite"),
        ({"bbox": [500, 500, 10, 10]}, "box_outside"),
        ({"bbox": [190, 10, 100, 10]}, "box_outside"),
        ({"category_id": 99}, "unknown_label"),
        ({"image_id": 2}, "unknown_image"),
        ({"segmentation": {"counts": [1, 2]}}, "mask_broken"),
        ({"segmentation": [["a"] * 8]}, "mask_broken"),
        ({"segmentation": 5}, "mask_broken"),
        ({"score": 3}, "annotation_entry"),
        ({"bbox": [10**400, 0, 10, 10]}, "box_not_finite"),
        ({"segmentation": [[10**400] * 6]}, "mask_broken"),
        ({"segmentation": {"counts": [float("inf")], "size": [HEIGHT, WIDTH]}}, "mask_broken"),
    ],
)
def test_a_bad_annotation_is_counted_and_the_others_are_read(
    tmp_path: Path, changes: dict[str, Any], rule: str
) -> None:
    content = coco_content([annotation(**changes), annotation(id=8), "no object"])
    images, tally = read_coco(write_coco(tmp_path, content), rename={})
    assert [one.id for one in images[0].annotations] == ["8"]
    assert tally.by_rule == ({rule: 1, "annotation_entry": 1} if rule != "annotation_entry" else {rule: 2})


def test_a_box_a_little_outside_is_cut_to_the_image(tmp_path: Path) -> None:
    content = coco_content([annotation(bbox=[-2, -1, 50, 40])])
    images, tally = read_coco(write_coco(tmp_path, content), rename={})
    assert images[0].annotations[0].box_2d == (0.0, 0.0, 48.0, 39.0)
    assert not tally.by_rule


@pytest.mark.parametrize(
    "entry",
    [
        {"file_name": "../../etc/passwd"},
        {"file_name": "/etc/passwd"},
        {"file_name": None},
        {"id": None},
        {"width": -3},
        {"height": 1e9},
        {"camera": {"fx": 0, "fy": 1, "cx": 1, "cy": 1}},
        {"camera": {"fx": 100}},
        {"camera": {"fx": 10**400, "fy": 1, "cx": 1, "cy": 1}},
        {"camera": {"fx": 1, "fy": 1, "cx": 1, "cy": 1, "width": float("inf")}},
        {"file_name": "half\udcff.png"},
    ],
)
def test_a_bad_image_is_counted(tmp_path: Path, entry: dict[str, Any]) -> None:
    images, tally = read_coco(write_coco(tmp_path, coco_content([], **entry)), rename={})
    assert not images
    assert tally.by_rule == {"image_entry": 1}


def test_an_image_listed_twice_is_taken_once(tmp_path: Path) -> None:
    content = coco_content([annotation()])
    content["images"] *= 2
    images, tally = read_coco(write_coco(tmp_path, content), rename={})
    assert len(images) == 1
    assert tally.by_rule == {"image_twice": 1}


def test_two_entries_of_one_file_are_one_image(tmp_path: Path) -> None:
    content = coco_content([annotation()])
    content["images"].append({**content["images"][0], "id": 2})
    images, tally = read_coco(write_coco(tmp_path, content), rename={})
    assert [image.id for image in images] == ["1"]
    assert tally.by_rule == {"image_twice": 1}


def test_annotations_of_images_beyond_the_limit_are_not_rejects(tmp_path: Path) -> None:
    content = coco_content([annotation(), annotation(id=8, image_id=2)])
    content["images"].append({**content["images"][0], "id": 2, "file_name": "other.png"})
    images, tally = read_coco(write_coco(tmp_path, content), rename={}, max_images=1)
    assert [image.file_name for image in images] == ["room.png"]
    assert not tally.by_rule


def test_labels_can_be_renamed_and_left_out(tmp_path: Path) -> None:
    entries = [annotation(), annotation(id=8, category_id=5)]
    images, tally = read_coco(
        write_coco(tmp_path, coco_content(entries)), rename={"storage box": "crate/box", "mug": ""}
    )
    assert [one.label for one in images[0].annotations] == ["crate"]
    assert tally.by_rule == {"unknown_label": 1}


@pytest.mark.parametrize(
    "text", ["", "{", "[1, 2]", '{"images": []}', '{"images": {}, "annotations": [], "categories": []}']
)
def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "instances.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"instances\.json"):
        read_coco(path, rename={})
    with pytest.raises(InputError, match="missing"):
        read_coco(tmp_path / "missing.json", rename={})


def test_a_camera_in_an_entry_is_read(tmp_path: Path) -> None:
    camera = {"fx": 180, "fy": 181, "cx": 99, "cy": 74, "up": [0, -1, 0]}
    path = write_coco(tmp_path, json.loads(json.dumps(coco_content([annotation()], camera=camera))))
    images, _ = read_coco(path, rename={})
    assert images[0].camera is not None
    assert (images[0].camera.fy, images[0].camera.width, images[0].camera.up) == (181.0, WIDTH, (0.0, -1.0, 0.0))
