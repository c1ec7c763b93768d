"""What is asked about a frame: how much of each kind, of which objects, and with which margins."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from n3d_ros.codec.prompts import MAX_NAMES
from n3d_ros.errors import ConfigurationError

TARGET_BOXES = ("visible", "full")
ORDERS = ("left_to_right", "near_to_far")
REASONING_CLASSES = (
    "left_right", "front_behind", "above_below", "wide_thin", "tall_short", "big_small", "distance",
    "horizontal_vertical_distance", "width_height", "direction", "relative_distance", "depth_order", "furthest",
)  # fmt: skip
"""The benchmark's classes of questions, under the names that reports use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """How clear an answer must be for its question to be asked.

    Besides these, every comparison must be clear to the node itself, which takes a box without a stated error to be off
    by a tenth of its size and then says "about the same" within two standard deviations.

    Args:
        side_m: centres lie at least so far apart along the side asked about; a label's place is good to a centimetre
            or two (1 % depth noise at 2 m).
        side_share: and at least so much of the two boxes' mean extents, for what overlaps is beside nothing.
        size_ratio: the larger length over the smaller one; 1.35 is where the node stops saying "about the same".
        volume_ratio: the same of volumes, whose errors are those of three edges.
        most_size_ratio: the larger length over the smaller one at most: that a table is wider than a mug, names alone
            tell. In generated scenes the mean sizes of two categories told 97 % of the comparisons without this bound,
            93 % with it: things have the sizes of their kind.
        most_volume_ratio: the same of volumes.
        distance_ratio: the larger distance over the smaller one, for comparisons of distances.
        clock_deg: degrees between a direction and the border of its hour.
        least_m: numbers below are not asked for: two decimals could not tell them within ``rounding_share``.
        rounding_share: a number in words, with two decimals, may differ by so much from the exact one; the benchmark
            allows 0.25 in all.
        level_share: where the vertical is known, a number along the camera's axes may differ by so much from the same
            along level axes; a side must be the same. So no tilted camera teaches that "farther" is "above".
        whole_share: where the whole objects' boxes are known, a number of what is seen may differ by so much from the
            same of the whole; what is compared must come out the same. A box along the camera's axes around a flat
            crate seen from above is twice as high as the crate.
    """

    side_m: float = 0.03
    side_share: float = 0.25
    size_ratio: float = 1.35
    volume_ratio: float = 1.7
    most_size_ratio: float = 2.2
    most_volume_ratio: float = 6.0
    distance_ratio: float = 1.15
    clock_deg: float = 4.0
    least_m: float = 0.04
    rounding_share: float = 0.1
    level_share: float = 0.25
    whole_share: float = 0.25

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ConfigurationError: a ratio below 1, another number below 0, or a clock margin of 15 degrees or more.
        """
        for one in fields(self):
            value, least = getattr(self, one.name), 1.0 if one.name.endswith("_ratio") else 0.0
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < 1000:
                raise ConfigurationError(f"margins.{one.name}: expected a number of {least:g} or more, got {value!r}.")
        if self.most_size_ratio <= self.size_ratio or self.most_volume_ratio <= self.volume_ratio:
            raise ConfigurationError(
                "margins.most_size_ratio, most_volume_ratio: expected more than size_ratio and volume_ratio, got "
                f"{self.most_size_ratio} and {self.most_volume_ratio}."
            )
        if self.clock_deg >= 15:
            raise ConfigurationError(f"margins.clock_deg: expected below 15, half an hour's arc, got {self.clock_deg}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionConfig:
    """What is asked about each frame. The numbers are upper limits: a frame that has less to ask gets fewer.

    Args:
        seed: of everything drawn; with a frame's id it settles its questions, whatever the shard or worker.
        target_box: the box that is to be found and that answers rest on: "visible" (around what is seen, along the
            camera's axes, as in the N3D-VLM paper) or "full". Frames that only have the other one use that.
        order: of boxes where no words order them: "left_to_right" (small models learn it well) or "near_to_far".
        detection: questions for everything, 0 or 1 per frame.
        category: questions for all objects of one to three names per frame.
        referring: questions for one or two objects by expressions per frame.
        reasoning: questions to reason about per frame.
        classes: of reasoning questions; each frame begins with another one, so that all come about as often.
        attempts: draws per reasoning question before its class is given up for a frame.
        absent_share: of the names in category questions, those that nothing in the frame is called.
        vocabulary: names that may be asked for although they are not there; a name is drawn as often as it stands
            here. Empty: ``n3d dataset questions`` takes the labels of the data set itself, in their frequency, so
            that a name alone never tells that it is absent.
        viewpoint_share: of the questions on sides, those meant from elsewhere (opposite, standing at an object).
        max_objects: boxes in one answer; frames with more are not asked for everything.
        min_visible_pixels: objects that show fewer are not asked about, nor is a name that fits them; a record's 0
            means "unknown" and passes.
        min_visible_fraction: the same for the share that is seen of an object.
        min_fraction_for_sizes: sizes and distances of visible boxes are asked of objects of which so much is seen.
        margins: how clear answers must be.
    """

    seed: int = 0
    target_box: str = "visible"
    order: str = "left_to_right"
    detection: int = 1
    category: int = 2
    referring: int = 2
    reasoning: int = 8
    classes: tuple[str, ...] = REASONING_CLASSES
    attempts: int = 12
    absent_share: float = 0.2
    vocabulary: tuple[str, ...] = ()
    viewpoint_share: float = 0.35
    max_objects: int = MAX_NAMES
    min_visible_pixels: int = 64
    min_visible_fraction: float = 0.15
    min_fraction_for_sizes: float = 0.5
    margins: Margins = field(default_factory=Margins)

    def __post_init__(self) -> None:
        """Checks words and ranges.

        Raises:
            ConfigurationError: an unknown word, or a number out of range.
        """
        for name, known in (("target_box", TARGET_BOXES), ("order", ORDERS)):
            if getattr(self, name) not in known:
                raise ConfigurationError(
                    f"questions.{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}."
                )
        unknown = [name for name in self.classes if name not in REASONING_CLASSES]
        if unknown or len(set(self.classes)) < len(self.classes):
            raise ConfigurationError(
                f"questions.classes: expected each once of {', '.join(REASONING_CLASSES)}, got {self.classes!r}."
            )
        if {type(name) for name in self.vocabulary} - {str} or not all(name.strip() for name in self.vocabulary):
            raise ConfigurationError(f"questions.vocabulary: expected words, got {self.vocabulary!r}.")
        for name, (low, high) in _WHOLE.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ConfigurationError(
                    f"questions.{name}: expected a whole number of {low} to {high}, got {value!r}."
                )
        for name in ("absent_share", "viewpoint_share", "min_visible_fraction", "min_fraction_for_sizes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise ConfigurationError(f"questions.{name}: expected a share of 0 to 1, got {value!r}.")


_WHOLE = {
    "seed": (0, 2**63 - 1), "detection": (0, 1), "category": (0, 64), "referring": (0, 64), "reasoning": (0, 256),
    "attempts": (1, 256), "max_objects": (1, 256), "min_visible_pixels": (0, 10**8),
}  # fmt: skip
"""Least and greatest of each count."""
