"""Generated scenes: tabletops and rooms built, settled and rendered in MuJoCo, with everything known about them.

``generate_frames(spec)`` gives single views, ``generate_sequence(spec, seconds, rate_hz)`` a moving camera;
``python -m model_training.scenes`` writes them to a folder.
"""

from model_training.scenes.catalogue import Category, Design, Part, Surface
from model_training.scenes.depth_noise import DEPTH_NOISE, ActiveStereo, StructuredLight, TimeOfFlight, depth_noise
from model_training.scenes.entries import CATALOGUE
from model_training.scenes.generate import (
    CAMERA_LINK_FRAME,
    MAP_FRAME,
    OPTICAL_FRAME,
    SceneFrame,
    build_world,
    generate_frames,
    generate_sequence,
    render_frame,
)
from model_training.scenes.render import SceneRenderer
from model_training.scenes.spec import CAMERAS, KINDS, SceneSpec
from model_training.scenes.truth import ObjectTruth

__all__ = [
    "CAMERAS",
    "CAMERA_LINK_FRAME",
    "CATALOGUE",
    "DEPTH_NOISE",
    "KINDS",
    "MAP_FRAME",
    "OPTICAL_FRAME",
    "ActiveStereo",
    "Category",
    "Design",
    "ObjectTruth",
    "Part",
    "SceneFrame",
    "SceneRenderer",
    "SceneSpec",
    "StructuredLight",
    "Surface",
    "TimeOfFlight",
    "build_world",
    "depth_noise",
    "generate_frames",
    "generate_sequence",
    "render_frame",
]
