"""What was left out and why: rules by name, counts by rule and label, and a few examples of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

RULES: dict[str, str] = {
    # reading
    "image_entry": "the image's entry in the annotations is damaged",
    "annotation_entry": "the annotation's entry is damaged",
    "image_twice": "the image has two entries; the first is used",
    "unknown_image": "the annotation is of an image that has no entry",
    "unknown_label": "the label has no name, or is left out by rename",
    "box_not_finite": "the 2-D box holds what is no number",
    "box_without_area": "the 2-D box has no width or no height",
    "box_outside": "the 2-D box lies outside the image, or most of it does",
    "no_annotations": "the image has no annotation left",
    # the image
    "image_missing": "there is no file of that name",
    "image_broken": "the file holds no image that can be decoded",
    "image_size": "the image has another size than the annotations state",
    "no_camera": "nothing tells the camera's intrinsics",
    "depth_missing": "there is no depth of that name",
    "depth_broken": "the depth cannot be read, has another size, or is not in metres",
    "nothing_lifted": "no object of the image was believed",
    # the annotation
    "group": "several things in one box",
    "depiction": "a picture or figure of the thing, which has another shape",
    "reflection": "seen in a mirror, where depth is the mirror's",
    "inside": "taken from inside of the thing",
    "unsure": "the label is too uncertain",
    "small_in_image": "the 2-D box is too small for its outline's error",
    "fills_image": "the 2-D box is nearly the whole image",
    "duplicate": "the same thing is annotated twice",
    # the mask
    "no_mask": "no outline is given, and no segmenter is named",
    "mask_broken": "the mask cannot be read",
    "mask_unsure": "the segmenter does not believe in its mask",
    "mask_small": "the mask has too few pixels",
    "mask_not_box": "mask and 2-D box disagree",
    "cut_by_border": "much of the outline lies on the image's border",
    # depth
    "sky": "the mask shows sky",
    "no_depth": "too little of the mask has depth",
    "depth_range": "nearer or farther than depth is worth something",
    "depth_gap": "gaps in depth run through the mask",
    "few_points": "too few points are left to tell extents from noise",
    # the box
    "too_small": "smaller than anything that depth can measure",
    "too_big": "larger than things are",
    "deep": "much deeper than wide and high: background came along",
    "big_for_scene": "reaches through the whole scene: background came along",
    "class_size": "not a size of its class",
    "class_aspect": "not a shape of its class",
}
"""Every rule, with the reason that people read in the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """Something that was left out.

    Args:
        rule: of ``RULES``.
        image: file name or id.
        annotation: id; "" for the image as a whole.
        label: of the annotation; "" for the image.
        detail: a sentence with the numbers.
    """

    rule: str
    image: str
    annotation: str = ""
    label: str = ""
    detail: str = ""


class RejectTally:
    """Counts rejects by rule and label, and keeps the first of each rule.

    Args:
        examples: kept per rule.
    """

    def __init__(self, examples: int = 3) -> None:
        self._limit = examples
        self.by_rule: Counter[str] = Counter()
        self.by_label: dict[str, Counter[str]] = {}
        self.examples: dict[str, list[Reject]] = {}

    def add(self, reject: Reject) -> bool:
        """Counts one.

        Args:
            reject: what was left out.

        Returns:
            Whether it is kept as an example.
        """
        self.by_rule[reject.rule] += 1
        if reject.label:
            self.by_label.setdefault(reject.label, Counter())[reject.rule] += 1
        kept = self.examples.setdefault(reject.rule, [])
        if len(kept) >= self._limit:
            return False
        kept.append(reject)
        return True

    def add_all(self, rejects: Iterable[Reject]) -> None:
        """Counts several.

        Args:
            rejects: what was left out.
        """
        for reject in rejects:
            self.add(reject)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "by_rule": dict(sorted(self.by_rule.items())),
            "by_label": {label: dict(sorted(rules.items())) for label, rules in sorted(self.by_label.items())},
            "examples": {
                rule: [{name: getattr(one, name) for name in Reject.__slots__} for one in kept]
                for rule, kept in sorted(self.examples.items())
            },
        }

    def add_dict(self, values: dict[str, Any]) -> None:
        """Adds what another tally counted.

        Args:
            values: as ``to_dict`` gives them.
        """
        self.by_rule.update(values["by_rule"])
        for label, rules in values["by_label"].items():
            self.by_label.setdefault(label, Counter()).update(rules)
        for rule, kept in values["examples"].items():
            mine = self.examples.setdefault(rule, [])
            mine += [Reject(**one) for one in kept][: self._limit - len(mine)]
