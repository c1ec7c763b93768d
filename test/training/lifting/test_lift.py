"""An annotated image becomes a frame; every rule leaves out what it says, and says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lifting_builders import (
    BOTTOM,
    CAMERA,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    annotation,
    coco_content,
    depth_of_box_before_wall,
    polygon,
    write_coco,
    write_photograph,
)
from model_training.lifting.coco import read_coco
from model_training.lifting.config import DepthConfig, FilterConfig, LiftConfig, PointConfig
from model_training.lifting.lift import Lifted, Tools, lift_image
from n3d_ros.errors import ConfigurationError

MUG = [10, 100, 30, 30]  # a second annotation's box, on the wall


def lifted(
    folder: Path,
    annotations: list[Any] | None = None,
    *,
    depth_m: np.ndarray | None = None,
    filters: FilterConfig | None = None,
    config: LiftConfig | None = None,
    **image: Any,
) -> Lifted:
    """The photograph's annotations, lifted."""
    write_photograph(folder, depth_m)
    content = coco_content([annotation()] if annotations is None else annotations, **{"camera": CAMERA} | image)
    images, _ = read_coco(write_coco(folder, content), rename={})
    chosen = replace(config or LiftConfig(), depth=DepthConfig(folder=str(folder / "depth")))
    tools = Tools.of(folder / "images", replace(chosen, filters=filters or chosen.filters))
    return lift_image(images[0], tools)


def rules(result: Lifted) -> list[str]:
    return [one.rule for one in result.rejects]


def test_a_frame_holds_the_box_the_mask_and_where_they_come_from(tmp_path: Path) -> None:
    result = lifted(tmp_path, depth_m=depth_of_box_before_wall(0.0))
    record = result.record
    assert record is not None
    assert not result.rejects
    (one,) = record.objects
    assert (one.label, one.color, one.id) == ("storage box", "red", 1)
    assert one.visible_box is not None
    assert one.visible_box.center == pytest.approx([0.0, 0.05, 2.0], abs=0.002)
    assert one.visible_box.size[:2] == pytest.approx([0.39, 0.39], abs=0.002)
    assert one.box_2d == (LEFT, TOP, RIGHT, BOTTOM)
    assert one.visible_pixels == 1600
    assert not one.touches_border
    assert one.box is None  # no up direction is known
    mask = record.mask(1)
    assert mask is not None
    assert mask[TOP:BOTTOM, LEFT:RIGHT].all()
    assert mask.sum() == 1600
    assert record.image == (tmp_path / "images" / "room.png").read_bytes()
    assert record.licence.startswith("CC BY 2.0")
    assert (record.id, record.source, record.split) == ("lifted/room.png", "lifted", "train")
    origin = json.loads(record.provenance)
    assert (origin["annotations"], origin["camera"], origin["depth"]) == ({"1": "7"}, "annotations", "room.png")
    assert record.frame().valid_depth_share == 1.0


def edge_towards_the_camera() -> np.ndarray:
    """Depth of a box whose vertical edge points at the camera: two faces, each 45 degrees off."""
    depth = depth_of_box_before_wall(0.0)
    columns = np.arange(LEFT, RIGHT)
    tangent = np.abs(columns - 99.5) / 200.0
    depth[TOP:BOTTOM, LEFT:RIGHT] = 2.0 / (1.0 - tangent)  # z = 2 + |x|, and |x| = tangent * z
    return depth


def test_with_a_known_up_direction_an_oriented_box_is_fitted(tmp_path: Path) -> None:
    upright = CAMERA | {"up": [0, -1, 0]}
    result = lifted(tmp_path, camera=upright, depth_m=edge_towards_the_camera(), config=LiftConfig(oriented=True))
    assert result.record is not None
    (one,) = result.record.objects
    assert one.box is not None
    assert one.box.rotation[:, 2] == pytest.approx([0, -1, 0], abs=1e-6)
    assert np.abs(one.box.rotation[:, 0]) == pytest.approx([0.5**0.5, 0, 0.5**0.5], abs=0.05)
    # Each face is from x = 0 to 19.5 / 200 * z, so 0.216 m along x and 0.305 m along itself.
    assert one.box.size[:2] == pytest.approx([0.305, 0.305], abs=0.02)
    assert result.record.up == (0.0, -1.0, 0.0)
    flat = lifted(tmp_path, camera=upright)
    assert flat.record is not None
    assert flat.record.objects[0].box is None


