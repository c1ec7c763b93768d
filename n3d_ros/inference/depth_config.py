"""What can be set about finding depth with a model, with unit, meaning and range of each field. Needs no runtime."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from n3d_ros.depth.filling.config import FillingConfig
from n3d_ros.errors import ConfigurationError
from n3d_ros.settings import check, number

PATCH_PX = 14  # sides of the image in the network are multiples of it
DEFAULT_RESOLUTION_PX = 504  # longer side that the released weights' own tools use
MAX_CAMERAS = 16
MAX_NAME_LENGTH = 64  # of a camera: topics have at most 247 characters, namespace and all
CAMERA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*")  # part of a topic's name


def _text(default: str, meaning: str) -> Any:
    """Free text."""
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthModelConfig:
    """Which depth model is loaded and how it runs. Ranges are inclusive and checked."""

    model: str = _text(
        "",
        "the depth model (Depth Anything 3): a folder with config.json and model.safetensors, or one that `n3d export` "
        "wrote, or a hub id such as depth-anything/DA3-SMALL, which is downloaded; used with depth_source model and "
        "fused",
    )
    metric_model: str = _text(
        "",
        "the model that gives metres to one that knows none: a folder (of exported graphs where model is) or a hub "
        "id such as depth-anything/DA3METRIC-LARGE; empty for models that are metric themselves, and with "
        "depth_source fused, where the camera gives the metres",
    )
    device: str = _text("auto", 'where it computes: "cpu", "cuda", "cuda:1"; "auto" takes the first GPU there is')
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = field(
        default="auto",
        metadata={
            "meaning": 'numbers of the weights; "auto" takes bfloat16 on a GPU that has it, and float32 on a CPU',
            "choices": ("auto", "float32", "bfloat16", "float16"),
        },
    )
    resolution: int = number(
        DEFAULT_RESOLUTION_PX,
        "longer side of the image in the network, a multiple of 14; fewer are faster and coarser; exported graphs have "
        "one",
        unit="px",
        minimum=56,
        maximum=1932,
    )
    min_confidence: float = field(
        default=0.0,
        metadata={
            "meaning": "depth of less confidence counts as none; confidence is 1 and more and comparable within one "
            "model only, so look at ~/depth/confidence first; 0: all depth is used",
            "unit": "",
            "minimum": 0.0,
            "maximum": 1000.0,
            "live": True,
        },
    )
    cameras: str = _text(
        "",
        "further cameras that look at the same time, for one pass over all images: names separated by "
        '";" ("left; rear"), each with topics NAME/image and NAME/camera_info; empty: none',
    )
    cameras_slop_s: float = number(
        0.05,
        "largest difference between the stamps of a further camera's image and the first one's",
        unit="s",
        minimum=0.0,
        maximum=1.0,
    )
    fill: FillingConfig = field(default_factory=FillingConfig)

    def __post_init__(self) -> None:
        """Refuses values outside the range that their field states, and names that no topic can have.

        Raises:
            ConfigurationError: naming the field, what is allowed and the value.
        """
        check(self, "depth_model")
        if self.resolution % PATCH_PX:
            low = self.resolution // PATCH_PX * PATCH_PX
            raise ConfigurationError(
                f"depth_model resolution: expected a multiple of {PATCH_PX} px, such as {low} or {low + PATCH_PX}, got "
                f"{self.resolution}."
            )
        names = self.camera_names
        if wrong := [name for name in names if not CAMERA_NAME.fullmatch(name) or len(name) > MAX_NAME_LENGTH]:
            raise ConfigurationError(
                "depth_model cameras: expected names of topics without /image (letters, digits, _; at most "
                f"{MAX_NAME_LENGTH} characters), got {wrong[0][: MAX_NAME_LENGTH + 1]!r}."
            )
        if len(set(names)) != len(names) or len(names) > MAX_CAMERAS:
            raise ConfigurationError(
                f"depth_model cameras: expected at most {MAX_CAMERAS} different names, got {self.cameras!r}."
            )

    @property
    def camera_names(self) -> tuple[str, ...]:
        """The further cameras, in order; empty: none."""
        return tuple(name for word in self.cameras.split(";") if (name := word.strip()))
