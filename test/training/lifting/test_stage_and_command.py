"""``n3d dataset lift``: shards that can be made again by anybody, numbers by class and rule, and pictures."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lifting_builders import CAMERA, annotation, coco_content, write_coco, write_photograph
from model_training.data.folder import DatasetFolder
from model_training.lifting import stage
from model_training.lifting.coco import read_coco
from model_training.lifting.config import LiftConfig
from model_training.lifting.lift import lift_image
from model_training.lifting.sheets import rejected_tile
from model_training.lifting.stage import fingerprint, read_annotations
from n3d_ros import whole_files
from n3d_ros.cli.main import main
from n3d_ros.whole_files import whole_file

pytest.importorskip("pyarrow")


def content(images: int) -> dict[str, Any]:
    """Images 1 to N with a box each; the last has no file, the one before it a depiction."""
    whole = coco_content([], camera=CAMERA)
    (entry,) = whole["images"]
    whole["images"] = [{**entry, "id": n, "file_name": f"{n:04d}.png"} for n in range(1, images + 1)]
    whole["annotations"] = [annotation(id=n, image_id=n, isfake=int(n == images - 1)) for n in range(1, images + 1)]
    whole["annotations"].append(annotation(id=99, image_id=1, bbox=[0, 0, -5, 5]))
    return whole


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for number in range(1, 6):
        write_photograph(tmp_path, name=f"{number:04d}")
    (tmp_path / "images" / "0005.png").unlink()
    write_coco(tmp_path, content(5))
    (tmp_path / "lifting.yaml").write_text("images_per_shard: 2\nfilters: {min_mask_px: 50}\n")
    return tmp_path


def command(place: Path, *more: str) -> list[str]:
    paths = {
        "annotations": "instances.json",
        "images": "images",
        "depth": "depth",
        "out": "out",
        "config": "lifting.yaml",
    }
    options = [word for name, path in paths.items() for word in (f"--{name}", str(place / path))]
    return ["dataset", "lift", "--format", "coco", *options, "--workers", "1", *more]


def test_what_can_be_lifted_is_and_the_rest_is_counted_with_pictures(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(place)) == 0
    folder = DatasetFolder.open(place / "out")
    assert folder.shards == 3
    assert [record.id for record in folder.frames()] == ["lifted/0001.png", "lifted/0002.png", "lifted/0003.png"]
    summary = json.loads((place / "out" / "reports" / "lifting.json").read_text())
    expected = {"box_without_area": 1, "depiction": 1, "nothing_lifted": 1, "image_missing": 1}
    assert summary["rejects"]["by_rule"] == expected
    assert summary["objects"] == {"storage box": 3}
    (row,) = summary["classes"]
    assert (row["accepted"], row["rejected"]) == (3, 2)
    assert row["width_m"] == pytest.approx(0.42, abs=0.03)
    told = capsys.readouterr().out
    for words in ("storage box", "depiction", "a picture or figure of the thing", "image_missing"):
        assert words in told
    for name in ("lifted", "rejected"):
        sheet = cv2.imread(str(place / "out" / "reports" / f"contact_sheet_{name}.jpg"))
        assert sheet is not None
        assert sheet.shape[1] % 480 == 0
        assert sheet.std() > 5


def test_the_same_command_makes_only_what_is_missing_and_the_same(place: Path) -> None:
    assert main(command(place)) == 0
    shards = sorted((place / "out" / "frames").glob("*.parquet"))
    before = [record.objects[0].visible_box for record in DatasetFolder.open(place / "out").frames()]
    times = [path.stat().st_mtime_ns for path in shards]
    shards[1].unlink()
    assert main(command(place)) == 0
    again = DatasetFolder.open(place / "out")
    assert [path.stat().st_mtime_ns for path in shards[::2]] == times[::2]
    after = [record.objects[0].visible_box for record in again.frames()]
    assert [box.center.tolist() for box in after if box] == [box.center.tolist() for box in before if box]
    summary = json.loads((place / "out" / "reports" / "lifting.json").read_text())
    assert (summary["frames"], summary["images"]) == (3, 5)


def test_other_annotations_or_thresholds_are_not_mixed_into_a_folder(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(place)) == 0
    assert main(command(place, "--split", "validation")) == 1
    assert "split" in capsys.readouterr().err
    changed = content(5)
    changed["annotations"][0]["bbox"][0] += 1
    write_coco(place, changed)
    assert main(command(place)) == 1
    assert "sha256" in capsys.readouterr().err


def test_a_configuration_that_comes_with_the_package_is_named(place: Path) -> None:
    assert main(command(place, "--config", "household")) == 0
    config = DatasetFolder.open(place / "out").config
    assert config["lifting"]["rename"]["tv"] == "television"


def test_processes_make_the_same_as_one(place: Path) -> None:
    assert main(command(place)) == 0
    single = [record.objects[0].visible_box for record in DatasetFolder.open(place / "out").frames()]
    words = command(place)
    words[words.index(str(place / "out"))] = str(place / "other")
    words[words.index("--workers") + 1] = "2"
    assert main([*words, "--engine", "processes"]) == 0
    several = [record.objects[0].visible_box for record in DatasetFolder.open(place / "other").frames()]
    assert [box.size.tolist() for box in several if box] == [box.size.tolist() for box in single if box]


def test_nothing_lifted_ends_with_a_failure_and_says_why(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in (place / "depth").iterdir():
        file.unlink()
    assert main(command(place)) == 1
    told = capsys.readouterr().out
    assert "depth_missing" in told
    assert "such as 0001.png: 0001.png: no 0001_depth" in told


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--config", "wrong.yaml"), "min_pionts"),
        (("--depth-model", "nowhere"), "keep one"),
        (("--images", "nothing"), "no folder"),
        (("--camera", "1,2"), "fx, fy, cx, cy, width, height"),
        (("--annotations", "images"), "instances"),
    ],
)
def test_wrong_input_ends_in_a_sentence(
    place: Path, more: tuple[str, str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    (place / "wrong.yaml").write_text("filters: {min_pionts: 3}\n")
    assert main(command(place, *more)) == 1
    told = capsys.readouterr().err
    assert told.startswith("n3d: ")
    assert words in told or words == "instances"
    assert not (place / "out" / "dataset.json").exists()


@pytest.mark.parametrize(
    "more",
    [
        ("--images", "nothing"),
        ("--depth", "nothing"),
        ("--cameras", "no.json"),
        ("--masks", "no"),
        ("--segmenter", "nowhere"),
    ],
)
def test_a_folder_is_not_bound_to_a_command_that_names_what_is_not_there(
    place: Path, more: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert main(command(place, *more, "--workers", "2", "--engine", "processes")) == 1
    assert more[1] in capsys.readouterr().err
    assert not (place / "out").exists()


def test_another_file_of_cameras_is_not_mixed_into_a_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cameras = place / "cameras.json"
    cameras.write_text(json.dumps({"0001.png": CAMERA}))
    assert main(command(place, "--cameras", str(cameras))) == 0
    cameras.write_text(json.dumps({"0001.png": CAMERA | {"fx": 100.0}}))
    assert main(command(place, "--cameras", str(cameras))) == 1
    assert "cameras" in capsys.readouterr().err


def test_images_whose_names_differ_in_other_letters_or_endings_are_different_frames(tmp_path: Path) -> None:
    names = ["椅子.png", "桌子.png", "a b.png", "a_b.png", "a.png", "a.jpg"]
    whole = coco_content([], camera=CAMERA)
    (entry,) = whole["images"]
    whole["images"] = [{**entry, "id": n, "file_name": name} for n, name in enumerate(names, 1)]
    whole["annotations"] = [annotation(id=n, image_id=n) for n in range(1, len(names) + 1)]
    for name in names:
        write_photograph(tmp_path, name=Path(name).stem)
    (tmp_path / "images" / "a.jpg").write_bytes((tmp_path / "images" / "a.png").read_bytes())
    write_coco(tmp_path, whole)
    (tmp_path / "lifting.yaml").write_text("{}\n")
    assert main(command(tmp_path)) == 0
    ids = [record.id for record in DatasetFolder.open(tmp_path / "out").frames()]
    assert len(set(ids)) == len(names)
    assert {"lifted/a.png", "lifted/a.jpg", "lifted/a_b.png"} < set(ids)


def test_a_small_data_set_has_several_shards_and_a_large_one_full_ones() -> None:
    sizes = [stage._shard_size(images, LiftConfig()) for images in (3, 45, 1000, 4000, 100_000)]
    assert sizes == [10, 10, 50, 200, 200]
    assert stage._shard_size(1000, LiftConfig(images_per_shard=2)) == 2


def test_two_that_lay_out_annotations_at_once_do_not_disturb_each_other(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, tally = read_coco(place / "instances.json", rename={})
    monkeypatch.setattr(whole_files, "writer_name", lambda: "other-1")
    write_whole = stage.write_whole

    def meanwhile(path: Path, content: bytes) -> None:
        with whole_file(path, advice="") as file:
            file.write(content[:5])
            with monkeypatch.context() as patched:  # another machine writes the same file while this one does
                patched.setattr(whole_files, "writer_name", lambda: "here-2")
                patched.setattr(stage, "write_whole", write_whole)
                stage.prepare(place / "out", images, tally, LiftConfig(), {})
            file.write(content[5:])

    monkeypatch.setattr(stage, "write_whole", meanwhile)
    stage.prepare(place / "out", images, tally, LiftConfig(), {})
    assert len(read_annotations(place / "out", 0)) == 5
    assert [path.name for path in (place / "out" / "annotations").iterdir()] == ["00000.json.gz"]


def test_a_run_without_images_says_what_was_wrong_with_the_first(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_coco(place, coco_content([annotation()], width=-3))
    assert main(command(place)) == 1
    assert "expected a side of 1 to" in capsys.readouterr().err


def test_annotations_of_a_shard_are_those_that_were_read(place: Path) -> None:
    assert main(command(place)) == 0
    rows = read_annotations(place / "out", 1)
    assert [image.file_name for image in rows] == ["0003.png", "0004.png"]
    assert rows[1].annotations[0].remarks == ("depiction",)
    assert rows[0].camera is not None
    assert fingerprint(place / "instances.json")["file"] == "instances.json"


def test_open_images_are_lifted_with_masks_from_files(tmp_path: Path) -> None:
    write_photograph(tmp_path, name="abc")
    picture = cv2.imread(str(tmp_path / "images" / "abc.png"))
    assert picture is not None
    cv2.imwrite(str(tmp_path / "images" / "abc.jpg"), picture)
    mask = np.zeros((75, 100), np.uint8)
    mask[30:50, 40:60] = 255
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks" / "m.png"), mask)
    (tmp_path / "class-descriptions.csv").write_text("/m/box,Box\n")
    box = "0.4,0.6,0.4,0.66667"
    (tmp_path / "boxes.csv").write_text(f"ImageID,LabelName,XMin,XMax,YMin,YMax\nabc,/m/box,{box}\n")
    columns = "MaskPath,ImageID,LabelName,BoxXMin,BoxXMax,BoxYMin,BoxYMax"
    (tmp_path / "masks.csv").write_text(f"{columns}\nm.png,abc,/m/box,{box}\n")
    words = ["dataset", "lift", "--format", "openimages", "--annotations", str(tmp_path / "boxes.csv")]
    words += ["--images", str(tmp_path / "images"), "--depth", str(tmp_path / "depth"), "--workers", "1"]
    words += ["--masks", str(tmp_path / "masks"), "--mask-boxes", str(tmp_path / "masks.csv"), "--fov", "53.13"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    (record,) = DatasetFolder.open(tmp_path / "out").frames()
    (one,) = record.objects
    assert one.label == "box"
    assert one.visible_box is not None
    assert one.visible_box.size[:2] == pytest.approx([0.42, 0.45], abs=0.06)
    assert record.intrinsics.fx == pytest.approx(200.0, abs=0.1)
    (tmp_path / "masks.csv").write_text(f"{columns}\n")
    assert main([*words, "--out", str(tmp_path / "out")]) == 1  # other masks are another data set


def test_a_run_that_is_stopped_leaves_whole_shards_only_and_goes_on(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []

    def stopped_at_the_fourth(image: Any, tools: Any) -> Any:
        seen.append(image.file_name)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return lift_image(image, tools)

    with monkeypatch.context() as patched:
        patched.setattr(stage, "lift_image", stopped_at_the_fourth)
        assert main(command(place)) == 130
    assert "interrupted" in capsys.readouterr().err
    assert [path.name for path in sorted((place / "out" / "frames").iterdir())] == ["00000.parquet"]
    assert main(command(place)) == 0
    records = DatasetFolder.open(place / "out").frames()
    assert [record.id for record in records] == ["lifted/0001.png", "lifted/0002.png", "lifted/0003.png"]


@pytest.mark.parametrize("box", [(1e12, 0.0, 1e12, 10.0), (-1e300, 5.0, 1e300, 9.0), (math.nan, 0.0, math.inf, 5.0)])
def test_a_box_refused_for_where_it_lies_is_still_a_picture(box: tuple[float, float, float, float]) -> None:
    tile = rejected_tile(np.full((90, 120, 3), 128, np.uint8), box, "box_outside")
    assert tile.shape == (360, 480, 3)