def test_a_frame_can_be_made_smaller_with_everything_in_it(tmp_path: Path) -> None:
    result = lifted(tmp_path, config=LiftConfig(max_side_px=100))
    record = result.record
    assert record is not None
    assert (record.intrinsics.width, record.intrinsics.height, record.intrinsics.fx) == (100, 75, 100.0)
    assert record.rgb.shape == (75, 100, 3)
    (one,) = record.objects
    assert one.box_2d == (40.0, 30.0, 60.0, 50.0)
    assert one.visible_pixels == 400
    whole = lifted(tmp_path).record
    assert whole is not None
    assert one.visible_box is not None
    assert whole.objects[0].visible_box is not None
    assert one.visible_box.size == pytest.approx(whole.objects[0].visible_box.size)


def test_a_small_thing_on_a_large_one_keeps_its_pixels(tmp_path: Path) -> None:
    small = annotation(id=8, category_id=5, bbox=[90, 70, 15, 15], segmentation=[polygon(90, 70, 105, 85)])
    result = lifted(tmp_path, [small, annotation()])
    assert result.record is not None
    assert {one.label: one.visible_pixels for one in result.record.objects} == {"mug": 225, "storage box": 1375}


def deep_pit() -> np.ndarray:
    """Depth that falls away steeply but without a step over the mask's height."""
    depth = depth_of_box_before_wall(0.0)
    depth[TOP:BOTTOM] = np.linspace(2.0, 3.5, BOTTOM - TOP, dtype=np.float32)[:, None]
    return depth


def nothing_measured() -> np.ndarray:
    depth = depth_of_box_before_wall()
    depth[TOP:BOTTOM, LEFT : RIGHT - 10] = np.nan
    return depth


def two_surfaces() -> np.ndarray:
    depth = depth_of_box_before_wall(0.0)
    depth[TOP:BOTTOM, LEFT + 20 : RIGHT] = 3.5
    return depth


@pytest.mark.parametrize(
    ("rule", "changes", "depth", "filters"),
    [
        ("group", {"iscrowd": 1}, None, {}),
        ("depiction", {"isfake": 1}, None, {}),
        ("reflection", {"isreflected": 1}, None, {}),
        ("unsure", {"score": 0.1}, None, {}),
        ("small_in_image", {"bbox": [LEFT, TOP, 40, 5]}, None, {}),
        ("fills_image", {"bbox": [0, 0, WIDTH, HEIGHT]}, None, {}),
        ("no_mask", {"segmentation": None}, None, {}),
        ("mask_broken", {"segmentation": {"counts": [1, 2], "size": [2, 3]}}, None, {}),
        ("mask_small", {"segmentation": [polygon(LEFT, TOP, LEFT + 3, TOP + 3)]}, None, {}),
        ("mask_not_box", {"segmentation": [polygon(5, 5, 60, 60)]}, None, {}),
        ("cut_by_border", {"bbox": [0, 0, 20, 150], "segmentation": [polygon(0, 0, 20, 150)]}, None, {}),
        ("no_depth", {}, nothing_measured(), {}),
        ("depth_range", {}, None, {"max_depth_m": 1.0}),
        ("depth_gap", {}, two_surfaces(), {}),
        ("few_points", {}, None, {"min_points": 2000}),
        ("too_small", {}, None, {"min_size_m": 1.0}),
        ("too_big", {}, None, {"max_size_m": 0.2}),
        ("deep", {}, deep_pit(), {"max_depth_ratio": 2.0}),
        ("big_for_scene", {}, None, {"min_scene_m": 1.0, "max_scene_share": 0.1}),
        ("class_size", {}, None, {"class_sizes": {"storage box": (0.5, 2.0)}}),
        ("class_aspect", {}, depth_of_box_before_wall(1.0), {"class_aspects": {"storage box": 1.2}}),
    ],
)
def test_a_rule_leaves_out_what_it_says(
    tmp_path: Path, rule: str, changes: dict[str, Any], depth: np.ndarray | None, filters: dict[str, Any]
) -> None:
    result = lifted(tmp_path, [annotation(**changes)], depth_m=depth, filters=FilterConfig(**filters))
    assert rules(result) == [rule, "nothing_lifted"]
    assert result.record is None
    assert result.rejects[0].detail
    assert result.rejects[0].label == "storage box"
    # The same annotation and depth without the fault are lifted.
    assert lifted(tmp_path).record is not None


