"""A depth model without a network: a ramp from far above to near below, so that every file made of it is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View, ViewDepth
from n3d_ros.errors import GroundingError
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform

FAR, NEAR = 4.0, 1.0
STEP = 0.1  # between the cameras of two views, along x
SKY_SHARE = 8  # the uppermost eighth is sky


def ramp(height: int, width: int) -> Float32Array:
    """(H, W) float32: far at the top, near at the bottom, none where there is sky."""
    depth = np.repeat(np.linspace(FAR, NEAR, height, dtype=np.float32)[:, None], width, axis=1)
    depth[: height // SKY_SHARE] = np.nan
    return depth


class RampModel:
    """Metric where calibrations are given, as a real pair is; nothing but sky where an image is all blue."""

    name, device = "ramp", "cpu"

    def __init__(self, *, gives_poses: bool = True, options: DepthOptions | None = None) -> None:
        self.gives_poses, self.gives_metres = gives_poses, True
        self.options = options or DepthOptions()
        self.asked: list[int] = []
        self.is_closed = False
        self.before: Callable[[int], None] = lambda _: None

    def estimate(self, views: Sequence[View], *, is_cancelled: Callable[[], bool] | None = None) -> DepthEstimate:
        self.before(len(self.asked))
        self.asked.append(len(views))
        if all((view.rgb == (0, 0, 255)).all() for view in views):
            raise GroundingError("Nothing but sky.")
        metric = all(view.intrinsics is not None for view in views)
        source = ScaleSource.METRIC_MODEL if metric else ScaleSource.RELATIVE
        notes = () if metric else ("Nothing tells metres.",)
        found = tuple(self._view(view, number) for number, view in enumerate(views))
        return DepthEstimate(views=found, scale_source=source, notes=notes)

    def _view(self, view: View, number: int) -> ViewDepth:
        height, width = view.rgb.shape[:2]
        camera = view.intrinsics or CameraIntrinsics(
            fx=width, fy=width, cx=(width - 1) / 2, cy=(height - 1) / 2, width=width, height=height
        )
        sky = np.zeros((height, width), dtype=bool)
        sky[: height // SKY_SHARE] = True
        pose = RigidTransform(rotation=np.eye(3), translation=np.array([STEP * number, 0.0, 0.0]))
        given = view.world_T_camera
        source = PoseSource.ESTIMATED if given is None else PoseSource.GIVEN
        return ViewDepth(
            depth_m=ramp(height, width),
            confidence=np.full((height, width), 2.0, dtype=np.float32),
            sky=sky,
            intrinsics=camera,
            intrinsics_estimated=view.intrinsics is None,
            world_T_camera=(given or pose) if self.gives_poses else None,
            pose_source=source if self.gives_poses else PoseSource.NONE,
        )

    def facts(self) -> tuple[str, ...]:
        return ("ramp, made for tests",)

    def close(self) -> None:
        self.is_closed = True
