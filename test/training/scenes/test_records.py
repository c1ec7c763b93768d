import numpy as np
import pytest

from model_training.scenes.records import RecordConfig, frame_record
from n3d_ros.geometry.camera import unproject


@pytest.fixture(scope="module", params=["tabletop_frames", "room_frames"])
def pairs(request):
    frames = request.getfixturevalue(request.param)
    return [(frame, frame_record(frame, split="train", config=RecordConfig(least_pixels=8))) for frame in frames]


def test_images_come_back_as_they_were_seen(pairs):
    for frame, record in pairs:
        assert np.abs(record.rgb.astype(int) - frame.frame.rgb).mean() < 6  # JPEG
        np.testing.assert_allclose(record.depth_m, frame.frame.depth_m, atol=0.00051)  # half a millimetre
        for one in record.objects:
            np.testing.assert_array_equal(record.mask(one.id), frame.object_ids == one.id)


def test_the_visible_box_is_the_tightest_along_the_cameras_axes(pairs):
    for frame, record in pairs:
        points = unproject(frame.clean_depth_m, record.intrinsics)
        for one in record.objects:
            seen = points[record.mask(one.id)]
            low, high = np.nanmin(seen, axis=0), np.nanmax(seen, axis=0)
            np.testing.assert_array_equal(one.visible_box.rotation, np.eye(3))
            np.testing.assert_allclose(one.visible_box.center, (low + high) / 2, atol=1e-6)
            np.testing.assert_allclose(one.visible_box.size, np.maximum(high - low, 0.001), atol=1e-6)


def test_the_visible_box_lies_within_the_whole_one(pairs):
    for _, record in pairs:
        for one in record.objects:
            around = one.box.corners
            assert (one.visible_box.corners.min(axis=0) >= around.min(axis=0) - 0.003).all()
            assert (one.visible_box.corners.max(axis=0) <= around.max(axis=0) + 0.003).all()


def test_the_2d_box_runs_along_the_borders_of_the_mask(pairs):
    for _, record in pairs:
        for one in record.objects:
            rows, columns = np.nonzero(record.mask(one.id))
            assert one.box_2d == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_what_carries_or_holds_an_object_is_in_the_record_or_not_named(pairs):
    for _, record in pairs:
        ids = {one.id for one in record.objects}
        for one in record.objects:
            assert one.supported_by in {None, 0, *ids}
            assert one.inside_of in {None, *ids}
            assert one.color
            assert bool(one.material) == (one.label not in {"apple", "orange", "pear", "plant", "potted plant"})


def test_up_is_against_gravity(pairs):
    for frame, record in pairs:
        np.testing.assert_allclose(record.up, frame.world_T_camera.rotation.T @ [0, 0, 1], atol=1e-9)


def test_what_does_not_count_has_no_entry_and_no_pixels(room_frames):
    frame = room_frames[0]
    config = RecordConfig(least_share=0.005, least_fraction=0.5, furniture=False)
    record = frame_record(frame, split="train", config=config)
    every = frame_record(frame, split="train", config=RecordConfig(least_pixels=1, least_share=0, least_fraction=0))
    assert len(record.objects) < len(every.objects)
    assert set(np.unique(record.labels)) - {0} == {one.id for one in record.objects}
    for one in record.objects:
        assert one.visible_pixels >= 0.005 * 160 * 120 and one.visible_fraction >= 0.5 and one.role == "object"
