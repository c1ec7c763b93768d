import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from model_training.data.pictures import depth_to_millimetres
from model_training.scenes import CAMERAS, SceneSpec
from model_training.scenes.__main__ import main
from model_training.scenes.export import box_lines, contact_sheet, draw_truth, frame_to_dict
from n3d_ros.errors import InputError
from n3d_ros.geometry import Box3D


def test_a_spec_survives_json():
    spec = SceneSpec(
        kind="room", seed=4, camera=CAMERAS["oak"], categories=("mug",), distance_m=(1.0, 2.0), clutter=0.9
    )
    assert SceneSpec.from_json(spec.to_json()) == spec


def test_a_misspelt_field_of_a_spec_is_named():
    with pytest.raises(InputError, match="'sed'"):
        SceneSpec.from_json('{"sed": 1}')


@pytest.mark.parametrize("wrong", [{"kind": "garden"}, {"object_count": (5, 2)}, {"views": 0}, {"clutter": 1.5}])
def test_impossible_specs_are_refused(wrong):
    with pytest.raises(InputError):
        replace(SceneSpec(), **wrong)


def test_depth_becomes_millimetres_and_none_becomes_zero():
    depth = np.array([[0.5, np.nan, 1.2346, 80.0]], np.float32)
    assert depth_to_millimetres(depth).tolist() == [[500, 0, 1235, 0]]


def test_the_written_truth_has_camera_pose_spec_and_every_object(tabletop_frames):
    frame = tabletop_frames[0]
    read = json.loads(json.dumps(frame_to_dict(frame)))
    assert read["camera"]["fx"] == CAMERAS["small"].fx
    assert SceneSpec.from_json(json.dumps(read["spec"])) == frame.spec
    assert [o["id"] for o in read["objects"]] == [t.object_id for t in frame.truth]
    np.testing.assert_allclose(read["objects"][0]["box_camera"]["center"], frame.truth[0].box_camera.center, atol=1e-6)


def test_edges_behind_the_camera_are_cut_instead_of_projected_wildly():
    box = Box3D.axis_aligned((0.0, 0.0, 0.5), (0.2, 0.2, 2.0))
    lines = box_lines(box.corners, CAMERAS["small"])
    assert 0 < len(lines) < 12
    assert all(abs(c) <= 10_000 for line in lines for point in line for c in point)


def test_contact_sheets_have_as_many_rows_as_needed(tabletop_frames):
    picture = draw_truth(tabletop_frames[0])
    assert picture.shape == (120, 160, 3)
    assert contact_sheet([picture] * 4).shape == (720, 1440, 3)
    assert contact_sheet([picture]).shape == (360, 480, 3)


def test_the_command_writes_frames_once_and_goes_on_where_it_stopped(tmp_path, renderer, capsys):
    arguments = ["--kind", "tabletop", "--camera", "small", "--seed", "3", "--out", str(tmp_path)]
    assert main([*arguments, "--count", "1"]) == 0
    color = cv2.imread(str(tmp_path / "tabletop_000003_0000_color.png"))
    depth = cv2.imread(str(tmp_path / "tabletop_000003_0000_depth.png"), cv2.IMREAD_UNCHANGED)
    label = cv2.imread(str(tmp_path / "tabletop_000003_0000_label.png"), cv2.IMREAD_UNCHANGED)
    truth = json.loads((tmp_path / "tabletop_000003_0000_truth.json").read_text())
    assert color.shape == (120, 160, 3) and depth.dtype == np.uint16 and label.dtype == np.uint16
    assert set(np.unique(label)) - {0} <= {o["id"] for o in truth["objects"]}
    written = (tmp_path / "tabletop_000003_0000_color.png").stat().st_mtime_ns
    capsys.readouterr()
    assert main([*arguments, "--count", "2"]) == 0
    assert "1 of 2 scenes are already there" in capsys.readouterr().err
    assert (tmp_path / "tabletop_000003_0000_color.png").stat().st_mtime_ns == written
    assert (tmp_path / "tabletop_000004_0000_truth.json").exists()
    assert (tmp_path / "contact_sheet_000.png").exists()
    assert not list(tmp_path.glob("*.part"))


def test_the_command_says_what_is_wrong_with_a_spec(tmp_path, capsys):
    (tmp_path / "spec.json").write_text('{"kind": "garden"}')
    assert main(["--spec", str(tmp_path / "spec.json"), "--out", str(tmp_path / "out")]) == 2
    assert "garden" in capsys.readouterr().err


def test_several_workers_write_the_same_pictures_as_one(tmp_path, renderer):
    arguments = ["--camera", "small", "--seed", "5", "--count", "2"]
    assert main([*arguments, "--out", str(tmp_path / "one")]) == 0
    assert main([*arguments, "--workers", "2", "--out", str(tmp_path / "two")]) == 0
    for name in ("tabletop_000005_0000_color.png", "tabletop_000006_0000_depth.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
