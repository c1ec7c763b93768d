"""Names of tensors in released files, today's and older ones, and what is left aside."""

from __future__ import annotations

from collections.abc import Iterable

PREFIX = "model."  # of every name in a released file
ANY_VIEW, METRIC = "da3.", "da3_metric."  # the two networks of a nested file, after the prefix
LEFT_ASIDE = ("gs_head.",)  # Gaussians of the giant models: not computed here
# The names that these files had inside their first repository, in the order in which they were changed.
_OLDER = (
    ("module.", "model."),
    (".net.", ".backbone."),
    ("all_heads.camera_cond_head", "cam_enc"),
    ("all_heads.camera_head", "cam_dec"),
    ("more_mlps", "backbone"),
    ("fc_rot", "fc_qvec"),
    ("output_conv2_additional.sky_mask", "sky_output_conv2"),
    ("_ray.", "_aux."),
    ("camera_token_extra", "camera_token"),
)


def network_name(stored: str) -> str | None:
    """The name in memory of a tensor's name on disk.

    Args:
        stored: in a released file of any age.

    Returns:
        Such as "backbone.pretrained.norm.weight"; None for what is left aside.
    """
    name = stored
    for old, new in _OLDER:
        name = name.replace(old, new)
    name = name.removeprefix(PREFIX)
    inner = name.removeprefix(ANY_VIEW)
    return None if inner.startswith(LEFT_ASIDE) else name


def left_aside(stored: Iterable[str]) -> list[str]:
    """The names that no network here has, and that are expected all the same.

    Args:
        stored: all names of a file.

    Returns:
        Those of the Gaussian head.
    """
    return [name for name in stored if network_name(name) is None]
