"""What the language model is asked, in exactly the words it was trained with.

Sources: N3D-VLM's ``demo.py``, ``config/demo.json``, ``config/detection.json`` and ``config/code_template.txt``. The
chat layout is ChatML with Qwen's system text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from n3d_ros.codec.model_input import Prompt
from n3d_ros.errors import InputError, QueryError, StatusCode

if TYPE_CHECKING:
    from n3d_ros.codec.tokenizer import Tokenizer

SYSTEM_TEXT = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."

CODE_SCHEMA = """@dataclass
class Bbox:
    class: str
    position_u: int
    position_v: int
    position_z: int
    angle_y: int
    scale_x: int
    scale_y: int
    scale_z: int"""
"""The form of a box line, shown to the model as Python. No newline at its end."""

REFERENCE_CODE = " The reference code is as followed: "
LOCATE_FIRST = " First locate the bbox of the aforementioned object(s)."

MAX_QUESTION_CHARACTERS = 1024
MAX_NAME_CHARACTERS = 512  # of one category or referring expression; as long as the phrase of a request may be
MAX_NAMES = 32  # in one prompt
MAX_ALL_NAMES_CHARACTERS = 2048  # of them together, some 500 tokens of English: beside an image they fit 2048 tokens
MAX_PROMPT_CHARACTERS = 16_384  # of everything the user's turn holds, the second step's boxes included
MAX_IMAGE_TOKENS = 16_384  # the image processor's own bound: 12845056 px / 28^2


def detection_text() -> str:
    """The user's turn that asks for every object."""
    return "Detect boxes." + REFERENCE_CODE + CODE_SCHEMA


def grounding_text(names: Sequence[str]) -> str:
    """The user's turn that asks for all objects of some categories.

    Args:
        names: categories such as "chair" or "coffee cup".

    Returns:
        The words; several names stand each in quotes, joined by "and".

    Raises:
        QueryError: no name, too many, or one that is empty or too long.
    """
    return f"Identify the 3D boxes for all the {_quoted(names)} in this scene." + REFERENCE_CODE + CODE_SCHEMA


def referring_text(expressions: Sequence[str]) -> str:
    """The user's turn that asks for particular objects, each by a referring expression.

    The released code shows the words for one category alone; these follow them and the paper's description (quoted
    expressions joined by "and"), as do those for several categories.

    Args:
        expressions: such as "the cup left of the laptop".

    Returns:
        The words; expressions stand each in quotes, joined by "and".

    Raises:
        QueryError: no expression, too many, or one that is empty or too long.
    """
    return f"Identify the 3D boxes for {_quoted(expressions)} in this scene." + REFERENCE_CODE + CODE_SCHEMA


def question_text(question: str) -> str:
    """The user's turn of a question's first step, in which the objects of the question are located.

    Args:
        question: in the user's words.

    Returns:
        The question, the request to locate first, and the schema.

    Raises:
        QueryError: the question is empty or too long.
    """
    return clean_question(question) + LOCATE_FIRST + REFERENCE_CODE + CODE_SCHEMA


def clean_question(question: str) -> str:
    """A question on one line: control characters and runs of blanks become one blank.

    Args:
        question: in the user's words.

    Returns:
        The same words.

    Raises:
        QueryError: nothing is left, or more than ``MAX_QUESTION_CHARACTERS``.
    """
    return _bounded(_one_line(question), limit=MAX_QUESTION_CHARACTERS, what="The question")


def clean_name(name: str) -> str:
    """A category or expression as it may stand between quotes, see ``tidy_name``.

    Args:
        name: in the user's words.

    Returns:
        The same words.

    Raises:
        QueryError: nothing is left, or more than ``MAX_NAME_CHARACTERS``.
    """
    return _bounded(tidy_name(name), limit=MAX_NAME_CHARACTERS, what="A name")


def tidy_name(name: str) -> str:
    """The words of a name that may stand between quotes.

    Control characters and runs of blanks become one blank. Quotes that could end the quotation early are left out; an
    apostrophe within a word ("baker's hat") stays.

    Args:
        name: in the user's words.

    Returns:
        The same words; empty when nothing is left.
    """
    line = _one_line(name)
    inner = "".join(
        character
        for place, character in enumerate(line)
        if character not in "'\"`" or (character == "'" and _within_word(line, place))
    )
    return _one_line(inner)


def build_prompt(tokenizer: Tokenizer, user_text: str, image_tokens: int | None) -> Prompt:
    """The whole prompt as token ids, cut behind the image.

    Args:
        tokenizer: of the model.
        user_text: the user's turn; names of special tokens within it stay plain text.
        image_tokens: visual tokens of the image, ``ImageInput.token_count``; None without an image.

    Returns:
        Prefix (system text and image) and suffix (words and the head of the answer).

    Raises:
        InputError: no tokens for an image, too many, or a text that is too long.
    """
    if image_tokens is not None and not 1 <= image_tokens <= MAX_IMAGE_TOKENS:
        raise InputError(f"build_prompt: expected 1 to {MAX_IMAGE_TOKENS} image tokens or None, got {image_tokens}.")
    if len(user_text) > MAX_PROMPT_CHARACTERS:
        raise InputError(f"build_prompt: expected at most {MAX_PROMPT_CHARACTERS} characters, got {len(user_text)}.")
    start, end = tokenizer.im_start, tokenizer.im_end
    newline = tokenizer.encode("\n")
    prefix = [start, *tokenizer.encode(f"system\n{SYSTEM_TEXT}"), end, *newline, start, *tokenizer.encode("user")]
    if image_tokens is None:
        # The line's end goes with the words, for blanks at their beginning would join it into one token.
        words = tokenizer.encode("\n" + user_text)
    else:
        prefix += [*newline, tokenizer.vision_start, *[tokenizer.image_pad] * image_tokens, tokenizer.vision_end]
        words = tokenizer.encode(user_text)
    suffix = [*words, end, *newline, start, *tokenizer.encode("assistant\n")]
    return Prompt(prefix_ids=np.array(prefix, dtype=np.int64), suffix_ids=np.array(suffix, dtype=np.int64))


def _quoted(names: Sequence[str]) -> str:
    """Names in single quotes, joined by "and"."""
    if not 1 <= len(names) <= MAX_NAMES:
        raise QueryError(
            f"Expected 1 to {MAX_NAMES} names to look for, got {len(names)}; ask in several requests.",
            code=StatusCode.INVALID_REQUEST,
        )
    cleaned = [clean_name(name) for name in names]
    length = sum(map(len, cleaned))
    if length > MAX_ALL_NAMES_CHARACTERS:
        raise QueryError(
            f"Names to look for: expected at most {MAX_ALL_NAMES_CHARACTERS} characters together, got {length}; ask in "
            "several requests.",
            code=StatusCode.INVALID_REQUEST,
        )
    return " and ".join(f"'{name}'" for name in cleaned)


def _one_line(text: str) -> str:
    """The text without control characters and surrogates, every run of blanks as one."""
    visible = (" " if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") else character for character in text)
    return " ".join("".join(visible).split())


def _within_word(line: str, place: int) -> bool:
    """Whether letters or digits stand on both sides of a place."""
    return 0 < place < len(line) - 1 and line[place - 1].isalnum() and line[place + 1].isalnum()


def _bounded(text: str, *, limit: int, what: str) -> str:
    """The text, if there is any and not too much."""
    if not text or len(text) > limit:
        raise QueryError(f"{what}: expected 1 to {limit} characters, got {len(text)}.", code=StatusCode.INVALID_REQUEST)
    return text
