"""SceneHistory: earlier snapshots, so that a question may be about the past."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace

from n3d_ros.errors import InputError, QueryError, StatusCode
from n3d_ros.scene.config import HistoryConfig
from n3d_ros.scene.scene import Scene

BEFORE_BEGIN_S = 0.5  # how far before the first snapshot a moment may lie: about one look


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneHistory:
    """Snapshots in order of time, bounded in number and age. Immutable, as they are: adding makes a new history.

    Args:
        config: bounds.
        scenes: oldest first, stamps ascending.
    """

    config: HistoryConfig = field(default_factory=HistoryConfig)
    scenes: tuple[Scene, ...] = ()

    @property
    def newest(self) -> Scene | None:
        """The latest snapshot, None when there is none."""
        return self.scenes[-1] if self.scenes else None

    def added(self, scene: Scene) -> SceneHistory:
        """The history with one more snapshot, and what is too old or too much left out.

        When it is full, every second snapshot of the older half goes: the past gets coarser before it ends.

        Args:
            scene: not older than the newest; one of the same stamp replaces it.

        Returns:
            The new history.

        Raises:
            InputError: the scene is older than the newest (reason ``time_jump``): start a new history.
        """
        newest = self.newest
        if newest is not None and scene.stamp_ns < newest.stamp_ns:
            raise InputError(
                f"SceneHistory: expected a scene at or after {newest.stamp_ns} ns, got {scene.stamp_ns} ns; after a "
                "jump back in time start a new history.",
                reason="time_jump",
            )
        scenes = self.scenes[:-1] if newest is not None and scene.stamp_ns == newest.stamp_ns else self.scenes
        oldest_ns = scene.stamp_ns - round(self.config.max_age_s * 1e9)
        scenes = tuple(one for one in (*scenes, scene) if one.stamp_ns >= oldest_ns)
        if len(scenes) > self.config.max_scenes:
            half = len(scenes) // 2
            scenes = (*scenes[:half:2], *scenes[half:])
        return replace(self, scenes=scenes)

    def at(self, stamp_ns: int) -> Scene:
        """The snapshot nearest to a moment.

        Args:
            stamp_ns: nanoseconds.

        Returns:
            The snapshot.

        Raises:
            QueryError: nothing is remembered near that moment (code ``NO_SUCH_MOMENT``).
        """
        stamps = [scene.stamp_ns for scene in self.scenes]
        at = bisect_left(stamps, stamp_ns)
        around = self.scenes[max(at - 1, 0) : at + 1]
        nearest = min(around, key=lambda scene: abs(scene.stamp_ns - stamp_ns), default=None)
        # within the memory, things are known to have been there before and after; before its beginning nothing is known
        max_gap_s = self.config.max_gap_s if at else min(self.config.max_gap_s, BEFORE_BEGIN_S)
        if nearest is None or abs(nearest.stamp_ns - stamp_ns) > max_gap_s * 1e9:
            raise QueryError(
                self._no_such_moment(stamp_ns, stamps), code=StatusCode.NO_SUCH_MOMENT, reason="no_such_moment"
            )
        return nearest

    def before(self, stamp_ns: int) -> Scene | None:
        """The newest snapshot at or before a moment.

        Args:
            stamp_ns: nanoseconds.

        Returns:
            The snapshot; None when none is so old, or none lies near enough.
        """
        at = bisect_right(self.scenes, stamp_ns, key=lambda scene: scene.stamp_ns)
        newest = self.scenes[at - 1] if at else None
        is_near = newest is not None and stamp_ns - newest.stamp_ns <= self.config.max_gap_s * 1e9
        return newest if is_near else None

    def _no_such_moment(self, stamp_ns: int, stamps: list[int]) -> str:
        """A sentence that says what is remembered."""
        if not stamps:
            return "No scene is remembered yet: no image has been processed."
        return (
            f"No scene is remembered of {stamp_ns * 1e-9:.3f} s; the memory reaches "
            f"from {stamps[0] * 1e-9:.3f} s to {stamps[-1] * 1e-9:.3f} s."
        )
