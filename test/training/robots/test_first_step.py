"""From a recording to a folder to correct: frames, boxes, pictures, and edits that are never lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bags_for_tests import BLOCK_SIDE_M, CAMERA, FRAME_ID, START_NS, block, map_T_camera, render, write_camera_bag
from model_training.robots.label_reading import read_labels
from model_training.robots.picking import PickConfig
from model_training.robots.work_folder import WorkFolder
from n3d_ros.depth.files.run_lock import only_run_in
from n3d_ros.detection import Detection3D, SupportSurface
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.geometry import CameraIntrinsics
from n3d_ros.geometry.camera import CameraModel, Distortion
from n3d_ros.inference.grounder import GroundingResult
from n3d_ros.ros.bag import BagWriter
from n3d_ros.ros.conversions import model_to_camera_info
from n3d_ros.ros.image_codec import depth_to_image_msg, rgb_to_image_msg
from n3d_ros.ros.rgbd_bag import RgbdBagWriter


class Blind:
    """Finds nothing, or what it is told to find; knows surfaces."""

    name, device = "blind", "cpu"

    def __init__(self, found: tuple[Detection3D, ...] = (), surfaces: tuple[SupportSurface, ...] = ()) -> None:
        self._result = GroundingResult(detections=found, surfaces=surfaces)

    def ground(self, frame: Any, request: Any, **_: Any) -> GroundingResult:
        return self._result

    def close(self) -> None:
        pass


class Counting(Blind):
    """Finds nothing, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.stamps_ns: list[int] = []

    def ground(self, frame: Any, request: Any, **_: Any) -> GroundingResult:
        self.stamps_ns.append(frame.stamp_ns)
        return super().ground(frame, request)


def objects_of(folder: Path) -> list[Any]:
    return [line for frame in read_labels(folder / "labels.txt")[0].frames for line in frame.objects]


def bag_without_tf(path: Path, frames: int = 3) -> Path:
    with BagWriter(path) as writer:
        camera = RgbdBagWriter(writer, CAMERA, frame_id=FRAME_ID)
        for k in range(frames):
            camera.write_frame(*render(map_T_camera()), START_NS + k * 100_000_000)
    return path


def test_a_recording_becomes_lines_that_a_person_can_measure(labels: Path) -> None:
    file, faults = read_labels(labels / "labels.txt")
    assert not faults
    assert [frame.name for frame in file.frames] == [
        "0000.000",
        "0000.100",
        "0000.200",
        "0000.300",
        "0000.400",
        "0000.500",
    ]
    first = file.frames[0].objects[0]
    # The block is 1 m before the camera's foot, on the ground; the camera is 60 cm high, the grounder 5 mm late.
    assert first.words.place_cm == (0.5, 100.0, -55.0)
    assert first.words.size_cm == (10.0, 10.0, 10.0)
    assert (first.label, first.number, first.keep) == ("red block", 1, True)


def test_what_was_found_is_kept_unrounded(labels: Path) -> None:
    expected = block().transformed(map_T_camera(0.005).inverse())
    (found,) = WorkFolder.open(labels).get("0000.000").objects
    assert (found.box.center == expected.center).all() and (found.box.size == expected.size).all()
    np.testing.assert_allclose(found.box.orientation_xyzw, expected.orientation_xyzw, atol=1e-15)
    assert (found.score, found.color, found.shape, found.has_mask) == (0.75, "red", "box", True)


def test_up_comes_from_tf(labels: Path) -> None:
    frame = WorkFolder.open(labels).get("0000.300")
    assert frame.up_source == "tf"
    np.testing.assert_allclose(frame.up, map_T_camera().inverse().rotate(np.array([0.0, 0.0, 1.0])), atol=1e-9)


def test_without_tf_up_is_that_of_the_ground_that_was_found(look: Any, tmp_path: Path) -> None:
    up = map_T_camera().inverse().rotate(np.array([0.0, 0.0, 1.0]))
    outline = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 0.0, 2.0]])
    ground = SupportSurface(normal=up, offset_m=0.6, kind="floor", outline=outline)
    work = look(bag_without_tf(tmp_path / "bag"), tmp_path / "labels", grounder=Blind(surfaces=(ground,))).work
    frame = work.get("0000.000")
    assert frame.up_source == "surface"
    np.testing.assert_allclose(frame.up, up, atol=1e-9)
    assert "table or floor" in work.labels.read_text()


def test_where_nothing_tells_up_the_file_says_so(look: Any, tmp_path: Path) -> None:
    work = look(bag_without_tf(tmp_path / "bag"), tmp_path / "labels", grounder=Blind()).work
    assert work.get("0000.000").up_source == "picture"
    assert "nothing tells where up is" in work.labels.read_text()


