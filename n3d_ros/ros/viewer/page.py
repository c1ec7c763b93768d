"""What all browsers see: the picture and the node's figures in a panel, and the scene in 3-D."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.ros.viewer.composing import SceneMoment, ShownCamera
from n3d_ros.ros.viewer.page_server import PageServer
from n3d_ros.ros.viewer.shown import (
    Cloud,
    ShownBox,
    Viewpoint,
    first_viewpoint,
    ground_level_m,
    vertical_field_rad,
)
from n3d_ros.ros.viewer.texts import NodeHealth, escaped, health_html, objects_html

STALE_COLOR = (150, 150, 150)
CAMERA_COLOR = (40, 98, 190)
GRID_COLOR = (205, 208, 214)
GRID_MAJOR_COLOR = (165, 170, 180)
EDGE_WIDTH_M = 0.004
BOX_OPACITY = 0.18
LABEL_SCALE = 0.8
FIELD_RAD = 0.87  # of a person's view, top to bottom: 50 degrees
JPEG_QUALITY = 80
PANEL_WIDTH_PX = 400
MOVED_M = 0.0005  # smaller changes of a box are not sent
LABEL_ABOVE_M = 0.02
REUSE_AFTER_S = 1.0  # a click on what has just gone may still be on its way
POINT_SHARE = 0.9  # size of a point, in distances between points


@dataclass(slots=True)
class _Slot:
    """Handles of one box, which show one object after the other: ids change when a bag starts again."""

    box: Any
    edges: Any
    label: Any
    shown: ShownBox | None = None
    is_stale: bool = False
    hidden_s: float = -math.inf


class Page:
    """The shared part of the page.

    Args:
        server: viser's.
        on_click: told the browser's id and the key of the box that was clicked.
        dark: dark ground.
    """

    def __init__(self, server: PageServer, on_click: Callable[[int, str], None], *, dark: bool = False) -> None:
        self._server = server
        self._on_click = on_click
        self._slots: list[_Slot] = []
        self._camera: Any = None
        self._camera_shape: tuple[float, ...] = ()
        self._grid: Any = None
        self._grid_level_m = float("nan")
        self._moment = SceneMoment()
        self._sent: dict[str, str] = {}
        self.viewpoint: Viewpoint | None = None
        server.gui.configure_theme(dark_mode=dark, show_share_button=False, show_logo=False, control_width="large")
        server.gui.set_panel_label("Ask")
        server.scene.set_up_direction("+z")
        server.initial_camera.fov = FIELD_RAD
        panel = server.gui.add_panel()
        with panel.add_tab("Camera"):
            self._picture = server.gui.add_image(_blank(), label=None, format="jpeg", jpeg_quality=JPEG_QUALITY)
            self._caption = server.gui.add_html("")
            self._health = server.gui.add_html("")
            self._objects = server.gui.add_html("")
        panel.dock_left()
        panel.set_width(PANEL_WIDTH_PX)
        server.gui.main_panel.dock_right()
        server.gui.main_panel.set_width(PANEL_WIDTH_PX)

    @property
    def moment(self) -> SceneMoment:
        """What is shown."""
        return self._moment

    def show(self, moment: SceneMoment) -> bool:
        """Shows a moment.

        Args:
            moment: what to show.

        Returns:
            Whether the browsers' own views should be set: the frame that is shown has changed, or is the first.
        """
        changed = moment.frame_name != self._moment.frame_name
        self._moment = moment
        with self._server.atomic():
            self._show_boxes(moment.boxes, is_stale=False)
            if moment.camera is not None:
                self._show_camera(moment.camera)
                if moment.cloud is not None:
                    self._show_cloud(moment.cloud, moment.camera)
            if moment.boxes or self._grid is None:
                self._show_grid(moment)
        if moment.picture is not None:
            self._picture.image = moment.picture
        self._set("caption", self._caption, _caption(moment))
        self._set("objects", self._objects, objects_html(moment.boxes, moment.distances_m()))
        if (changed or self.viewpoint is None) and moment.camera is not None:
            self.viewpoint = first_viewpoint(moment.camera.shown_T_camera, moment.boxes, moment.cloud)
            self._server.initial_camera.position = _triple(self.viewpoint.position_m)
            self._server.initial_camera.look_at = _triple(self.viewpoint.look_at_m)
            return True
        return False

    def show_health(self, health: NodeHealth) -> None:
        """Shows how the node is; what is old turns grey.

        Args:
            health: how it is.
        """
        self._set("health", self._health, health_html(health))
        self._show_boxes(self._moment.boxes, is_stale=health.is_stale or not health.state)

    def _set(self, name: str, handle: Any, text: str) -> None:
        """Sends a text when it has changed."""
        if self._sent.get(name) != text:
            self._sent[name] = text
            handle.content = text

    def _show_boxes(self, boxes: Sequence[ShownBox], *, is_stale: bool) -> None:
        wanted = {one.key: one for one in boxes}
        now_s = time.monotonic()
        for slot in self._slots:
            if slot.shown is not None and slot.shown.key not in wanted:
                _hide(slot, now_s)
        taken = {slot.shown.key: slot for slot in self._slots if slot.shown is not None}
        free = [slot for slot in self._slots if slot.shown is None and now_s - slot.hidden_s >= REUSE_AFTER_S]
        for key, shown in wanted.items():
            slot = taken.get(key) or (free.pop(0) if free else self._new_slot(shown))
            if slot.shown is None or is_stale != slot.is_stale or _differs(slot.shown, shown):
                _draw(slot, shown, is_stale)

    def _new_slot(self, shown: ShownBox) -> _Slot:
        """A translucent box with its edges and its name."""
        scene, name = self._server.scene, f"/objects/{len(self._slots)}"
        box = scene.add_box(
            f"{name}/box",
            color=shown.color,
            dimensions=_triple(shown.box.size),
            opacity=BOX_OPACITY,
            side="double",
            cast_shadow=False,
            receive_shadow=False,
            wxyz=_wxyz(shown.box.orientation_xyzw),
            position=_triple(shown.box.center),
        )
        edges = scene.add_line_segments(f"{name}/edges", shown.segments, shown.color, thickness=EDGE_WIDTH_M)
        label = scene.add_label(
            f"{name}/label", "", position=_label_place(shown), anchor="bottom-center", font_screen_scale=LABEL_SCALE
        )
        slot = _Slot(box=box, edges=edges, label=label)
        self._slots.append(slot)
        box.on_click(lambda event: self._clicked(event.client.client_id, slot))
        return slot

    def _clicked(self, client_id: int, slot: _Slot) -> None:
        shown = slot.shown
        if shown is not None:
            self._on_click(client_id, shown.key)

    def _show_camera(self, camera: ShownCamera) -> None:
        pose, intrinsics = camera.shown_T_camera, camera.intrinsics
        shape = (vertical_field_rad(intrinsics), intrinsics.width / intrinsics.height)
        if self._camera is None or shape != self._camera_shape:
            self._camera_shape = shape
            self._camera = self._server.scene.add_camera_frustum(
                "/camera", fov=shape[0], aspect=shape[1], scale=0.05, thickness=0.002, color=CAMERA_COLOR
            )
            self._server.scene.add_label("/camera/name", "camera", anchor="bottom-center", font_screen_scale=0.8)
        self._camera.position = _triple(pose.translation)
        self._camera.wxyz = _wxyz(pose.orientation_xyzw)

    def _show_cloud(self, cloud: Cloud, camera: ShownCamera) -> None:
        """Sends points where they are shown; with a pose beside them, a slow browser draws one without the other."""
        self._server.scene.add_point_cloud(
            "/points",
            points=camera.shown_T_camera.apply(cloud.points_m).astype(np.float32),
            colors=cloud.colors,
            point_size=max(0.001, POINT_SHARE * cloud.step_m),
            point_shape="square",
            point_shading="flat",
            precision="float32",  # coordinates in a map may be large
        )

    def _show_grid(self, moment: SceneMoment) -> None:
        """Lines every 10 cm and every metre on the height on which most things stand."""
        level_m = ground_level_m(moment.boxes)
        if self._grid is not None and abs(level_m - self._grid_level_m) < 0.01:
            return
        self._grid_level_m = level_m
        self._grid = self._server.scene.add_grid(
            "/grid",
            cell_size=0.1,
            section_size=1.0,
            cell_color=GRID_COLOR,
            section_color=GRID_MAJOR_COLOR,
            infinite_grid=True,
            fade_distance=5.0,
            shadow_opacity=0.0,
            position=(0.0, 0.0, level_m),
        )


def _draw(slot: _Slot, shown: ShownBox, is_stale: bool) -> None:
    """Shows an object in a slot."""
    color = STALE_COLOR if is_stale else shown.color
    slot.box.dimensions = _triple(shown.box.size)
    slot.box.position = _triple(shown.box.center)
    slot.box.wxyz = _wxyz(shown.box.orientation_xyzw)
    slot.box.color = color
    slot.edges.points = shown.segments
    slot.edges.colors = np.asarray(color, dtype=np.uint8)
    slot.label.text = shown.title
    slot.label.position = _label_place(shown)
    if slot.shown is None:
        slot.box.visible = slot.edges.visible = slot.label.visible = True
    slot.shown, slot.is_stale = shown, is_stale


def _hide(slot: _Slot, now_s: float) -> None:
    """Shows nothing in a slot that shows something."""
    slot.box.visible = slot.edges.visible = slot.label.visible = False
    slot.shown, slot.hidden_s = None, now_s


def _differs(before: ShownBox, after: ShownBox) -> bool:
    """Whether a person could see the difference."""
    if before.title != after.title or before.color != after.color:
        return True
    return bool(np.abs(before.box.corners - after.box.corners).max() > MOVED_M)


def _caption(moment: SceneMoment) -> str:
    """One line under the picture."""
    parts = [f"{len(moment.boxes)} objects", f"3-D view in {moment.frame_name}"] if moment.frame_name else []
    if moment.behind_s > 0.05:
        parts.append(f"boxes {moment.behind_s:.1f} s older than the picture")
    if moment.trouble:
        parts.append(moment.trouble)
    text = escaped(" · ".join(parts) or "No picture yet.", 400)
    return f'<div style="padding:0 0.8em;font-size:0.8em;opacity:0.75">{text}</div>'


def _label_place(shown: ShownBox) -> tuple[float, float, float]:
    x, y, z = shown.top_m
    return float(x), float(y), float(z) + LABEL_ABOVE_M


def _triple(vector: FloatArray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in vector)
    return x, y, z


def _wxyz(orientation_xyzw: FloatArray) -> tuple[float, float, float, float]:
    """The quaternion in the order that viser takes."""
    x, y, z, w = (float(value) for value in orientation_xyzw)
    return w, x, y, z


def _blank() -> NDArray[np.uint8]:
    """A picture for the time before the first."""
    return np.full((360, 480, 3), 235, dtype=np.uint8)
