"""SceneObject: one thing in the scene, with everything that is known about it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from n3d_ros.detection import BoxUncertainty, Detection3D
from n3d_ros.errors import InputError
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.scene.fusion import BoxEstimate, estimate_of, fused
from n3d_ros.scene.naming import settled_name

VOTE_FADE = 0.95  # weight an old vote keeps at each new one: a mistaken start is outvoted after about a second at 10 Hz
MAX_WORDS = 8  # words kept per ballot; an open vocabulary must not grow without bound
MEAN_WINDOW = 10  # looks over which score and support ratio are averaged


@dataclass(frozen=True, slots=True)
class Ballot:
    """Words that were said about one property of an object, and how often.

    Args:
        votes: (word, weight) pairs, heaviest first; the first is the answer.
    """

    votes: tuple[tuple[str, float], ...] = ()

    @property
    def winner(self) -> str | None:
        """The word with most weight; None before the first vote."""
        return self.votes[0][0] if self.votes else None

    def cast(self, word: str | None, weight: float = 1.0) -> Ballot:
        """The ballot after one more vote; older ones fade.

        Args:
            word: the word; None abstains and changes nothing.
            weight: above 0.

        Returns:
            The new ballot. At equal weight the present winner stays.
        """
        if word is None:
            return self
        weights = {known: VOTE_FADE * amount for known, amount in self.votes}
        weights[word] = weights.get(word, 0.0) + weight
        # sorted is stable, and the dict keeps the present order: ties do not flip the answer
        return Ballot(tuple(sorted(weights.items(), key=lambda vote: -vote[1])[:MAX_WORDS]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneObject:
    """One object of a scene snapshot. Its frame is the scene's.

    Args:
        id: 1 or more; never given to another object of the same scene.
        label: what it is, in words.
        box: the settled box, scene frame.
        uncertainty: of the box, scene frame.
        score: 0 to 1, mean of the latest looks; None when the grounder gives none.
        support_ratio: 0 to 1, mean of the latest looks; None when unknown.
        color: basic colour word, None when unknown.
        shape: shape word, None when unknown.
        first_seen_ns: stamp of the first look that found it.
        last_seen_ns: stamp of the latest look that found it.
        observations: looks that found it, 1 or more.
        missed: looks in a row that saw its place empty.
        undetected: looks in a row that saw something at its place but did not find it.
        labels: all labels given to it so far.
        colors: all colours given to it so far.
        shapes: all shapes given to it so far.
    """

    id: int
    label: str
    box: Box3D
    uncertainty: BoxUncertainty
    score: float | None = None
    support_ratio: float | None = None
    color: str | None = None
    shape: str | None = None
    first_seen_ns: int = 0
    last_seen_ns: int = 0
    observations: int = 1
    missed: int = 0
    undetected: int = 0
    labels: Ballot = Ballot()
    colors: Ballot = Ballot()
    shapes: Ballot = Ballot()

    def __post_init__(self) -> None:
        """Checks ids, counts and times.

        Raises:
            InputError: an id below 1, an empty label, or times and counts that contradict each other.
        """
        if self.id < 1 or not self.label:
            raise InputError(f"SceneObject: expected an id from 1 and a label, got {self.id} and {self.label!r}.")
        if self.observations < 1 or self.missed < 0 or self.undetected < 0 or self.last_seen_ns < self.first_seen_ns:
            raise InputError(
                f"SceneObject {self.id}: expected observations >= 1, missed >= 0 and first seen before last seen, got "
                f"{self.observations}, {self.missed}, {self.first_seen_ns} ns and {self.last_seen_ns} ns."
            )

    @classmethod
    def first(cls, object_id: int, detection: Detection3D, stamp_ns: int) -> SceneObject:
        """A new object as its first look shows it.

        Args:
            object_id: its id.
            detection: in the scene frame.
            stamp_ns: of the look.

        Returns:
            The object.
        """
        estimate = estimate_of(detection)
        return cls(
            id=object_id,
            label=detection.label,
            box=estimate.box,
            uncertainty=estimate.uncertainty,
            score=detection.score,
            support_ratio=detection.support_ratio,
            color=detection.color,
            shape=detection.shape,
            first_seen_ns=stamp_ns,
            last_seen_ns=stamp_ns,
            labels=Ballot().cast(detection.label, _vote_weight(detection)),
            colors=Ballot().cast(detection.color),
            shapes=Ballot().cast(detection.shape),
        )

    @property
    def estimate(self) -> BoxEstimate:
        """Box and uncertainty together."""
        return BoxEstimate(box=self.box, uncertainty=self.uncertainty)

    def seen_again(
        self, detection: Detection3D, stamp_ns: int, *, smoothing: float, drift_m_per_sqrt_s: float
    ) -> SceneObject:
        """The object after one more look that found it.

        Args:
            detection: the look's box and words, scene frame.
            stamp_ns: of the look; equal to ``last_seen_ns`` when the same picture was grounded again, which adds words
                but no measurement.
            smoothing: as in ``SceneConfig``.
            drift_m_per_sqrt_s: as in ``SceneConfig``.

        Returns:
            The object with its box settled further and the votes counted.
        """
        estimate, is_new_look = self.estimate, stamp_ns > self.last_seen_ns
        if is_new_look:
            elapsed_s = (stamp_ns - self.last_seen_ns) * 1e-9
            drift = drift_m_per_sqrt_s * elapsed_s**0.5
            estimate = fused(estimate, estimate_of(detection), drift_m=drift, smoothing=smoothing)
        labels = self.labels.cast(detection.label, _vote_weight(detection))
        colors, shapes = self.colors.cast(detection.color), self.shapes.cast(detection.shape)
        return replace(
            self,
            label=settled_name(labels.votes) or self.label,
            box=estimate.box,
            uncertainty=estimate.uncertainty,
            score=_running_mean(self.score, detection.score, self.observations),
            support_ratio=_running_mean(self.support_ratio, detection.support_ratio, self.observations),
            color=colors.winner or self.color,
            shape=shapes.winner or self.shape,
            last_seen_ns=stamp_ns,
            observations=self.observations + is_new_look,
            missed=0,
            undetected=0,
            labels=labels,
            colors=colors,
            shapes=shapes,
        )

    def transformed(self, target_T_scene: RigidTransform) -> SceneObject:
        """The same object, expressed in another frame.

        Args:
            target_T_scene: from the scene's frame.

        Returns:
            The object in the target frame.
        """
        return replace(
            self, box=self.box.transformed(target_T_scene), uncertainty=self.uncertainty.rotated(target_T_scene)
        )


def _vote_weight(detection: Detection3D) -> float:
    """What a label counts: its score, and a little even at score 0, so that a ballot is never empty."""
    return 1.0 if detection.score is None else max(detection.score, 0.01)


def _running_mean(known: float | None, new: float | None, observations: int) -> float | None:
    """Mean over the latest looks; whichever side is unknown does not count."""
    if known is None or new is None:
        return known if new is None else new
    return known + (new - known) / min(observations + 1, MEAN_WINDOW)