def test_the_same_thing_annotated_twice_is_lifted_once(tmp_path: Path) -> None:
    result = lifted(
        tmp_path, [annotation(), annotation(id=8, bbox=[LEFT, TOP, 40, 39]), annotation(id=9, category_id=5)]
    )
    assert result.record is not None
    assert [one.label for one in result.record.objects] == ["storage box", "mug"]
    assert [(one.rule, one.annotation) for one in result.rejects] == [("duplicate", "8")]


def test_groups_can_be_kept(tmp_path: Path) -> None:
    assert lifted(tmp_path, [annotation(iscrowd=1)], filters=FilterConfig(keep_groups=True)).record is not None


def test_sky_is_respected(tmp_path: Path) -> None:
    write_photograph(tmp_path)
    (tmp_path / "depth" / "room.png").unlink()
    sky = np.zeros((HEIGHT, WIDTH), bool)
    sky[TOP : TOP + 20, LEFT:RIGHT] = True
    np.savez(tmp_path / "depth" / "room.npz", depth_m=depth_of_box_before_wall(), sky=sky)
    images, _ = read_coco(write_coco(tmp_path, coco_content([annotation()], camera=CAMERA)), rename={})
    tools = Tools.of(tmp_path / "images", LiftConfig(depth=DepthConfig(folder=str(tmp_path / "depth"))))
    assert rules(lift_image(images[0], tools)) == ["sky", "nothing_lifted"]


@pytest.mark.parametrize(
    ("rule", "image"),
    [
        ("image_missing", {"file_name": "other.png"}),
        ("image_size", {"width": 100, "height": 75, "camera": None}),
        ("no_camera", {"camera": None}),
        ("no_camera", {"camera": CAMERA | {"width": HEIGHT, "height": WIDTH}}),
    ],
)
def test_an_image_that_cannot_be_used_is_a_reject(tmp_path: Path, rule: str, image: dict[str, Any]) -> None:
    changes = {"bbox": [10, 10, 30, 30]} if rule == "image_size" else {}
    result = lifted(tmp_path, [annotation(**changes)], **image)
    assert rules(result) == [rule]
    assert result.record is None


def test_broken_images_missing_depth_and_empty_images_are_rejects(tmp_path: Path) -> None:
    assert rules(lifted(tmp_path, [])) == ["no_annotations"]
    images, _ = read_coco(write_coco(tmp_path, coco_content([annotation()], camera=CAMERA)), rename={})
    tools = Tools.of(tmp_path / "images", LiftConfig(depth=DepthConfig(folder=str(tmp_path / "depth"))))
    (tmp_path / "images" / "room.png").write_bytes((tmp_path / "images" / "room.png").read_bytes()[:200])
    assert rules(lift_image(images[0], tools)) == ["image_broken"]
    write_photograph(tmp_path)
    (tmp_path / "depth" / "room.png").unlink()
    assert rules(lift_image(images[0], tools)) == ["depth_missing"]
    cv2.imwrite(str(tmp_path / "depth" / "room.png"), np.zeros((10, 10), np.uint16))
    assert rules(lift_image(images[0], tools)) == ["depth_broken"]


