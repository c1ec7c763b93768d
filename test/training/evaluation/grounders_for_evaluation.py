"""Grounders whose every answer is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from n3d_ros.detection import Detection3D
from n3d_ros.errors import GroundingError, QueryError
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult, Reasoning


class ToldGrounder:
    """Finds what it is told to, and remembers what it was asked."""

    name = "told"
    device = "cpu"

    def __init__(self, *detections: Detection3D, phrases: Mapping[str, tuple[Detection3D, ...]] | None = None) -> None:
        self.requests: list[GroundingRequest] = []
        self.is_closed = False
        self._detections, self._phrases = detections, phrases or {}

    def ground(self, frame: RgbdFrame, request: GroundingRequest, **_: Any) -> GroundingResult:
        self.requests.append(request)
        if frame.valid_depth_share == 0:
            raise GroundingError("The frame has no depth.")
        if request.phrase is None:
            return GroundingResult(detections=self._detections)
        if request.phrase not in self._phrases:
            raise QueryError(f"I do not understand {request.phrase!r}.")
        return GroundingResult(detections=self._phrases[request.phrase])

    def close(self) -> None:
        self.is_closed = True


class SpeakingGrounder(ToldGrounder):
    """One that answers, too."""

    open_vocabulary = True
    facts = ("A model that says what it was told to.",)

    def __init__(self, *detections: Detection3D, says: str | Callable[[str], str] = "", partial: bool = False) -> None:
        super().__init__(*detections)
        self._says, self._partial = says, partial

    def reason(self, frame: RgbdFrame, question: str, detections: tuple[Detection3D, ...], **_: Any) -> Reasoning:
        said = self._says if isinstance(self._says, str) else self._says(question)
        return Reasoning(answer=said, partial=self._partial)