def test_one_thing_has_one_number_in_all_frames(labels: Path) -> None:
    assert {line.number for line in objects_of(labels)} == {1}


def test_a_thing_at_its_place_has_its_number_in_a_later_run_too(bag: Path, look: Any, tmp_path: Path) -> None:
    out = tmp_path / "labels"
    look(bag, out, PickConfig(every_s=0.3, least_change=0.0))
    again = look(bag, out, PickConfig(every_s=0.1, least_change=0.0))
    assert again.added and {line.number for line in objects_of(out)} == {1}


def test_pictures_have_the_frame_s_own_pixels_and_its_boxes(labels: Path) -> None:
    picture = cv2.imread(str(labels / "pictures" / "0000.000.jpg"))
    plain = cv2.imread(str(labels / "frames" / "0000.000.jpg"))
    assert picture.shape == plain.shape == (CAMERA.height, CAMERA.width, 3)
    assert np.abs(picture.astype(int) - plain).max() > 80
    page = (labels / "look.html").read_text()
    assert 'src="pictures/0000.500.jpg"' in page and "http" not in page


def test_only_picked_frames_are_given_to_the_grounder(bag: Path, look: Any, tmp_path: Path) -> None:
    known = Counting()
    done = look(bag, tmp_path / "labels", PickConfig(every_s=0.3, least_change=0.0), grounder=known)
    assert len(known.stamps_ns) == len(done.added) == 2


def test_the_same_command_again_changes_nothing(bag: Path, look: Any, tmp_path: Path, edit: Any) -> None:
    out = tmp_path / "labels"
    look(bag, out)
    edit(out, "red block", "toy brick")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    done = look(bag, out)
    assert not done.added and done.there == 6
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_more_frames_are_added_behind_what_a_person_wrote(bag: Path, look: Any, tmp_path: Path, edit: Any) -> None:
    out = tmp_path / "labels"
    look(bag, out, PickConfig(every_s=0.3, least_change=0.0))
    edit(out, "red block", "toy brick")
    edit(out, "format 1\n", "format 1\r\n# my own words \u00e4\n")
    before = (out / "labels.txt").read_bytes()
    done = look(bag, out)
    after = (out / "labels.txt").read_bytes()
    assert len(done.added) == 4 and done.there == 2
    assert after.startswith(before) and len(after) > len(before)


def test_frames_that_a_person_deleted_do_not_come_back(bag: Path, look: Any, tmp_path: Path) -> None:
    out = tmp_path / "labels"
    look(bag, out)
    text = (out / "labels.txt").read_text()
    (out / "labels.txt").write_text(text[: text.index("frame 0000.300")])
    assert not look(bag, out).added
    assert len(objects_of(out)) == 3


def test_frames_of_a_killed_run_are_listed_by_the_next_without_being_looked_at(
    bag: Path, look: Any, tmp_path: Path
) -> None:
    out = tmp_path / "labels"
    look(bag, out)
    (out / "labels.txt").unlink()  # as if the power had failed before it was written
    about = json.loads((out / "work.json").read_text())
    (out / "work.json").write_text(json.dumps(about | {"listed": []}))
    grounder = Blind()
    done = look(bag, out, grounder=grounder)
    assert len(done.added) == 6 and len(objects_of(out)) == 6


def test_a_labels_file_that_was_removed_is_written_anew(bag: Path, look: Any, tmp_path: Path) -> None:
    out = tmp_path / "labels"
    look(bag, out)
    before = (out / "labels.txt").read_bytes()
    (out / "labels.txt").unlink()
    assert len(look(bag, out, grounder=Blind()).added) == 6
    assert (out / "labels.txt").read_bytes() == before


def test_a_folder_that_another_run_writes_is_refused(bag: Path, look: Any, tmp_path: Path) -> None:
    with only_run_in(tmp_path / "labels"), pytest.raises(ConfigurationError, match="another run is writing there"):
        look(bag, tmp_path / "labels")


def test_the_command_that_comes_next_holds_for_folders_with_blanks(bag: Path, look: Any, tmp_path: Path) -> None:
    out = look(bag, tmp_path / "my labels").work.path
    assert f"from-bag '{out}' --finish" in (out / "labels.txt").read_text()


def test_every_frame_tells_what_found_its_boxes(bag: Path, look: Any, tmp_path: Path) -> None:
    out = tmp_path / "labels"
    first = look(bag, out, PickConfig(every_s=0.3, least_change=0.0)).added
    work = look(bag, out, grounder=Blind()).work
    assert {name for name in work.names() if work.get(name).boxes_by == "block"} == set(first)
    assert {work.get(name).boxes_by for name in work.names() if name not in first} == {"blind"}


