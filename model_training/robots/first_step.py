"""The first step: from a recording to the folder that a person corrects. What is there already is only added to."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from model_training.robots.label_file import ToldObject, frame_text, header_text
from model_training.robots.label_reading import parse_labels
from model_training.robots.level import LevelAxes
from model_training.robots.looking import Bag, Dropped, Finder, candidates_of
from model_training.robots.picking import PickConfig, pick
from model_training.robots.pictures import found_picture, page
from model_training.robots.recorded_boxes import RecordedBoxes
from model_training.robots.work_folder import PICTURES, FoundFrame, FoundObject, Recording, WorkFolder, name_of
from n3d_ros.depth.files.run_lock import only_run_in
from n3d_ros.errors import InputError, N3dError
from n3d_ros.ros.bag_pass import BagLook
from n3d_ros.ros.conversions import stamp_to_ns
from n3d_ros.ros.golden.writing import identity_of
from n3d_ros.ros.pairing import RgbdPair
from n3d_ros.whole_files import write_whole

LOOK_FILE = "look.html"
UP_NOTES = {
    "surface": "up is that of the table or floor found in it, tf tells none",
    "picture": "nothing tells where up is: right, ahead and up are the picture's own",
}


@dataclass(kw_only=True)
class FirstStep:
    """What the first step came to.

    Args:
        work: the folder.
        candidates: frames of the recording that can be used.
        added: names of the frames that were added to labels.txt.
        there: how many frames labels.txt had before.
        objects: boxes in the added frames.
        left_out: stretches of time without a frame, by reason.
        dropped: images that could not be used.
        damage: what is wrong with the bag; "": nothing.
        interrupted: whether it was stopped.
    """

    work: WorkFolder
    candidates: int = 0
    added: tuple[str, ...] = ()
    there: int = 0
    objects: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    dropped: Dropped = field(default_factory=Dropped)
    damage: str = ""
    interrupted: bool = False


def recording_of(bag: Bag) -> Recording:
    """Which recording a bag is.

    Args:
        bag: the open bag.

    Returns:
        Its name and digest, and what finds boxes in it.
    """
    identity = identity_of(bag.reader, bag.topics)
    return Recording(
        name=identity.name,
        digest=identity.digest,
        grounder=bag.grounder.name,
        color=bag.topics.color,
        depth=bag.topics.depth,
        start_ns=_first_stamp_ns(bag),
        duration_s=identity.duration_s,
    )


def _first_stamp_ns(bag: Bag) -> int:
    """The stamp of the first colour image that can be read: frames are named by the time after it."""
    for message in bag.reader.readable_messages([bag.topics.color]):
        with contextlib.suppress(N3dError):
            return stamp_to_ns(message.deserialize().header.stamp)
    return bag.reader.start_ns


def take_first_step(
    bag: Bag,
    path: Path,
    config: PickConfig,
    *,
    recorded: RecordedBoxes | None = None,
    on_phase: Callable[[str], None] = lambda _phase: None,
) -> FirstStep:
    """Picks frames, finds their boxes and writes the folder; frames that are there, and all edits, stay as they are.

    Args:
        bag: the open bag.
        path: of the folder.
        config: which frames.
        recorded: boxes of the bag, when the grounder takes them from there.
        on_phase: told what is being done.

    Returns:
        What came of it; after an interruption with the frames done so far.

    Raises:
        InputError: the folder is another recording's, or none of ours.
        ConfigurationError: it cannot be written, another run writes it, or more frames are wanted than there are.
    """
    with only_run_in(path):
        return _taken(bag, path, config, recorded, on_phase)


def _taken(
    bag: Bag, path: Path, config: PickConfig, recorded: RecordedBoxes | None, on_phase: Callable[[str], None]
) -> FirstStep:
    """The first step, in a folder that no other run writes."""
    work = WorkFolder.begin(path, recording_of(bag))
    done = FirstStep(work=work)
    on_phase("choosing frames")
    only = None if recorded is None else recorded.stamps_ns
    found, done.damage, done.interrupted = candidates_of(bag, done.dropped, only=only)
    done.candidates = len(found)
    if not done.interrupted:
        known = {name: work.get(name, images=False) for name in work.names()}
        there = {one.stamp_ns for one in known.values()}
        picked = pick(found, config, [one for one in found if one.stamp_ns in there])
        done.left_out = picked.left_out
        on_phase("finding boxes")
        _look(bag, done, known, frozenset(picked.stamps_ns), recorded)
    _list_frames(done)
    return done


def _look(
    bag: Bag,
    done: FirstStep,
    known: Mapping[str, FoundFrame],
    stamps_ns: frozenset[int],
    recorded: RecordedBoxes | None,
) -> None:
    """Finds the boxes of the picked frames, besides those known by name; each is written as soon as it is done."""
    work, there = done.work, set(known)
    start_ns = work.recording.start_ns
    own_numbers = None if recorded is None else recorded.numbers
    finder = Finder(start_ns, list(known.values()), own_numbers, boxes_by=bag.grounder.name)

    def wants(pair: RgbdPair) -> bool:
        return pair.stamp_ns in stamps_ns and name_of(pair.stamp_ns, start_ns) not in there

    def look(seen: BagLook) -> None:
        frame = finder.frame(seen)
        if frame is not None:
            write_whole(work.path / PICTURES / f"{frame.name}.jpg", found_picture(frame))
            work.put(frame)
            there.add(frame.name)

    if stamps_ns:  # what the choice dropped was counted then
        second = Dropped()
        done.damage, done.interrupted = bag.walk(second, wants=wants, look=look)
        for reason in second.counts.keys() - done.dropped.counts.keys():
            for seconds in second.where[reason]:
                done.dropped.add(reason, second.why[reason], seconds)


def _list_frames(done: FirstStep) -> None:
    """Adds to labels.txt, at its end, the frames that it was never given; where there is none, all."""
    work = done.work
    names = work.names()
    text = _text_of(work)
    mentioned = {one.name for one in parse_labels(text)[0].frames} | set(work.listed) if text else set()
    new = [name for name in names if name not in mentioned]
    if new:
        frames = [work.get(name, images=False) for name in new]
        begun = text or header_text(
            bag=work.recording.name, grounder=work.recording.grounder, folder=shlex.quote(str(work.path))
        )
        ended = begun if begun.endswith("\n") else begun + "\n"
        write_whole(work.labels, (ended + "".join(map(told_frame, frames))).encode())
        done.objects = sum(len(one.objects) for one in frames)
    write_whole(work.path / LOOK_FILE, page(f"Frames of {work.recording.name}", names))
    done.work = replace(work, listed=tuple(dict.fromkeys([*work.listed, *names])))
    done.work.save()
    done.added, done.there = tuple(new), len(names) - len(new)


def _text_of(work: WorkFolder) -> str:
    """labels.txt as it is, line ends and all; empty when there is none."""
    try:
        return work.labels.read_bytes().decode("utf-8") if work.labels.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{work.labels}: expected text in UTF-8 ({error}); save it so, then run this again."
        ) from error


def told_frame(frame: FoundFrame) -> str:
    """A frame as labels.txt tells it first.

    Args:
        frame: as found.

    Returns:
        Its lines.
    """
    axes = LevelAxes.of(frame.up)
    told = [
        ToldObject(number=one.number, label=one.label, words=axes.told(one.box), note=_note(one, axes))
        for one in frame.objects
    ]
    about = f"{PICTURES}/{frame.name}.jpg"
    if frame.up_source in UP_NOTES:
        about += f"; {UP_NOTES[frame.up_source]}"
    return frame_text(frame.name, told, about=about)


def _note(one: FoundObject, axes: LevelAxes) -> str:
    """What a person may want to know of a box."""
    notes = [] if one.score is None else [f"score {one.score:.2f}"]
    lean = axes.lean_deg(one.box)
    notes += [f"leans {lean:.0f} deg"] if lean else []
    return re.sub(r"\s+", " ", ", ".join(notes))
