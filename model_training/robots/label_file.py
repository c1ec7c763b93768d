"""labels.txt: the one file a person edits; its types and how it is written.

::

    rename:
        white cup -> coffee mug

    frame 0012.500: unchecked
    #  no | keep | label    | right  ahead     up | width  depth height | turn | fit | note
        1 | yes  | red box  |  -1.9   80.2  -40.1 |  10.0   10.1    9.8 |   45 |     | score 0.83
      new | yes  | red ball | pixel 320 200       |   7.0    7.0    7.0 |    0 |     |

Why lines of this form, and not YAML or a spreadsheet: a mistake costs the one line it is in, so that all mistakes are
told at once, each with its line; words such as "no", "12:30" or "on" are words, not truth values or times; columns
stand under each other, so that an object can be followed through the frames by eye; no editor converts numbers, dates
or quotes on its own; and what was not touched is the same text as before, which is how an unedited box stays the
node's own box (the file tells rounded numbers, the exact ones lie beside it in ``frames/``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model_training.robots.level import PLACE_DECIMALS, BoxWords
from n3d_ros.codec.label_bytes import writable_label
from n3d_ros.errors import InputError

FILE_NAME = "labels.txt"
FORMAT = 1
UNCHECKED, CHECKED, COMPLETE, SKIP = "unchecked", "checked", "complete", "skip"
STATUSES = (UNCHECKED, CHECKED, COMPLETE, SKIP)
COLUMNS = ("no", "keep", "label", "place", "size", "turn", "fit", "note")
NEEDED_COLUMNS = 6  # fit and note may be left out
NEW, YES, NO, REFIT, PIXEL, NOTHING = "new", "yes", "no", "refit", "pixel", "-"
ARROW, BAR, HASH = "->", "|", "#"
PLACE_NAMES = "|   right   ahead      up |   width   depth  height | turn | fit   | note"  # above the numbers
MAX_FAULTS_TOLD = 40
HEADER = """\
# Boxes in the recording {bag}, found by {grounder}. Correct them here, with any text editor, then run
#
#     n3d dataset from-bag {folder} --finish --out DATASET
#
# Every frame below has a picture of its name in pictures/, with the number of each box; look.html shows them all, and
# the pixel under the mouse. The frames' names are seconds after the recording's first image.
#
#   keep    yes, or no: the box is left out (deleting its line does the same)
#   label   what you would call it when you ask for it: coffee mug
#   right ahead up       cm from the camera to the box's middle, level with the ground; left and down are negative
#   width depth height   cm. With turn 0 the width lies along the picture and the depth goes away from the camera
#   turn    degrees, counter-clockwise seen from above
#   fit     refit: the box is fitted to the measured points around it, so that rough numbers will do. Empty: as written
#   note    yours; nothing reads it
#
# A number you leave alone keeps its exact value, of which you see the rounded one. To add a box, add a line with "new":
#
#   new | yes | coffee mug | 12.0 55.0 -20.0 | 8 8 10 | 0 | refit
#   new | yes | coffee mug | pixel 320 200   | 8 8 10 | 0 | refit     the middle of what you see; depth tells the rest
#
# After a frame's name stands how far you are with it:
#
#   unchecked   as the node left it; used as it is, and said so (--only-checked leaves it out)
#   checked     what is listed is right; there may be more in the picture
#   complete    what is listed is right, and nothing is missing
#   skip        the frame is not used
#
# Lines under "rename:" hold for all frames at once, except where you have changed a label in its line:
#
#   white cup -> coffee mug     # every "white cup"
#   #7 -> cereal box            # every box of number 7: a number is one thing, as far as the node could follow it
#   grey object -> -            # every "grey object" is left out
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong in a line.

    Args:
        line: its number, from 1; 0: of the whole file.
        message: what was expected, what came, what to change.
    """

    line: int
    message: str


class LabelFileError(InputError):
    """labels.txt holds lines that cannot be used; all of them are told at once.

    Args:
        path: of the file, for the message.
        faults: one or more.
    """

    default_reason = "bad_labels"

    def __init__(self, path: str, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda one: one.line))
        told = [f"  line {one.line}: {one.message}" for one in self.faults[:MAX_FAULTS_TOLD]]
        more = len(self.faults) - MAX_FAULTS_TOLD
        told += [f"  and {more} more."] if more > 0 else []
        lines = "1 line needs" if len(self.faults) == 1 else f"{len(self.faults)} lines need"
        super().__init__(f"{path}: {lines} a change; nothing was written.\n" + "\n".join(told))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixel:
    """Where a person pointed at a thing.

    Args:
        u: column, px from the left, 0 for the first.
        v: row, px from the top.
    """

    u: float
    v: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelLine:
    """One object of one frame, as the file has it.

    Args:
        line: in the file, from 1.
        number: None: a new box.
        keep: whether it is used.
        label: words.
        place_cm: right, ahead, up; or the pixel a new box is seen at.
        size_cm: width, depth, height.
        turn_deg: about the vertical.
        refit: fit it to the points around it.
    """

    line: int
    number: int | None
    keep: bool
    label: str
    place_cm: tuple[float, float, float] | Pixel
    size_cm: tuple[float, float, float]
    turn_deg: float
    refit: bool

    @property
    def words(self) -> BoxWords:
        """The box in words; a pixel has no place yet."""
        place = (0.0, 0.0, 0.0) if isinstance(self.place_cm, Pixel) else self.place_cm
        return BoxWords(place_cm=place, size_cm=self.size_cm, turn_deg=self.turn_deg)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLabels:
    """One frame, as the file has it.

    Args:
        line: of its heading.
        name: of the frame.
        status: one of ``STATUSES``.
        objects: in the file's order.
    """

    line: int
    name: str
    status: str
    objects: tuple[LabelLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """Another label in all frames.

    Args:
        line: in the file.
        label: what it is called now; empty when a number is meant.
        number: of the box; None when a label is meant.
        target: the new label; None: left out.
    """

    line: int
    label: str
    number: int | None
    target: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFile:
    """What labels.txt says.

    Args:
        renames: in the file's order.
        frames: in the file's order.
    """

    renames: tuple[Rename, ...]
    frames: tuple[FrameLabels, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldObject:
    """One object, as it is written first.

    Args:
        number: in its frame.
        label: words.
        words: the box.
        note: what is known of it besides.
    """

    number: int
    label: str
    words: BoxWords
    note: str = ""


def header_text(*, bag: str, grounder: str, folder: str) -> str:
    """The file's beginning, with how to edit it.

    Args:
        bag: the recording's name.
        grounder: what found the boxes.
        folder: of the file, for the command that comes next.

    Returns:
        Lines up to the first frame.
    """
    return f"{HEADER.format(bag=bag, grounder=grounder, folder=folder)}\nformat {FORMAT}\n\nrename:\n"


def written_label(label: str) -> str:
    """A label as its cell, and a model's answer, can hold it.

    Args:
        label: words; whatever found the object may have written anything.

    Returns:
        One line without the column's bar; "object" where nothing is left.
    """
    try:
        return writable_label(label.replace(BAR, "/"))
    except InputError:
        return "object"


def frame_text(name: str, objects: Sequence[ToldObject], *, about: str) -> str:
    """The lines of a frame.

    Args:
        name: of the frame.
        objects: with the boxes the node found.
        about: where and when it is from, for a person.

    Returns:
        Text that begins with an empty line.
    """
    labels = [written_label(one.label) for one in objects]
    width = max([len("label"), *map(len, labels)])
    names = f"{'no':>4} | keep | {'label':<{width}} {PLACE_NAMES}"
    lines = [f"frame {name}: {UNCHECKED}    {HASH} {about}", HASH + names]
    for one, label in zip(objects, labels, strict=True):
        place, size = (_numbers(three) for three in (one.words.place_cm, one.words.size_cm))
        turn = f"{one.words.turn_deg:4.0f}"
        lines.append(f"{one.number:5d} | yes  | {label:<{width}} | {place} | {size} | {turn} |       | {one.note}")
    return "\n" + "\n".join(line.rstrip() for line in lines) + "\n"


def _numbers(three: tuple[float, float, float]) -> str:
    """Three numbers for a cell."""
    return " ".join(f"{value:7.{PLACE_DECIMALS}f}" for value in three)