def test_stopping_keeps_what_is_done_and_the_next_run_goes_on(bag: Path, look: Any, tmp_path: Path) -> None:
    out, told = tmp_path / "labels", []
    frames = lambda: len(list((out / "frames").glob("*.json")))  # noqa: E731
    done = look(bag, out, tell=told.append, should_stop=lambda: frames() >= 2)
    assert done.interrupted and len(done.added) == 2
    assert len(look(bag, out).added) == 4


def test_another_recording_is_refused(bag: Path, look: Any, tmp_path: Path) -> None:
    look(bag, tmp_path / "labels")
    other = write_camera_bag(tmp_path / "kitchen", frames=4)
    with pytest.raises(InputError, match=r"another one, 'kitchen' \(.*image_raw with .*, 0.3 s\)"):
        look(other, tmp_path / "labels")


def test_a_folder_with_other_files_is_refused_and_left_alone(bag: Path, look: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("words")
    with pytest.raises(InputError, match="new or an empty folder"):
        look(bag, tmp_path / "thesis")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]


def write_bag(path: Path, *, depths: list[Any], info: Any = "own", model: CameraModel | None = None) -> Path:
    """A bag of the block with these depth images (None: none is recorded)."""
    rgb, _ = render(map_T_camera())
    camera = model or CameraModel(intrinsics=CAMERA)
    with BagWriter(path) as writer:
        for k, depth in enumerate(depths):
            stamp_ns = START_NS + k * 100_000_000
            if info is not None:
                message = model_to_camera_info(camera, stamp_ns=stamp_ns, frame_id=FRAME_ID)
                writer.write("/cam/rgb/camera_info", stamp_ns, message)
            writer.write("/cam/rgb/image_raw", stamp_ns, rgb_to_image_msg(rgb, stamp_ns=stamp_ns, frame_id=FRAME_ID))
            if depth is not None:
                message = depth_to_image_msg(depth, stamp_ns=stamp_ns, frame_id=FRAME_ID)
                writer.write("/cam/depth/image_raw", stamp_ns, message)
    return path


def test_frames_without_depth_are_named_skipped_and_counted(look: Any, tmp_path: Path) -> None:
    depth = render(map_T_camera())[1].astype(np.float32)
    empty = np.full_like(depth, np.nan)
    bag = write_bag(tmp_path / "bag", depths=[depth, None, empty, depth])
    done = look(bag, tmp_path / "labels")
    assert done.added == ("0000.000", "0000.300")
    assert done.dropped.counts["no_depth"] == 1 and done.dropped.counts["unpaired_color"] == 1
    assert done.dropped.where["no_depth"] == [pytest.approx(0.2)]
    assert "not one pixel holds depth" in done.dropped.why["no_depth"]


def test_lenses_are_taken_out_as_in_the_node(look: Any, tmp_path: Path) -> None:
    depth = render(map_T_camera())[1].astype(np.float32)
    narrow = CameraIntrinsics(fx=120.0, fy=120.0, cx=79.5, cy=59.5, width=160, height=120)
    model = CameraModel(
        intrinsics=CAMERA,
        distortion=Distortion(model="plumb_bob", coefficients=(-0.2, 0.0, 0.0, 0.0, 0.0)),
        rectified=narrow,
    )
    work = look(write_bag(tmp_path / "bag", depths=[depth], model=model), tmp_path / "labels", grounder=Blind()).work
    frame = work.get("0000.000")
    assert frame.intrinsics == narrow
    red = frame.record().rgb[..., 0].astype(int) - frame.record().rgb[..., 1] > 60
    assert 0 < red.sum() < 0.95 * (render(map_T_camera())[0][..., 0] == 200).sum()  # a shorter lens: a smaller block


def test_a_damaged_bag_gives_what_can_be_read_and_says_so(bag: Path, look: Any, tmp_path: Path) -> None:
    file = next(bag.glob("*.mcap"))
    data = file.read_bytes()
    file.write_bytes(data[: int(0.6 * len(data))])
    (bag / "metadata.yaml").unlink()
    done = look(bag, tmp_path / "labels")
    assert done.damage and "cut off or damaged" in done.damage
    assert len(done.added) == len(objects_of(tmp_path / "labels"))


def test_sizes_told_are_those_of_the_block(labels: Path) -> None:
    for line in objects_of(labels):
        np.testing.assert_allclose(np.array(line.size_cm) / 100, BLOCK_SIDE_M, atol=1e-3)
