"""From a spec to frames: single views and smooth sequences with everything known about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.scenes.cameras import CAMERA_LINK_T_OPTICAL, PoseAt, arc_path, sample_pose
from model_training.scenes.depth_noise import depth_noise
from model_training.scenes.layout import draw_layout
from model_training.scenes.render import SceneRenderer
from model_training.scenes.spec import SceneSpec
from model_training.scenes.truth import ObjectTruth, frame_truth
from model_training.scenes.world import SettledWorld, settle_world
from n3d_ros.errors import InputError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.transforms import RigidTransform

MAP_FRAME = "map"
CAMERA_LINK_FRAME = "camera_link"
OPTICAL_FRAME = "camera_color_optical_frame"
FIRST_STAMP_NS = 1_700_000_000_000_000_000  # an ordinary date, so that no tool takes the stamps for unset
COLOR_NOISE_STDDEV = 2.0  # grey levels, indoor webcam-grade
LENS_BLUR_PX = 0.55  # standard deviation; a sharp lens with a colour mosaic behind it
MAX_FRAMES = 100_000

# What cameras make of rich scenes: factors and exponents of brightness, and the error of the white balance.
EXPOSURE = (0.75, 1.35)
GAMMA = (0.8, 1.25)
CONTRAST = (0.92, 1.08)
WHITE_BALANCE = 0.06
RICH_BLUR_PX = (0.4, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneFrame:
    """One frame and the truth about it.

    Args:
        frame: what a sensor would deliver: colour and noisy depth.
        clean_depth_m: (H, W) float32 exact z-depth, metres, NaN where nothing is.
        object_ids: (H, W) int32, ``ObjectTruth.object_id`` per pixel, 0 for floor, walls and nothing.
        world_T_camera: pose of the camera's optical frame; the world is the tf frame ``map``, z up, floor at z = 0.
        truth: every object that projects into the image.
        spec: what the scene was made from.
        index: number of the frame in its scene.
    """

    frame: RgbdFrame
    clean_depth_m: NDArray[np.float32]
    object_ids: NDArray[np.int32]
    world_T_camera: RigidTransform
    truth: tuple[ObjectTruth, ...]
    spec: SceneSpec
    index: int

    @property
    def up_camera(self) -> NDArray[np.float64]:
        """(3,) unit vector against gravity in the optical frame."""
        up: NDArray[np.float64] = self.world_T_camera.rotation[2].copy()
        return up

    @property
    def map_T_camera_link(self) -> RigidTransform:
        """The moving tf transform: the camera's body (x forward, y left, z up) in ``map``."""
        return self.world_T_camera @ CAMERA_LINK_T_OPTICAL.inverse()

    @property
    def camera_link_T_optical(self) -> RigidTransform:
        """The static tf transform from ``camera_color_optical_frame`` to ``camera_link``."""
        return CAMERA_LINK_T_OPTICAL


def build_world(spec: SceneSpec) -> SettledWorld:
    """The settled world of a spec.

    Args:
        spec: what to generate.

    Returns:
        Objects at rest; the same for the same spec.
    """
    layout_seed, paint_seed = np.random.SeedSequence([spec.seed, 1]).spawn(2)
    layout = draw_layout(spec, np.random.default_rng(layout_seed))
    return settle_world(spec, layout, np.random.default_rng(paint_seed))


def _noise_table() -> NDArray[np.int8]:
    """(256,) int8: equally likely grey-level errors of deviation ``COLOR_NOISE_STDDEV``."""
    quantiles = np.random.default_rng(0).standard_normal(200_000)
    levels = np.quantile(quantiles, (np.arange(256) + 0.5) / 256) * COLOR_NOISE_STDDEV
    return np.round(levels).astype(np.int8)


_NOISE_TABLE = _noise_table()


