"""From a request to the words that the model is asked with."""

from __future__ import annotations

import re
from dataclasses import dataclass

from n3d_ros.codec.prompts import (
    clean_name,
    detection_text,
    grounding_text,
    question_text,
    referring_text,
    tidy_name,
)
from n3d_ros.inference.grounder import GroundingRequest

_ARTICLE = re.compile(r"^(?:the|a|an|any|all|every|each)\s+(?:of\s+the\s+)?", flags=re.IGNORECASE)
_RELATION = re.compile(
    r"\b(?:left|right|behind|front|near|nearest|next|closest|farthest|furthest|beside|between|above|below|under|on|in"
    r"|inside|at|with|of|who|that|which|wearing|holding|largest|smallest|tallest|biggest|leftmost|rightmost|middle)\b",
    flags=re.IGNORECASE,
)
_CATEGORY_WORDS = 4  # "hot air balloon", "large red coffee mug"; longer names describe one thing


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the model is asked.

    Args:
        text: the user's turn.
        classes: the names a box may be given where only those asked for are allowed; empty: any.
    """

    text: str
    classes: tuple[str, ...] = ()


def ask_for(request: GroundingRequest) -> Ask:
    """The words for a request: its question as it stands, else its phrase, else its nouns, else everything.

    Args:
        request: what to look for; ";" in a phrase parts several, of which those without words do not count.

    Returns:
        The user's turn.

    Raises:
        QueryError: too many or too long words, or none but quotes.
    """
    if request.question is not None:
        return Ask(text=question_text(request.question))
    if request.phrase is not None:
        given = split_names(request.phrase)
    else:
        given = request.nouns
    if not given:
        return Ask(text=detection_text())
    names = tuple(name for name in given if tidy_name(name)) or given  # where there is nothing else, it is refused
    if any(is_referring(_without_article(name)) for name in names):
        return Ask(text=referring_text(tuple(dict.fromkeys(names))))
    names = tuple(dict.fromkeys(_without_article(name) for name in names))
    return Ask(text=grounding_text(names), classes=tuple(clean_name(name) for name in names))


def split_names(text: str) -> tuple[str, ...]:
    """The names in a text that ";" parts.

    Args:
        text: names.

    Returns:
        Each without blanks around it; those of nothing but blanks are left out.
    """
    return tuple(part for part in (piece.strip() for piece in text.split(";")) if part)


def is_referring(name: str) -> bool:
    """Whether words mean a particular thing ("the cup left of the laptop") and not a category ("coffee cup").

    Args:
        name: words without an article.

    Returns:
        True for words of place or comparison, and for long descriptions.
    """
    return bool(_RELATION.search(name)) or len(name.split()) > _CATEGORY_WORDS


def _without_article(name: str) -> str:
    return _ARTICLE.sub("", name.strip()) or name.strip()
