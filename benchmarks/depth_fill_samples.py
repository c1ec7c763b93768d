"""Images with known depth to cut holes into: generated scenes and real frames, each with a model's depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.depth_fill_methods import nearest
from benchmarks.depth_holes import HOLES, Depth, Mask, StandIn
from benchmarks.score_real_frames import FIRST_OBJECT
from model_training.scenes import CAMERAS, KINDS, SceneRenderer, SceneSpec, generate_frames

SENSORS = ("structured_light", "active_stereo", "time_of_flight")
FIRST_SEED = 5000
Network = Callable[[NDArray[np.uint8]], Depth]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One image with known depth.

    Args:
        name: for pictures.
        rgb: (H, W, 3) uint8.
        sensor_m: (H, W) as a sensor delivers it, metres, NaN for none.
        true_m: (H, W) what errors are counted against, metres, NaN where unknown.
        ids: (H, W) which object, 0: none.
        model_m: (H, W) a model's depth.
        seed: of the holes.
    """

    name: str
    rgb: NDArray[np.uint8]
    sensor_m: Depth
    true_m: Depth
    ids: NDArray[np.int32]
    model_m: Depth
    seed: int

    def cut(self, kind: str) -> tuple[Depth, Mask]:
        """The sensor's depth with holes of a kind, and the holes."""
        rng = np.random.default_rng([self.seed, list(HOLES).index(kind)])
        hole = HOLES[kind](self.true_m, self.ids, rng)
        return np.where(hole, np.nan, self.sensor_m).astype(np.float32), hole


def generated_samples(scenes: int, stand_in: StandIn, network: Network | None) -> Iterator[Sample]:
    """One frame of each generated scene, sensors in turn.

    Args:
        scenes: per kind.
        stand_in: the model where there is no network.
        network: a real one.

    Yields:
        Samples.
    """
    with SceneRenderer(CAMERAS["kinect"]) as renderer:
        for kind in KINDS:
            for index in range(scenes):
                seed, noise = FIRST_SEED + index, SENSORS[index % len(SENSORS)]
                for scene in generate_frames(SceneSpec(kind=kind, seed=seed, depth_noise=noise), renderer):
                    rng = np.random.default_rng([seed, 7])
                    clean, ids = scene.clean_depth_m, scene.object_ids
                    yield Sample(
                        name=f"{kind}{seed}",
                        rgb=scene.frame.rgb,
                        sensor_m=scene.frame.depth_m,
                        true_m=clean,
                        ids=ids,
                        model_m=network(scene.frame.rgb) if network else stand_in.of(clean, ids, rng),
                        seed=seed,
                    )


def real_samples(folder: Path, stand_in: StandIn, network: Network | None) -> Iterator[Sample]:
    """The Kinect frames of a folder.

    The stand-in is made from the sensor's own depth, so it says nothing where the sensor does not: the real holes need
    a real model.

    Args:
        folder: NAME_color.png, NAME_depth.png (16-bit millimetres) and NAME_label.png.
        stand_in: the model where there is no network.
        network: a real one.

    Yields:
        Samples.
    """
    for index, path in enumerate(sorted(folder.glob("*_depth.png"))):
        name = path.name.removesuffix("_depth.png")
        rgb = cv2.cvtColor(_picture(folder / f"{name}_color.png"), cv2.COLOR_BGR2RGB).astype(np.uint8)
        millimetres = _picture(path)
        label = _picture(folder / f"{name}_label.png").astype(np.int32)
        depth = np.where(millimetres > 0, millimetres / 1000, np.nan).astype(np.float32)
        ids = np.where(label >= FIRST_OBJECT, label - FIRST_OBJECT + 1, 0).astype(np.int32)
        if network is None:
            whole = nearest(depth, depth)
            model = stand_in.of(whole, ids, np.random.default_rng([index, 7]))
            model[np.isnan(depth)] = np.nan
        else:
            model = network(rgb)
        yield Sample(name=name, rgb=rgb, sensor_m=depth, true_m=depth, ids=ids, model_m=model, seed=index)


def _picture(path: Path) -> NDArray[Any]:
    """An image file as it is."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise SystemExit(f"{path}: expected an image.")
    return np.asarray(picture)


def network_of(folder: str, metric: str | None, resolution: int) -> Network:
    """A real model's depth of an image.

    Args:
        folder: its files, or a hub id.
        metric: a metric model beside it.
        resolution: longer side of the image in the network, pixels.

    Returns:
        A function of the image.
    """
    from n3d_ros.depth.loading import load_depth_model
    from n3d_ros.depth.options import DepthOptions
    from n3d_ros.depth.views import View

    model = load_depth_model(folder, metric=metric, options=DepthOptions(process_res=resolution))

    def depth_of(rgb: NDArray[np.uint8]) -> Depth:
        view = model.estimate([View(rgb=rgb, intrinsics=CAMERAS["kinect"])]).views[0]
        return np.asarray(view.depth_m, np.float32)

    return depth_of