def _exposed(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The colour image under an automatic exposure and white balance that are never quite right, noise with gain."""
    gain, gamma, contrast = rng.uniform(*EXPOSURE), rng.uniform(*GAMMA), rng.uniform(*CONTRAST)
    balance = 1 + rng.uniform(-WHITE_BALANCE, WHITE_BALANCE, 3)
    levels = (np.arange(256)[:, None] / 255.0) * gain * balance
    curve = ((np.clip(levels, 0, 1) ** gamma) - 0.5) * contrast + 0.5
    table = np.clip(np.round(curve * 255), 0, 255).astype(np.uint8)
    exposed = cv2.LUT(rgb, np.ascontiguousarray(table[None]))
    return _camera_noise(np.asarray(exposed, np.uint8), rng, blur_px=float(rng.uniform(*RICH_BLUR_PX)))


def _camera_noise(rgb: NDArray[np.uint8], rng: np.random.Generator, blur_px: float = LENS_BLUR_PX) -> NDArray[np.uint8]:
    """The colour image with lens blur and sensor noise, looked up per byte: far faster than drawing normal numbers."""
    rgb = np.asarray(cv2.GaussianBlur(rgb, (3, 3), blur_px), np.uint8)
    drawn = np.frombuffer(rng.bytes(rgb.size), np.uint8).reshape(rgb.shape)
    noisy = cv2.add(rgb, _NOISE_TABLE[drawn], dtype=cv2.CV_8U)
    return np.asarray(noisy, np.uint8)


def with_camera_noise(rgb: NDArray[np.uint8], spec: SceneSpec, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A clean colour image as the spec's camera delivers it.

    Args:
        rgb: (H, W, 3) uint8.
        spec: whether exposures vary.
        rng: source of chance.

    Returns:
        A new image.
    """
    return _exposed(rgb, rng) if spec.is_rich else _camera_noise(rgb, rng)


def render_frame(
    renderer: SceneRenderer,
    world: SettledWorld,
    world_T_camera: RigidTransform,
    *,
    index: int = 0,
    stamp_ns: int = FIRST_STAMP_NS,
) -> SceneFrame:
    """One frame of a world that the renderer has loaded.

    Args:
        renderer: with this world loaded.
        world: the settled scene.
        world_T_camera: the camera's optical frame in the world.
        index: number of the frame; its noise follows from it and the spec's seed.
        stamp_ns: time of the frame.

    Returns:
        Frame and truth.
    """
    spec = world.spec
    rng = np.random.default_rng(np.random.SeedSequence([spec.seed, 2, index]))
    clean = renderer.render(world_T_camera)
    alone = renderer.alone_pixel_counts(world_T_camera, clean)
    noisy = depth_noise(spec.depth_noise).apply(clean.depth_m, spec.camera, rng, clean.rgb)
    frame = RgbdFrame(
        rgb=with_camera_noise(clean.rgb, spec, rng),
        depth_m=noisy,
        intrinsics=spec.camera,
        stamp_ns=stamp_ns,
        frame_id=OPTICAL_FRAME,
    )
    return SceneFrame(
        frame=frame,
        clean_depth_m=clean.depth_m,
        object_ids=clean.object_ids,
        world_T_camera=world_T_camera,
        truth=frame_truth(world, world_T_camera, spec.camera, clean.object_ids, alone),
        spec=spec,
        index=index,
    )


def generate_frames(spec: SceneSpec, renderer: SceneRenderer | None = None) -> Iterator[SceneFrame]:
    """``spec.views`` frames of one scene from different poses.

    Args:
        spec: what to generate.
        renderer: one to reuse over many scenes of the same image size; None: one is made and closed here.

    Yields:
        Frames with truth.
    """
    world = build_world(spec)
    rng = np.random.default_rng(np.random.SeedSequence([spec.seed, 3]))
    poses = [sample_pose(spec, world.layout, rng) for _ in range(spec.views)]
    stamps = [FIRST_STAMP_NS + index * 1_000_000_000 for index in range(spec.views)]
    yield from _render_poses(world, poses, stamps, renderer)


def generate_sequence(
    spec: SceneSpec, seconds: float, rate_hz: float, renderer: SceneRenderer | None = None
) -> Iterator[SceneFrame]:
    """Frames of a camera moving smoothly around one scene, for recordings.

    Args:
        spec: what to generate.
        seconds: duration.
        rate_hz: frames per second.
        renderer: one to reuse; None: one is made and closed here.

    Yields:
        Frames with truth, stamps 1 / rate_hz apart.

    Raises:
        InputError: no frames, or more than a recording should hold.
    """
    count = round(seconds * rate_hz)
    if not 1 <= count <= MAX_FRAMES:
        raise InputError(f"generate_sequence: expected 1 to {MAX_FRAMES} frames, got {seconds} s at {rate_hz} Hz.")
    world = build_world(spec)
    path: PoseAt = arc_path(spec, world.layout, np.random.default_rng(np.random.SeedSequence([spec.seed, 4])))
    poses = [path(index / max(count - 1, 1)) for index in range(count)]
    stamps = [FIRST_STAMP_NS + round(index * 1e9 / rate_hz) for index in range(count)]
    yield from _render_poses(world, poses, stamps, renderer)


def _render_poses(
    world: SettledWorld, poses: list[RigidTransform], stamps_ns: list[int], renderer: SceneRenderer | None
) -> Iterator[SceneFrame]:
    """Frames at the poses; closes a renderer made here."""
    used = renderer or SceneRenderer(world.spec.camera)
    try:
        used.load(world)
        for index, (pose, stamp_ns) in enumerate(zip(poses, stamps_ns, strict=True)):
            yield render_frame(used, world, pose, index=index, stamp_ns=stamp_ns)
    finally:
        if renderer is None:
            used.close()
