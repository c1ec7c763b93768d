"""Many scenes into one folder, in this process or in several; interrupted work is continued."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2

from model_training.scenes.export import draw_truth, write_frame, write_image
from model_training.scenes.generate import generate_frames, generate_sequence
from model_training.scenes.render import SceneRenderer
from model_training.scenes.spec import SceneSpec
from n3d_ros.errors import BackendError

_renderers: dict[tuple[int, int], SceneRenderer] = {}  # per process and image size: contexts are slow to make


def scene_name(spec: SceneSpec) -> str:
    """The beginning of all file names of a scene."""
    return f"{spec.kind}_{spec.seed:06d}"


def _marker(folder: Path, spec: SceneSpec) -> Path:
    """A file that exists once the scene is complete, and holds its spec."""
    return folder / f"{scene_name(spec)}.done.json"


def is_written(folder: Path, spec: SceneSpec) -> bool:
    """True when this very scene is complete in the folder; one of another spec is written anew.

    Args:
        folder: where scenes are.
        spec: the scene.

    Returns:
        Whether nothing is left to do.
    """
    marker = _marker(folder, spec)
    return marker.exists() and marker.read_text().strip() == spec.to_json()


def write_scene(spec: SceneSpec, folder: Path, seconds: float | None, rate_hz: float) -> int:
    """The number of frames written for one scene.

    Args:
        spec: what to generate.
        folder: exists.
        seconds: duration of a moving camera; None: single views.
        rate_hz: frames per second of a moving camera.

    Returns:
        Frames written.
    """
    size = (spec.camera.width, spec.camera.height)
    if size not in _renderers:
        _renderers[size] = SceneRenderer(spec.camera)
    renderer = _renderers[size]
    frames = generate_sequence(spec, seconds, rate_hz, renderer) if seconds else generate_frames(spec, renderer)
    count = 0
    for frame in frames:
        write_frame(folder, f"{scene_name(spec)}_{frame.index:04d}", frame)
        if frame.index == 0:
            write_image(folder / f"{scene_name(spec)}.preview.png", draw_truth(frame))
        count += 1
    _marker(folder, spec).write_text(spec.to_json() + "\n")
    return count


def write_scenes(
    specs: Sequence[SceneSpec], folder: Path, seconds: float | None, rate_hz: float, *, workers: int = 1
) -> Iterator[int]:
    """Writes scenes and gives the number of frames of each as it is done.

    Args:
        specs: what to generate.
        folder: exists.
        seconds: duration of a moving camera; None: single views.
        rate_hz: frames per second of a moving camera.
        workers: processes; each renders whole scenes.

    Yields:
        Frames per scene, in order of completion.

    Raises:
        BackendError: a worker was killed; what it had finished is kept.
    """
    if workers == 1:
        try:
            for spec in specs:
                yield write_scene(spec, folder, seconds, rate_hz)
        finally:
            while _renderers:
                _renderers.popitem()[1].close()
        return
    context = multiprocessing.get_context("spawn")  # an OpenGL context does not survive a fork
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,))
    try:
        for job in as_completed([pool.submit(write_scene, spec, folder, seconds, rate_hz) for spec in specs]):
            yield job.result()
    except BrokenProcessPool as error:
        raise BackendError(
            "A worker process ended unexpectedly (out of memory, or killed). Finished scenes are kept: run the same "
            "command again, with fewer --workers if it happens again."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
