"""What can be set about filling holes, with unit, meaning and range of each field."""

from __future__ import annotations

from dataclasses import dataclass, field

from n3d_ros.settings import check, number

DOMAINS = ("auto", "depth", "inverse")
"""In what a model's depth is straightened out: depth itself, its inverse, or whichever leaves less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FillingConfig:
    """When a model's depth may stand in a hole, and how it is aligned. Ranges are inclusive and checked.

    The thresholds answer one question: is a wrong surface here likelier than none? A robot brakes for a hole and runs
    into a lie, so each of them refuses.
    """

    domain: str = field(
        default="auto",
        metadata={
            "choices": DOMAINS,
            "meaning": "what scale and shift are applied to; auto takes the inverse only where it fits clearly better",
        },
    )
    min_sensor_m: float = number(
        0.0,
        "nearest reading of the sensor that counts; nearer ones are holes",
        unit="m",
        minimum=0.0,
        maximum=100.0,
    )
    max_sensor_m: float = number(
        1000.0,
        "farthest reading of the sensor that counts; farther ones are holes",
        unit="m",
        minimum=0.01,
        maximum=1000.0,
    )
    min_overlap: float = number(
        0.01,
        "least share of the image in which sensor and model are compared; with less nothing is aligned",
        minimum=0.0005,
        maximum=1.0,
    )
    max_fit_error: float = number(
        0.07,
        "largest median relative error after scale and shift; beyond it the model does not show this scene",
        minimum=0.005,
        maximum=1.0,
    )
    max_local_error: float = number(
        0.05,
        "largest relative error of the aligned model around a hole; beyond it the hole stays",
        minimum=0.005,
        maximum=1.0,
    )
    max_correction: float = number(
        0.25,
        "largest relative difference that is taken for the model's bias and followed; larger ones are other surfaces, "
        "such as what lies behind glass",
        minimum=0.0,
        maximum=1.0,
    )
    max_reach: float = number(
        0.25,
        "how far from a compared pixel a hole is filled, as a share of the image's longer side",
        minimum=0.0,
        maximum=2.0,
    )
    max_extrapolation: float = number(
        1.5,
        "factor by which filled depth may leave the range of the compared depth: scale and shift hold where they were "
        "measured",
        minimum=1.0,
        maximum=1000.0,
    )
    min_confidence: float = number(
        0.1,
        "least confidence above 1, as a share of the median where the sensor measures too: what confidence means is "
        "comparable within one model only",
        minimum=0.0,
        maximum=10.0,
    )
    edge_jump: float = number(
        0.04,
        "relative change of depth within two pixels from which these lie on an edge: sensor and model both invent "
        "depth between foreground and background there, so edges are neither compared nor filled",
        minimum=0.005,
        maximum=1.0,
    )

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            ConfigurationError: a value outside the range of its field.
        """
        check(self, "depth filling")
