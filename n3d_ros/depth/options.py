"""Choices of whoever asks a depth model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from n3d_ros.errors import ConfigurationError
from n3d_ros.settings import check, number

PATCH_PX = 14  # side of a token's patch, of all released models
RESIZE_METHODS = ("upper_bound_resize", "lower_bound_resize", "upper_bound_crop", "lower_bound_crop")
POSE_METHODS = ("camera", "rays", "rays_reference")
SCALE_METHODS = ("pairwise", "sim3")
POSED_PAIRS = ("unit", "reference")
REFERENCE_VIEWS = ("saddle_balanced", "first", "middle", "saddle_sim_range")


def _choice(default: str, meaning: str, choices: tuple[str, ...]) -> Any:
    """A word out of some, whose meaning can be read by whoever shows or declares it."""
    return field(default=default, metadata={"meaning": meaning, "choices": choices})


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthOptions:
    """How depth is estimated.

    Args:
        process_res: side of the image that the network sees, pixels, a multiple of 14; 504 is what models learnt at.
        method: which side that is (the longer for "upper_bound", the shorter for "lower_bound"), and whether the other
            is resized to a multiple of 14 or cropped to one; cropped pixels have no depth.
        reference_view: how the view is chosen whose camera frame the network calls the world, for three unposed views
            and more.
        pose_method: whether estimated cameras come from the camera decoder or from the ray map, which finds an
            off-centre principal point too and takes longer; "rays_reference" factorises as the released code does.
        scale_method: how given positions tell the scale: by the distances between them, which do from two views on and
            on straight lines, or by the released code's similarity, which needs three that are not on a line.
        posed_pair: how far apart two posed views are for the network: 1 as the median view is where there are more, or
            the released code's number, which divides by 0.1 and so gives it 10 times their distance.
        sky_threshold: sky score from which a pixel is sky.
        sky_fill: what sky pixels hold: nothing (NaN), or the far end of the depth seen; of all views together where
            they are seen together, as the released code writes, and of each view where each is seen by itself.
        alignment: how any-view depth is scaled to metric depth: by the median ratio with the calibration given, or by
            the least squares with the focal length estimated, as the released code does.
        max_views: most views that are looked at together; longer sequences go through in overlapping chunks.
        batch_views: views of a single-view model that go through at a time; memory grows with it.
    """

    process_res: int = number(
        504, "longer side of the image that the network sees", minimum=14, maximum=2016, unit="px"
    )
    method: str = _choice("upper_bound_resize", "how images are brought to the network's size", RESIZE_METHODS)
    reference_view: str = _choice("saddle_balanced", "which view's camera is the network's world", REFERENCE_VIEWS)
    pose_method: str = _choice("camera", "where estimated cameras come from", POSE_METHODS)
    scale_method: str = _choice("pairwise", "how given positions tell the scale", SCALE_METHODS)
    posed_pair: str = _choice("unit", "how far apart two posed views are for the network", POSED_PAIRS)
    sky_threshold: float = number(0.3, "sky score from which a pixel is sky", minimum=0.01, maximum=1.0)
    sky_fill: str = _choice("none", "what sky pixels hold", ("none", "far"))
    alignment: str = _choice("robust", "how any-view depth is made metric", ("robust", "reference"))
    max_views: int = number(64, "most views looked at together", minimum=1, maximum=4096)
    batch_views: int = number(4, "single views that go through at a time", minimum=1, maximum=256)

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            ConfigurationError: a word or a number that is not allowed.
        """
        check(self, "depth")
        if self.process_res % PATCH_PX:
            nearest = round(self.process_res / PATCH_PX) * PATCH_PX
            raise ConfigurationError(
                f"depth process_res: expected a multiple of {PATCH_PX} px, got {self.process_res}; {nearest} is next."
            )
