"""What a report needs of each look, kept while a bag is worked through: little, as bags may be long."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from n3d_ros.ros.bag_pass import BagLook
from n3d_ros.ros.report.picture_choice import PictureChoice
from n3d_ros.scene.objects import SceneObject

MAX_DROPS = 20_000  # whose time is kept; all are counted


@dataclass(slots=True)
class ObjectTrack:
    """An object as it was last seen, and when it was seen.

    Args:
        latest: in ``frame_id``.
        frame_id: of the box.
        spans: first and last recorded time of each run of looks in a row that showed it, nanoseconds.
        looks: how many looks showed it.
        last_look: number of the last one.
    """

    latest: SceneObject
    frame_id: str
    spans: list[tuple[int, int]] = field(default_factory=list)
    looks: int = 0
    last_look: int = -2  # not even the one before the first


class ReportMaterial:
    """Collects.

    Args:
        start_ns: when the bag begins.
        duration_ns: of the bag.
        pictures: how many pictures evenly over the bag are kept.
        changes: how many more, of the looks at which most changed.
    """

    def __init__(self, start_ns: int, duration_ns: int, *, pictures: int, changes: int) -> None:
        self.start_ns, self.duration_ns = start_ns, max(1, duration_ns)
        self.tracks: dict[int, ObjectTrack] = {}
        self.looks_ns: list[int] = []
        self.total_ms: list[float] = []
        self.stages_ms: dict[str, list[float]] = defaultdict(list)
        self.drops: list[tuple[int, str]] = []
        self.notes: dict[str, int] = {}
        self.camera = ""
        self.image_size = (0, 0)
        self.pictures = PictureChoice(start_ns, self.duration_ns, evenly=pictures, changes=changes)

    def look(self, look: BagLook) -> None:
        """Takes note of a look.

        Args:
            look: what came of a pair.
        """
        outcome = look.outcome
        if not outcome.is_ok or outcome.frame is None:
            return
        number = len(self.looks_ns)
        self.looks_ns.append(look.recorded_ns)
        self.total_ms.append(look.total_ms)
        for name, duration_ms in outcome.stage_ms.items():
            self.stages_ms[name].append(duration_ms)
        for note in outcome.notes:
            self.notes[note] = self.notes.get(note, 0) + 1
        self.camera = outcome.frame_id
        self.image_size = (outcome.frame.intrinsics.width, outcome.frame.intrinsics.height)
        change = 0
        for item in look.objects:
            change += self._seen(item, outcome.output_frame, number, look.recorded_ns)
        change += sum(track.last_look == number - 1 for track in self.tracks.values())  # those that are gone now
        self.pictures.offer(look, change)

    def _seen(self, item: SceneObject, frame_id: str, number: int, recorded_ns: int) -> int:
        """Takes note of an object in a look; 1 when the look before did not show it."""
        track = self.tracks.get(item.id)
        if track is None:
            track = self.tracks[item.id] = ObjectTrack(latest=item, frame_id=frame_id)
        is_back = track.last_look != number - 1
        if is_back:
            track.spans.append((recorded_ns, recorded_ns))
        else:
            track.spans[-1] = (track.spans[-1][0], recorded_ns)
        track.latest, track.frame_id = item, frame_id
        track.looks += 1
        track.last_look = number
        return int(is_back)

    def drop(self, reason: str, _sentence: str, recorded_ns: int) -> None:
        """Takes note of an image or pair without a result.

        Args:
            reason: short key.
            _sentence: told elsewhere.
            recorded_ns: when; 0: before the images.
        """
        if recorded_ns and len(self.drops) < MAX_DROPS:
            self.drops.append((recorded_ns, reason))
