"""What a phrase asks of an object that is known by colour and shape only."""

from __future__ import annotations

from dataclasses import dataclass

from n3d_ros.errors import QueryError
from n3d_ros.scene.phrases import Phrase, ignored_note, vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an object must be, in the words of ``scene.phrases``.

    Args:
        phrase: what was asked for; None: everything.
    """

    phrase: Phrase | None = None

    @property
    def shapes(self) -> frozenset[str] | None:
        """One of these must be its shape; None: any."""
        return self.phrase.shapes if self.phrase else None

    @property
    def ignored(self) -> tuple[str, ...]:
        """Words that say nothing about colour and shape."""
        return self.phrase.ignored if self.phrase else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on how the words were taken."""
        if self.phrase is None:
            return ()
        left_out = (ignored_note(self.ignored),) if self.ignored else ()
        return (*left_out, self.phrase.shape_note()) if self.phrase.is_more_than_shape else left_out

    def matches(self, color: str | None, shape: str | None) -> bool:
        """Whether an object so described is meant.

        Args:
            color: such as "red" or "red and white"; None: unknown.
            shape: a shape word; None: unknown.

        Returns:
            True when it has all the colours and one of the shapes asked for.
        """
        return self.phrase is None or self.phrase.matches("", color, shape)


def understand(phrase: str | None) -> Wanted:
    """What a phrase asks for.

    A thing that is not known is refused, since everything else would be a guess; a describing word that is not known
    is left out and reported.

    Args:
        phrase: such as "the red cups"; None: everything.

    Returns:
        Colours and shapes asked for.

    Raises:
        QueryError: the thing is not known, or there is none.
    """
    if phrase is None:
        return Wanted()
    parsed = Phrase.parse(phrase)
    if parsed is None:
        raise QueryError(f"Phrase {phrase!r}: expected 1 to 16 words that name an object. {vocabulary()}")
    if not parsed.is_known:
        raise QueryError(
            f"Phrase {phrase!r}: {parsed.noun!r} is not known to the geometric grounder, which tells objects by colour "
            f"and shape only. {vocabulary()}"
        )
    return Wanted(phrase=parsed)
