"""Pictures: labels never cover each other, drawing matches geometry, nothing falls over at the edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_box, make_frame, make_intrinsics
from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import project
from n3d_ros.ros.annotated_image import annotated_image
from n3d_ros.ros.picture_labels import place_labels
from n3d_ros.ros.pictures import PictureObject, write_png
from n3d_ros.ros.top_down import top_down_picture
from n3d_ros.ros.top_down_ground import HEADER, MARGIN, PLOT_SIZE

UP = np.array([0.0, -1.0, 0.0])


def red(number: int = 1, **box: object) -> PictureObject:
    return PictureObject(number=number, label="red box", box=make_box(**box), color_rgb=(1.0, 0.0, 0.0))  # type: ignore[arg-type]


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 900), st.floats(0, 700), st.floats(5, 200), st.floats(5, 200)), min_size=1, max_size=9
    )
)
def test_labels_keep_off_each_other_and_inside(places: list[tuple[float, float, float, float]]) -> None:
    anchors = [(x, y, x + width, y + height) for x, y, width, height in places]
    rects = place_labels(anchors, [(120, 30)] * len(anchors), (0.0, 0.0, 1000.0, 800.0))
    for i, rect in enumerate(rects):
        assert rect[0] >= 0 and rect[2] <= 1000 and rect[1] >= 0 and rect[3] <= 800
        assert not any(overlap(rect, other) for other in rects[:i])


def test_the_edges_of_a_box_are_drawn_where_it_projects() -> None:
    intrinsics = make_intrinsics(320, 240, 300.0)
    frame = make_frame(intrinsics=intrinsics)
    item = red(center=(0.0, 0.0, 1.0), size=(0.3, 0.3, 0.2))
    image = annotated_image(frame, [item])
    corner = project(item.box.corners[0], intrinsics.resized(image.shape[1], image.shape[0])).round().astype(int)
    patch = image[corner[1] - 2 : corner[1] + 3, corner[0] - 2 : corner[0] + 3].astype(int)
    assert (patch[..., 0] - patch[..., 1]).max() > 100


def test_boxes_behind_the_camera_or_around_it_are_survived() -> None:
    frame = make_frame(intrinsics=make_intrinsics(320, 240, 300.0))
    image = annotated_image(frame, [red(1, center=(0, 0, -1)), red(2, center=(0, 0, 0.05), size=(1, 1, 1))])
    assert image.shape == (960, 1280, 3)


def test_an_object_to_the_right_and_ahead_is_drawn_right_and_up_of_the_camera() -> None:
    intrinsics = make_intrinsics(320, 240, 300.0)
    picture = top_down_picture([red(center=(0.4, 0.0, 1.0), size=(0.2, 0.2, 0.2))], up=UP, intrinsics=intrinsics)
    plot = picture[HEADER : HEADER + PLOT_SIZE[1], MARGIN : MARGIN + PLOT_SIZE[0]].astype(int)
    reds = np.argwhere((plot[..., 0] - plot[..., 1] > 90) & (plot[..., 0] - plot[..., 2] > 90))
    blues = np.argwhere((plot[..., 2] - plot[..., 0] > 120) & (plot[..., 2] > 170))
    assert np.median(reds[:, 1]) > np.median(blues[:, 1]) + 100
    assert np.median(reds[:, 0]) < np.median(blues[:, 0]) - 100


def test_one_metre_has_the_same_length_along_both_axes_of_the_plot() -> None:
    intrinsics = make_intrinsics(320, 240, 300.0)
    picture = top_down_picture([red(center=(0.0, 0.0, 2.0), size=(0.5, 0.1, 0.5))], up=UP, intrinsics=intrinsics)
    plot = picture[HEADER : HEADER + PLOT_SIZE[1], MARGIN : MARGIN + PLOT_SIZE[0]].astype(int)
    tinted = np.argwhere((plot[..., 0] - plot[..., 1] > 60) & (plot[..., 0] - plot[..., 2] > 60))
    low, high = np.percentile(tinted, 2, axis=0), np.percentile(tinted, 98, axis=0)
    height, width = high - low
    assert width == pytest.approx(height, rel=0.15)


def test_a_scene_without_objects_still_gives_a_picture() -> None:
    frame = make_frame(intrinsics=make_intrinsics(64, 48, 60.0))
    assert annotated_image(frame, []).shape[1] == 1280
    assert top_down_picture([], up=UP, intrinsics=frame.intrinsics, frame=frame).ndim == 3


def test_more_objects_than_the_legend_has_rows_are_counted() -> None:
    items = [red(i, center=(0.1 * i - 1.5, 0.0, 2.0), size=(0.05, 0.05, 0.05)) for i in range(30)]
    assert top_down_picture(items, up=UP, intrinsics=make_intrinsics()).shape[0] > 900


def test_a_direction_without_length_is_refused() -> None:
    with pytest.raises(InputError, match="up"):
        top_down_picture([], up=np.zeros(3), intrinsics=make_intrinsics())


def test_a_picture_that_cannot_be_written_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        write_png(tmp_path / "missing" / "a.png", np.zeros((4, 4, 3), dtype=np.uint8))
