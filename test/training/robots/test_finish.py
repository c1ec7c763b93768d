"""From corrected labels to a data set: what was not touched is the node's, what was changed is a person's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs the packages of the extra [train]")

from bags_for_tests import BLOCK_SIDE_M, CAMERA, START_NS, block, map_T_camera, write_camera_bag
from model_training.data.folder import DatasetFolder
from model_training.data.records import FrameRecord
from model_training.robots.finish import FinishConfig, Finished, finish
from model_training.robots.label_file import LabelFileError
from model_training.robots.time_split import SplitConfig
from model_training.robots.work_folder import WorkFolder
from n3d_ros.depth.files.run_lock import only_run_in
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.geometry.box_comparison import box_difference
from n3d_ros.geometry.boxes import Box3D


def finished(labels: Path, **options: Any) -> Finished:
    return finish([labels], labels.parent / "dataset", FinishConfig(**options))


def records_of(labels: Path, **options: Any) -> list[FrameRecord]:
    return sorted(finished(labels, **options).records(), key=lambda one: one.stamp_ns)


def found_box(labels: Path, name: str = "0000.000") -> Box3D:
    return WorkFolder.open(labels).get(name).objects[0].box


def same_box(first: Box3D | None, second: Box3D) -> bool:
    assert first is not None
    return bool(
        (first.center == second.center).all()
        and (first.size == second.size).all()
        and np.allclose(first.orientation_xyzw, second.orientation_xyzw, rtol=0, atol=1e-15)
    )


# --------------------------------------------------------------------------------------------------------- round trip


def test_a_file_left_alone_gives_the_node_s_boxes_unrounded(labels: Path) -> None:
    done = finished(labels)
    assert done.frames == {"train": 6} and not done.changes
    for k, record in enumerate(sorted(done.records(), key=lambda one: one.stamp_ns)):
        (one,) = record.objects
        assert same_box(one.box, found_box(labels, f"0000.{k}00"))
        assert one.label == "red block" and one.score == 0.75


def test_one_changed_number_changes_that_number_of_that_box_alone(labels: Path, edit: Any) -> None:
    edit(labels, "|     0.5   100.0   -55.0 |", "|     3.5   100.0   -55.0 |")
    records = records_of(labels)
    before, after = found_box(labels), records[0].objects[0].box
    assert after is not None
    np.testing.assert_allclose(after.center - before.center, [0.03, 0.0, 0.0], atol=1e-9)  # the camera has no roll
    assert (after.size == before.size).all()
    assert all(same_box(records[k].objects[0].box, found_box(labels, f"0000.{k}00")) for k in range(1, 6))


def test_a_label_changed_in_its_line_changes_that_label_alone(labels: Path, edit: Any) -> None:
    edit(labels, "| red block |", "| toy brick |")
    done = finished(labels)
    assert done.objects == {"red block": 5, "toy brick": 1} and done.changes == {"renamed": 1}


@pytest.mark.parametrize("name", ["red block", "#1"])
def test_a_rename_holds_in_all_frames_except_where_a_line_says_otherwise(labels: Path, edit: Any, name: str) -> None:
    edit(labels, "rename:\n", f"rename:\n  {name} -> toy brick\n")
    edit(labels, "| red block |", "| crayon |")
    assert finished(labels).objects == {"toy brick": 5, "crayon": 1}


def test_a_rename_to_nothing_leaves_all_out(labels: Path, edit: Any) -> None:
    edit(labels, "rename:\n", "rename:\n  red block -> -\n")
    with pytest.raises(InputError, match="6 without a box"):
        finished(labels)


def test_keep_no_and_a_deleted_line_leave_a_box_out(labels: Path, edit: Any) -> None:
    edit(labels, "    1 | yes  |", "    1 | no   |")
    text = (labels / "labels.txt").read_text().splitlines(keepends=True)
    last = max(k for k, line in enumerate(text) if line.startswith("    1 |"))
    (labels / "labels.txt").write_text("".join(text[:last] + text[last + 1 :]))
    done = finished(labels)
    assert done.objects.total() == 4 and done.changes == {"left_out": 2} and done.left_out == {"without a box": 2}


def test_an_empty_frame_counts_where_a_person_says_that_it_is_empty(labels: Path, edit: Any) -> None:
    edit(labels, "    1 | yes  |", "    1 | no   |")
    edit(labels, "frame 0000.000: unchecked", "frame 0000.000: complete")
    record = records_of(labels)[0]
    assert record.objects == () and json.loads(record.provenance)["complete"] is True


# -------------------------------------------------------------------------------------------------------------- adding


def add(labels: Path, line: str) -> None:
    """Adds a line to the first frame."""
    text = (labels / "labels.txt").read_text()
    at = text.index("frame 0000.100")
    (labels / "labels.txt").write_text(text[:at].rstrip() + "\n" + line + "\n\n" + text[at:])


def test_a_box_is_added_by_its_place(labels: Path) -> None:
    add(labels, "new | yes | flat cap | -20 120 -58 | 8 12 4 | 30")
    done = finished(labels)
    record = next(iter(done.records()))
    assert done.changes == {"added": 1} and [one.id for one in record.objects] == [1, 2]
    cap = record.by_id(2)
    assert cap is not None and cap.box is not None and cap.label == "flat cap" and cap.score is None
    in_map = cap.box.transformed(map_T_camera())  # x of the map is ahead, y is left
    np.testing.assert_allclose(in_map.center, [1.2, 0.2, 0.6 - 0.58], atol=1e-9)
    np.testing.assert_allclose(cap.box.size, [0.08, 0.12, 0.04])


def test_a_box_is_added_by_a_pixel_of_what_is_seen(labels: Path) -> None:
    center = block().transformed(map_T_camera().inverse()).center
    u, v = CAMERA.fx * center[:2] / center[2] + [CAMERA.cx, CAMERA.cy]
    add(labels, f"new | yes | brick | pixel {u:.0f} {v:.0f} | 10 10 10 | 0")
    added = records_of(labels)[0].by_id(2)
    assert added is not None and added.box is not None
    assert float(np.linalg.norm(added.box.center - center)) < 0.01


def test_a_rough_box_is_fitted_to_the_points_where_a_person_asks(labels: Path) -> None:
    add(labels, "new | yes | brick | 3 103 -53 | 8 13 8 | 20 | refit")
    done = finished(labels)
    brick = next(iter(done.records())).by_id(2)
    assert done.changes == {"added": 1, "refitted": 1} and not done.notes
    assert brick is not None and brick.box is not None
    difference = box_difference(block(), brick.box.transformed(map_T_camera()))
    assert difference.center_m < 0.015 and difference.size_m < 0.03


def test_a_fit_without_points_leaves_the_box_and_tells(labels: Path) -> None:
    add(labels, "new | yes | ghost | -10 120 -20 | 8 8 8 | 0 | refit")
    done = finished(labels)
    assert "refitted" not in done.changes
    (note,) = done.notes
    assert "ghost" in note and "taken as written" in note
    ghost = next(iter(done.records())).by_id(2)
    assert ghost is not None and ghost.visible_box is None and ghost.box_2d is not None and done.without_points == 1


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("new | yes | cup | 0 -100 -55 | 8 8 8 | 0", "behind the camera"),
        ("new | yes | cup | 500 100 -55 | 8 8 8 | 0", "outside the picture"),
        ("new | yes | cup | 0 100 -55 | 0 8 8 | 0", "expected 0.3 to 2000 cm, got 0"),
        ("new | yes | cup | 0 100 -55 | -8 8 8 | 0", "expected 0.3 to 2000 cm, got -8"),
        ("new | yes | cup | 0 100 -55 | 0.08 8 8 | 0", "0.1 m is 10"),
        ("new | yes | cup | 0 100000 -55 | 8 8 8 | 0", "expected cm within"),
        ("new | yes | cup | pixel 160 20 | 8 8 8 | 0", "outside the picture of 160x120"),
        ("new | yes | cup | pixel 2 2 | 8 8 8 | 0", "no depth was measured"),
        ("2 | yes | cup | 0 100 -55 | 8 8 8 | 0", "no box of number 2 (it has 1)"),
    ],
)
def test_a_box_that_cannot_be_is_told_with_its_line(labels: Path, line: str, told: str) -> None:
    add(labels, line)
    number = (labels / "labels.txt").read_text().splitlines().index(line) + 1
    if "pixel 2 2" in line:  # a hole in depth there
        hole = labels / "frames" / "0000.000.depth.png"
        depth = cv2.imread(str(hole), cv2.IMREAD_UNCHANGED)
        depth[:8, :8] = 0
        cv2.imwrite(str(hole), depth)
    with pytest.raises(LabelFileError) as caught:
        finished(labels)
    (fault,) = caught.value.faults
    assert fault.line == number and told in fault.message


def test_all_faults_are_told_at_once_and_nothing_is_written(labels: Path, edit: Any) -> None:
    add(labels, "new | yes | cup | 0 -100 -55 | 8 8 8 | 0")
    edit(labels, "rename:\n", "rename:\n  red blok -> brick\n  #9 -> cup\n")
    edit(labels, "frame 0000.000: unchecked", "frame 0000.000: uncheckd")  # the cup below it is told all the same
    edit(labels, "frame 0000.400:", "frame 0000.404:")
    with pytest.raises(LabelFileError) as caught:
        finished(labels)
    told = "\n".join(fault.message for fault in caught.value.faults)
    assert len(caught.value.faults) == 5
    for words in ("Did you mean 'red block'", "#9", "behind", "did you mean 'unchecked'", "Did you mean 0000.400"):
        assert words in told
    assert not (labels.parent / "dataset").exists() and not (labels / "control").exists()


def test_a_size_as_it_was_found_is_no_fault_however_small(labels: Path) -> None:
    path = labels / "frames" / "0000.000.json"
    values = json.loads(path.read_text())
    values["objects"][0]["box"]["size"][2] = 0.0004
    path.write_text(json.dumps(values))
    text = (labels / "labels.txt").read_text()
    (labels / "labels.txt").write_text(text.replace("10.0    10.0    10.0 |", "10.0    10.0     0.0 |", 1))
    box = records_of(labels)[0].objects[0].box
    assert box is not None and box.size[2] == 0.0004


def test_images_that_were_damaged_are_named(labels: Path) -> None:
    (labels / "frames" / "0000.200.jpg").unlink()
    with pytest.raises(InputError, match=r"0000\.200\.json and the images beside it"):
        finished(labels)
    picture = (labels / "frames" / "0000.100.jpg").read_bytes()
    for damaged in (b"no picture", picture[: len(picture) // 2]):  # the second decodes, with grey at its bottom
        (labels / "frames" / "0000.200.jpg").write_bytes(damaged)
        with pytest.raises(InputError, match=r"frames/0000\.200\.jpg and .* Delete .*frames/0000\.200\.\*"):
            finished(labels)
        assert not (labels.parent / "dataset").exists()


def test_a_folder_that_is_none_of_ours_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="n3d dataset from-bag BAG"):
        finish([tmp_path], tmp_path / "dataset", FinishConfig())


# ------------------------------------------------------------------------------------------------------------- records


def test_a_record_holds_what_follows_from_depth(labels: Path) -> None:
    record = records_of(labels)[0]
    (one,) = record.objects
    mask, frame = record.mask(1), record.frame()
    assert mask is not None
    red = frame.rgb[..., 0].astype(int) - frame.rgb[..., 1] > 60
    assert np.count_nonzero(mask ^ red) <= 0.15 * np.count_nonzero(red)  # JPEG blurs its border
    assert one.visible_pixels == np.count_nonzero(mask)
    points = frame.point_map().xyz[mask]
    assert one.visible_box is not None
    np.testing.assert_allclose(one.visible_box.center, (points.min(axis=0) + points.max(axis=0)) / 2, atol=1e-6)
    rows, columns = np.nonzero(mask)
    assert one.box_2d == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert (one.color, one.shape, one.symmetry, one.touches_border) == ("red", "box", "half_turn", False)


def test_a_moved_box_has_the_points_that_lie_in_it(labels: Path, edit: Any) -> None:
    edit(labels, "|     0.5   100.0   -55.0 |", "|     5.0   100.0   -55.0 |")
    record = records_of(labels)[0]
    mask = record.mask(1)
    red = record.rgb[..., 0].astype(int) - record.rgb[..., 1] > 60
    assert mask is not None and 0 < np.count_nonzero(mask & red) < 0.75 * np.count_nonzero(red)
    assert np.count_nonzero(mask & ~red) <= 0.1 * np.count_nonzero(mask)  # the ground below is not the object


def test_a_record_tells_where_it_comes_from(labels: Path, edit: Any) -> None:
    edit(labels, "frame 0000.000: unchecked", "frame 0000.000: checked")
    records = records_of(labels, licence="CC0-1.0")
    about = json.loads(records[0].provenance)
    assert records[0].source == "bag" and records[0].licence == "CC0-1.0"
    assert (about["bag"], about["stamp_ns"], about["boxes_by"]) == ("desk", START_NS, "block")
    assert (about["status"], about["complete"], about["up_by"]) == ("checked", False, "tf")
    assert records[0].objects[0].score is None and records[1].objects[0].score == 0.75
    assert records[0].stamp_ns == START_NS and records[0].up is not None
    assert len({one.id for one in records}) == 6 and all(one.id.startswith("desk-") for one in records)


# --------------------------------------------------------------------------------------------------------- the data set


def test_frames_are_split_by_time(look: Any, tmp_path: Path) -> None:
    labels = look(write_camera_bag(tmp_path / "desk", frames=20), tmp_path / "labels").work.path
    done = finished(labels, split=SplitConfig(validation=0.2, held_out=0.1, gap_s=0.15), frames_per_shard=7)
    assert done.frames == {"train": 13, "validation": 3, "held_out": 2} and done.left_out == {"between two splits": 2}
    times = {split: [r.stamp_ns for r in done.records() if r.split == split] for split in done.frames}
    assert max(times["train"]) < min(times["validation"]) and max(times["validation"]) < min(times["held_out"])
    assert {split: one.shards for split, one in done.datasets.items()} == {"train": 2, "validation": 1, "held_out": 1}
    for split, dataset in done.datasets.items():  # a folder each: none is trained on by mistake
        assert dataset.path == done.path / split and dataset.is_complete
        assert {one.split for one in dataset.frames(images=False)} == {split}


def test_skipped_and_unchecked_frames_are_left_out_where_that_is_asked(labels: Path, edit: Any) -> None:
    edit(labels, "frame 0000.000: unchecked", "frame 0000.000: skip")
    edit(labels, "frame 0000.100: unchecked", "frame 0000.100: checked")
    assert finished(labels).frames.total() == 5
    done = finish([labels], labels.parent / "only", FinishConfig(only_checked=True))
    assert done.frames.total() == 1 and done.left_out == {"skipped": 1, "unchecked": 4}


def test_finishing_again_writes_nothing_new(labels: Path) -> None:
    first = finished(labels)
    shard = first.datasets["train"].shard_path("frames", 0)
    before = shard.stat().st_mtime_ns
    again = finished(labels)
    assert again.there_before and shard.stat().st_mtime_ns == before and again.frames == first.frames


def test_an_interrupted_run_goes_on(labels: Path) -> None:
    config = FinishConfig(frames_per_shard=2)

    def stop(phase: str, done: int, _total: int) -> None:
        if phase == "writing" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish([labels], labels.parent / "dataset", config, on_frame=stop)
    assert DatasetFolder.open(labels.parent / "dataset" / "train").missing("frames") == (1, 2)
    done = finish([labels], labels.parent / "dataset", config)
    assert done.frames.total() == 6 and len({one.id for one in done.records()}) == 6


def test_a_data_set_of_earlier_labels_is_replaced_only_when_asked(labels: Path, edit: Any) -> None:
    finished(labels)
    (labels.parent / "dataset" / "train" / "notes.md").write_text("mine")
    edit(labels, "| red block |", "| brick |")
    with pytest.raises(ConfigurationError, match="--force"):
        finished(labels)
    with pytest.raises(ConfigurationError, match=r"notes\.md"):
        finish([labels], labels.parent / "dataset", FinishConfig(), force=True)
    assert DatasetFolder.open(labels.parent / "dataset" / "train").is_complete
    (labels.parent / "dataset" / "train" / "notes.md").unlink()
    done = finish([labels], labels.parent / "dataset", FinishConfig(), force=True)
    assert done.objects["brick"] == 1


def test_a_replacement_that_was_killed_can_be_given_again(
    labels: Path, edit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(labels)
    edit(labels, "red block", "toy brick")

    def killed(folder: Path) -> None:
        raise KeyboardInterrupt(folder)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            finish([labels], labels.parent / "dataset", FinishConfig(), force=True)
    done = finish([labels], labels.parent / "dataset", FinishConfig(), force=True)
    assert done.objects == {"red block": 5, "toy brick": 1}


def test_a_split_that_is_no_longer_wanted_does_not_stay(look: Any, tmp_path: Path) -> None:
    labels = look(write_camera_bag(tmp_path / "desk", frames=12), tmp_path / "labels").work.path
    finished(labels, split=SplitConfig(gap_s=0.0))
    assert (tmp_path / "dataset" / "validation" / "dataset.json").exists()
    alone = FinishConfig(split=SplitConfig(validation=0.0))
    with pytest.raises(ConfigurationError, match="--force"):
        finish([labels], tmp_path / "dataset", alone)
    assert finish([labels], tmp_path / "dataset", alone, force=True).frames == {"train": 12}
    assert not (tmp_path / "dataset" / "validation" / "dataset.json").exists()


def test_another_kind_of_data_set_is_never_replaced(labels: Path) -> None:
    DatasetFolder.create(labels.parent / "dataset" / "train", "scenes", {"seed": 1}, 1)
    with pytest.raises(ConfigurationError, match="another kind"):
        finish([labels], labels.parent / "dataset", FinishConfig(), force=True)
    with pytest.raises(ConfigurationError, match="a data set itself"):
        finish([labels], labels.parent / "dataset" / "train", FinishConfig(), force=True)
    assert (labels.parent / "dataset" / "train" / "dataset.json").exists()


def test_several_recordings_make_one_data_set(labels: Path, look: Any, tmp_path: Path) -> None:
    other = look(write_camera_bag(tmp_path / "b" / "desk", frames=3), tmp_path / "b_labels").work.path
    done = finish([labels, other], tmp_path / "both", FinishConfig())
    assert len({one.id for one in done.records()}) == done.frames.total() == 9  # though both are called desk


def test_one_recording_twice_is_refused(labels: Path, tmp_path: Path) -> None:
    shutil.copytree(labels, tmp_path / "copy")
    with pytest.raises(InputError, match="of one recording"):
        finish([labels, tmp_path / "copy"], tmp_path / "both", FinishConfig())


def test_faults_of_several_folders_are_told_together(labels: Path, look: Any, tmp_path: Path, edit: Any) -> None:
    other = look(write_camera_bag(tmp_path / "kitchen", frames=3), tmp_path / "kitchen_labels").work.path
    for folder in (labels, other):
        edit(folder, "| yes  |", "| yse  |")
    with pytest.raises(InputError) as caught:
        finish([labels, other], tmp_path / "both", FinishConfig())
    assert str(labels) in caught.value.message and str(other) in caught.value.message


def test_pictures_for_control_show_what_was_written(labels: Path) -> None:
    finished(labels)
    control = cv2.imread(str(labels / "control" / "0000.000.jpg"))
    plain = cv2.imread(str(labels / "frames" / "0000.000.jpg"))
    record = records_of(labels)[0]
    mask = record.mask(1)
    assert mask is not None and control.shape == plain.shape
    assert (labels.parent / "dataset" / "contact_sheet.jpg").exists()
    report = json.loads((labels.parent / "dataset" / "from_bag.json").read_text())
    assert report["frames"] == {"train": 6} and report["objects"] == {"red block": 6}


def test_pictures_for_control_of_frames_that_are_left_out_do_not_stay(labels: Path, edit: Any) -> None:
    finished(labels)
    edit(labels, "frame 0000.100: unchecked", "frame 0000.100: skip")
    (labels / "control" / "mine.jpg").write_bytes(b"a person's own")
    finish([labels], labels.parent / "dataset", FinishConfig(), force=True)
    left = {path.stem for path in (labels / "control").iterdir()}
    assert left == {"mine", *(f"0000.{k}00" for k in (0, 2, 3, 4, 5))}


def test_checking_and_writing_are_told_frame_by_frame(labels: Path) -> None:
    told: list[tuple[str, int, int]] = []
    finish([labels], labels.parent / "dataset", FinishConfig(), on_frame=lambda *words: told.append(words))
    assert told == [(phase, k, 6) for phase in ("checking", "writing") for k in range(1, 7)]


def test_two_runs_do_not_write_one_data_set(labels: Path) -> None:
    with only_run_in(labels.parent / "dataset"), pytest.raises(ConfigurationError, match="another run is writing"):
        finished(labels)


def test_the_block_has_its_size_in_every_record(labels: Path) -> None:
    for record in records_of(labels):
        box = record.objects[0].box
        assert box is not None
        np.testing.assert_allclose(box.size, BLOCK_SIDE_M)


def test_only_lines_changed_by_hand_make_a_frame_look_forgotten(labels: Path, edit: Any) -> None:
    edit(labels, "rename:\n", "rename:\n  red block -> brick\n")
    assert finished(labels).edited_unchecked == 0
    edit(labels, "| red block |", "| crayon |")
    done = finish([labels], labels.parent / "second", FinishConfig())
    assert done.edited_unchecked == 1
    edit(labels, "frame 0000.000: unchecked", "frame 0000.000: checked")
    assert finish([labels], labels.parent / "third", FinishConfig()).edited_unchecked == 0
