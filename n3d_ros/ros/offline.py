"""A whole bag to results: every frame's objects as JSON, the annotated bag, and a summary.

Results do not depend on the speed of the machine: what does (times) is kept apart.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from n3d_ros.errors import BagError
from n3d_ros.inference.depth_source import DepthSource
from n3d_ros.inference.grounder import Grounder, facts_of
from n3d_ros.ros.annotated_bag import AnnotatedBag
from n3d_ros.ros.bag import BagMessage, BagReader, BagWriter, refuse_inside_bag
from n3d_ros.ros.bag_pass import BagListeners, BagLook, BagPass
from n3d_ros.ros.bag_questions import Answered, BagQuestion
from n3d_ros.ros.camera_topics import CameraTopics
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.pipeline import FrameOutcome
from n3d_ros.ros.plain_results import answered_to_dict, outcome_to_dict, write_json
from n3d_ros.scene.objects import SceneObject

RESULTS_FILE, BAG_FOLDER = "objects.json", "annotated"
FORMAT_VERSION = 1  # of objects.json


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineSummary:
    """What a run came to.

    Args:
        frames: image pairs processed.
        frames_ok: of these, with a result.
        dropped: image pairs and single images that gave no result, by reason.
        why: one sentence per reason.
        object_ids: number of different objects seen.
        seconds: wall time.
        damage: what is wrong with the bag, empty when nothing is.
        interrupted: whether it was stopped before the end.
        best: outcome and objects (output frame) of the frame that is best to show, see ``look_clearness``.
        latest: the latest known state of each object, in the output frame of ``latest_frame``, by id.
        latest_frame: name of that frame.
        backend: name of the grounder, and where it ran.
        facts: what is known of the model; empty without one.
        looks: every processed pair as in ``objects.json``.
        answers: questions and what was said, in order of time.
    """

    frames: int
    frames_ok: int
    dropped: Mapping[str, int]
    why: Mapping[str, str]
    object_ids: int
    seconds: float
    damage: str
    interrupted: bool
    best: tuple[FrameOutcome, tuple[SceneObject, ...]] | None
    latest: tuple[SceneObject, ...]
    latest_frame: str
    backend: str = ""
    facts: tuple[str, ...] = ()
    looks: Sequence[Mapping[str, Any]] = ()
    answers: tuple[Answered, ...] = ()


@dataclass(slots=True)
class RunTally:
    """What grows during a run: what is told at the end."""

    frames: list[dict[str, Any]] = field(default_factory=list)
    timings: list[dict[str, Any]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    why: dict[str, str] = field(default_factory=dict)
    answers: list[Answered] = field(default_factory=list)
    latest: dict[int, SceneObject] = field(default_factory=dict)
    latest_frame: str = ""
    known: tuple[SceneObject, ...] = ()
    best: tuple[FrameOutcome, tuple[SceneObject, ...]] | None = None
    best_clearness: int = -(10**9)
    ok: int = 0

    def drop(self, reason: str, sentence: str, _recorded_ns: int = 0) -> None:
        """Counts an image or pair that gave no result.

        Args:
            reason: short key.
            sentence: about it; the first one of each reason is kept.
            _recorded_ns: when; not told.
        """
        self.dropped[reason] += 1
        self.why.setdefault(reason, sentence)

    def add(self, look: BagLook) -> None:
        """Takes note of a look.

        Args:
            look: what came of a pair.
        """
        outcome, objects = look.outcome, look.objects
        self.frames.append(outcome_to_dict(outcome, objects))
        stages = {name: round(ms, 3) for name, ms in outcome.stage_ms.items()}
        self.timings.append({"stamp_ns": outcome.stamp_ns, "total_ms": round(look.total_ms, 3), "stages_ms": stages})
        if not outcome.is_ok:
            return
        self.ok += 1
        if outcome.output_frame != self.latest_frame:
            self.latest.clear()
            self.latest_frame = outcome.output_frame
        self.latest.update({item.id: item for item in objects})
        self.known = () if outcome.scene is None else outcome.scene.objects
        clearness = look_clearness([item.observations for item in objects], self.ok)
        if objects and clearness >= self.best_clearness:
            self.best, self.best_clearness = (outcome, objects), clearness

    def summary(
        self, bag_pass: BagPass, grounder: Grounder, seconds: float, depth_source: DepthSource | None = None
    ) -> OfflineSummary:
        """What the run came to.

        Args:
            bag_pass: that is over.
            grounder: that was used.
            seconds: that it took.
            depth_source: that found depth; None: it was in the bag.

        Returns:
            The summary.
        """
        return OfflineSummary(
            frames=len(self.frames),
            frames_ok=self.ok,
            dropped=dict(self.dropped),
            why=self.why,
            object_ids=len({item["id"] for frame in self.frames for item in frame["objects"]}),
            seconds=seconds,
            damage=bag_pass.damage,
            interrupted=bag_pass.interrupted,
            best=self.best,
            latest=tuple(self.latest[key] for key in sorted(self.latest)),
            latest_frame=self.latest_frame,
            backend=f"{grounder.name} on {grounder.device}",
            facts=(*facts_of(grounder), *depth_facts(depth_source)),
            looks=self.frames,
            answers=tuple(self.answers),
        )


def run_bag(
    reader: BagReader,
    output: Path | None,
    *,
    topics: CameraTopics,
    grounder: Grounder,
    depth_source: DepthSource | None = None,
    config: NodeConfig | None = None,
    questions: Sequence[BagQuestion] = (),
    last_questions: Callable[[Sequence[SceneObject]], Sequence[BagQuestion]] | None = None,
    on_look: Callable[[BagLook], None] | None = None,
    on_drop: Callable[[str, str, int], None] | None = None,
    include_images: bool = False,
    write_bag: bool = True,
    force: bool = False,
    on_progress: Callable[[BagMessage], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> OfflineSummary:
    """Processes every image pair of a bag and writes ``objects.json`` and the annotated bag.

    Args:
        reader: an open bag.
        output: folder for the results; made when it is not there. None: nothing is written.
        topics: the camera's topics.
        grounder: finds the objects; closed by the caller.
        depth_source: finds depth; closed by the caller. None: the bag's depth images.
        config: the node's settings; None: the defaults.
        questions: what to ask on the way, and at the end.
        last_questions: gives more to ask at the end, from the objects that the scene then holds.
        on_look: told of what comes of each pair.
        on_drop: told of each image or pair without a result: reason, sentence, time in the bag.
        include_images: copy the images into the annotated bag too.
        write_bag: write the annotated bag.
        force: replace an annotated bag that is there.
        on_progress: called with each message that was handled.
        should_stop: asked after each message.

    Returns:
        The summary; what could be read of a damaged bag is in the results and ``damage`` tells the rest.

    Raises:
        BagError: the output cannot be written, or is part of the input or of another recording.
    """
    settings, tally = config or NodeConfig(), RunTally()
    if output is not None:
        _make_output(output, reader)
    started = time.perf_counter()
    with ExitStack() as stack:
        annotated: AnnotatedBag | None = None
        if output is not None and write_bag:
            writer = stack.enter_context(BagWriter(output / BAG_FOLDER, force=force))
            annotated = AnnotatedBag(
                writer, reader, topics, grounder, settings, dropped=tally.dropped, include_images=include_images
            )
        listeners = BagListeners(
            message=(annotated.copy,) if annotated else (),
            look=tuple(filter(None, (tally.add, annotated.add if annotated else None, on_look))),
            drop=tuple(filter(None, (tally.drop, on_drop))),
            answered=(tally.answers.append,),
            handled=(on_progress,) if on_progress else (),
        )
        bag_pass = BagPass(reader, topics, grounder, settings, listeners, questions, depth_source)
        bag_pass.run(also_read=annotated.copied if annotated else (), should_stop=should_stop)
        if last_questions is not None and not bag_pass.interrupted:
            tally.answers.extend(map(bag_pass.ask, last_questions(tally.known)))
    summary = tally.summary(bag_pass, grounder, time.perf_counter() - started, depth_source)
    if output is not None:
        write_json(output / RESULTS_FILE, _document(reader, topics, grounder, tally, summary))
    return summary


def depth_facts(source: DepthSource | None) -> tuple[str, ...]:
    """What is known of the model that finds depth.

    Args:
        source: None: the camera.

    Returns:
        Sentences; empty for the camera.
    """
    return () if source is None else (f"depth: {source.name} on {source.device}", *source.facts())


def _make_output(output: Path, reader: BagReader) -> None:
    """Makes the folder for results where it touches no recording."""
    refuse_output(output, reader.path, output / BAG_FOLDER)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BagError(f"{output}: cannot be made ({error.strerror or error}).") from error


def refuse_output(output: Path, source: Path, bag: Path) -> None:
    """Refuses a folder for results where they would touch a recording.

    Args:
        output: folder for the results.
        source: the bag that is read.
        bag: the bag that will be written.

    Raises:
        BagError: ``output`` is or lies in a recording, or ``source`` is or lies in ``bag``.
    """
    refuse_inside_bag(output)
    read, written = source.resolve(), bag.resolve()
    if read.is_dir() and read in (output.resolve(), *output.resolve().parents):
        raise BagError(f"{output} lies in the recording that is read; choose another folder for the results.")
    if written in (read, *read.parents):
        raise BagError(f"{source} is what would be replaced by the results in {output}; choose another folder.")


def _document(
    reader: BagReader, topics: CameraTopics, grounder: Grounder, tally: RunTally, summary: OfflineSummary
) -> dict[str, Any]:
    """What goes into ``objects.json``."""
    frames_per_second = len(tally.frames) / summary.seconds if summary.seconds > 0 else math.nan
    return {
        "format_version": FORMAT_VERSION,
        "bag": reader.path.name,
        "damage": summary.damage,
        "topics": {"color": topics.color, "depth": topics.depth},
        "backend": grounder.name,
        "device": grounder.device,
        "model": list(summary.facts),
        "frames": tally.frames,
        "answers": [answered_to_dict(answered) for answered in tally.answers],
        "dropped": dict(sorted(tally.dropped.items())),
        "why_dropped": dict(sorted(tally.why.items())),
        "timing": {
            "seconds": round(summary.seconds, 3),
            "frames_per_second": round(frames_per_second, 2),
            "frames": tally.timings,
        },
    }


def look_clearness(observations: Sequence[int], looks: int) -> int:
    """How good a look is to show: it has what was seen all along, and little that just flickered up.

    Args:
        observations: of each of its objects: in how many looks it was seen so far.
        looks: how many looks there were so far.

    Returns:
        Number of its objects seen in at least a third of the looks, less the number of others.
    """
    settled = sum(3 * count >= looks for count in observations)
    return 2 * settled - len(observations)
