"""From a stream of tokens to boxes, each as soon as its line ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from n3d_ros.codec.box_text import ParsedBox, RejectedLine, parse_line
from n3d_ros.inference.language_model.scores import LineEvidence, TokenEvidence, line_evidence

_NEWLINE = b"\n"
MAX_OPEN_BYTES = 65_536  # of a line that never ends; more of it is not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedBox:
    """A box that was just written.

    Args:
        parsed: the box and its line.
        evidence: what the tokens of the line say.
    """

    parsed: ParsedBox
    evidence: LineEvidence


class BoxStream:
    """Takes tokens as they come and gives boxes as their lines end."""

    def __init__(self) -> None:
        self.rejected: list[RejectedLine] = []
        """Lines that were no boxes, in their order."""
        self._tokens: list[TokenEvidence] = []
        self._size = 0

    def add(self, tokens: Iterable[TokenEvidence]) -> list[StreamedBox]:
        """The boxes that some tokens complete.

        Args:
            tokens: the next ones; one across two lines belongs to the first and its rest to the second.

        Returns:
            Boxes in their order; often none.
        """
        found: list[StreamedBox] = []
        for token in tokens:
            lines = token.piece.split(_NEWLINE)
            for piece in lines[:-1]:
                self._keep(TokenEvidence(piece=piece + _NEWLINE, log_prob=token.log_prob, log_mass=token.log_mass))
                found.extend(self._ended())
            if lines[-1]:
                self._keep(TokenEvidence(piece=lines[-1], log_prob=token.log_prob, log_mass=token.log_mass))
        return found

    def finish(self, *, complete: bool) -> list[StreamedBox]:
        """The box of a last line without newline.

        Args:
            complete: the model ended by itself; otherwise the line was cut off and does not count.

        Returns:
            One box or none.
        """
        if complete:
            return self._ended()
        self._tokens, self._size = [], 0
        return []

    def _keep(self, token: TokenEvidence) -> None:
        if self._size < MAX_OPEN_BYTES:
            self._tokens.append(token)
            self._size += len(token.piece)

    def _ended(self) -> list[StreamedBox]:
        tokens, self._tokens, self._size = self._tokens, [], 0
        line = b"".join(token.piece for token in tokens).decode("utf-8", "replace")
        if not line.strip():
            return []
        parsed = parse_line(line)
        if isinstance(parsed, RejectedLine):
            self.rejected.append(parsed)
            return []
        return [StreamedBox(parsed=parsed, evidence=line_evidence(tokens))]