def test_an_image_is_found_under_the_last_parts_of_its_name(tmp_path: Path) -> None:
    result = lifted(tmp_path, file_name="images/v2/patch16/room.png")
    assert result.record is not None


def test_an_image_turned_by_exif_is_encoded_anew(tmp_path: Path) -> None:
    from PIL import Image

    write_photograph(tmp_path)
    upside_down = Image.open(tmp_path / "images" / "room.png").transpose(Image.Transpose.ROTATE_180)
    exif = Image.Exif()
    exif[0x0112] = 3
    upside_down.save(tmp_path / "images" / "turned.jpg", exif=exif, quality=95)
    (tmp_path / "depth" / "turned.png").write_bytes((tmp_path / "depth" / "room.png").read_bytes())
    content = coco_content([annotation()], camera=CAMERA, file_name="turned.jpg")
    images, _ = read_coco(write_coco(tmp_path, content), rename={})
    tools = Tools.of(tmp_path / "images", LiftConfig(depth=DepthConfig(folder=str(tmp_path / "depth"))))
    record = lift_image(images[0], tools).record
    assert record is not None
    assert record.objects[0].color == "red"
    assert record.rgb[80, 100].tolist() == pytest.approx([200, 20, 20], abs=12)
    assert b"Exif" not in record.image


def test_wrong_settings_are_refused_by_name(tmp_path: Path) -> None:
    from model_training.yaml_config import from_mapping

    for values, match in (
        ({"filters": {"min_pionts": 3}}, "min_pionts"),
        ({"filters": {"min_points": 1}}, "min_points"),
        ({"points": {"smooth_px": 4}}, "smooth_px"),
        ({"split": "test"}, "split"),
        ({"filters": {"class_sizes": {"mug": [2, 1]}}}, "mug"),
        ({"depth": {"folder": "a", "model": "b"}}, "keep one"),
        ({"camera": {"intrinsics": [1, 2, 3]}}, "intrinsics"),
    ):
        with pytest.raises(ConfigurationError, match=match):
            from_mapping(values, LiftConfig, "lifting.yaml")
    with pytest.raises(ConfigurationError, match="--images"):
        Tools.of(tmp_path / "nothing", LiftConfig(depth=DepthConfig(folder=str(tmp_path))))
    assert from_mapping({"filters": {"class_sizes": {"mug": [0.05, 0.3]}}}, LiftConfig, "a").filters.class_sizes
    assert PointConfig().smooth_px == 5


def test_the_example_configuration_is_one(repository: Path) -> None:
    from model_training.yaml_config import read_yaml

    config = read_yaml(repository / "model_training" / "lifting" / "configs" / "household.yaml", LiftConfig)
    assert config.filters.class_sizes["mug"][1] == 0.25
    assert config.rename["person"] == ""
    assert not config.camera.estimated


def test_an_annotation_is_no_duplicate_of_one_that_was_left_out(tmp_path: Path) -> None:
    result = lifted(tmp_path, [annotation(score=0.1), annotation(id=8)])
    assert rules(result) == ["unsure"]
    assert result.record is not None
    assert json.loads(result.record.provenance)["annotations"] == {"1": "8"}


def test_bytes_that_are_neither_jpeg_nor_png_are_encoded_anew(tmp_path: Path) -> None:
    lifted(tmp_path)
    path = tmp_path / "images" / "room.png"
    picture = cv2.imread(str(path))
    assert picture is not None
    path.write_bytes(cv2.imencode(".bmp", picture)[1].tobytes())
    images, _ = read_coco(tmp_path / "instances.json", rename={})
    config = LiftConfig(depth=DepthConfig(folder=str(tmp_path / "depth")))
    result = lift_image(images[0], Tools.of(tmp_path / "images", config))
    assert result.record is not None
    assert result.record.image.startswith(b"\xff\xd8\xff")


def test_a_file_name_longer_than_any_is_a_missing_image(tmp_path: Path) -> None:
    assert rules(lifted(tmp_path, file_name="a" * 5000 + ".png")) == ["image_missing"]
