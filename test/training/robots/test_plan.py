"""Which frames go where, over several recordings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from model_training.robots.editing import EditedFrame
from model_training.robots.plan import plan_of
from model_training.robots.time_split import SplitConfig
from model_training.robots.work_folder import FoundFrame, Recording, WorkFolder
from n3d_ros.geometry.camera import CameraIntrinsics

SECOND = 1_000_000_000
CAMERA = CameraIntrinsics(fx=100.0, fy=100.0, cx=79.5, cy=59.5, width=160, height=120)


def recording(
    name: str, begin_s: int, seconds: list[int], duration_s: float = 60.0
) -> tuple[WorkFolder, list[EditedFrame]]:
    """A folder and its frames, all complete, at these seconds."""
    about = Recording(
        name=name,
        digest=name,
        grounder="block",
        color=f"/{name}/image",
        depth=f"/{name}/depth",
        start_ns=begin_s * SECOND,
        duration_s=duration_s,
    )
    frames = [
        EditedFrame(
            found=FoundFrame(
                name=f"{at:08.3f}",
                stamp_ns=(begin_s + at) * SECOND,
                frame_id="camera",
                intrinsics=CAMERA,
                up=(0.0, -1.0, 0.0),
                up_source="tf",
                objects=(),
            ),
            status="complete",
            objects=(),
            changes=Counter(),
        )
        for at in seconds
    ]
    return WorkFolder(path=Path(name), recording=about), frames


def test_cameras_of_one_time_never_see_the_same_in_two_splits() -> None:
    left = recording("left", 0, list(range(60)))
    right = recording("right", 1, list(range(30)))  # by itself its last frames, of 24 s on, would validate
    plan, left_out = plan_of([left, right], SplitConfig(validation=0.2, gap_s=2.0))
    stamps = {
        split: [one.edited.found.stamp_ns for one in plan if one.split == split] for split in ("train", "validation")
    }
    assert len(stamps["validation"]) == 18 and min(stamps["validation"]) - max(stamps["train"]) > 2 * SECOND
    assert {one.work.path.name for one in plan if one.split == "validation"} == {"left"}
    assert left_out == {"between two splits": 90 - len(plan)}


def test_recordings_of_other_times_are_split_each_by_itself() -> None:
    plan, _ = plan_of(
        [recording("monday", 0, list(range(40))), recording("friday", 900, list(range(40)))], SplitConfig()
    )
    counts = Counter((one.work.path.name, one.split) for one in plan)
    assert counts == {
        ("monday", "train"): 30,
        ("monday", "validation"): 8,
        ("friday", "train"): 30,
        ("friday", "validation"): 8,
    }
