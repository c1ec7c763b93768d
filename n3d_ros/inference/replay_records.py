"""Recorded answers of a language model: what they are, their file, and how they are told apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from n3d_ros.codec.box_code import encode_box
from n3d_ros.codec.box_text import format_boxes
from n3d_ros.codec.model_input import DecodeContext, ImageInput
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.geometry.boxes import Box3D

REPLAY_FILE = "replay.json"
FORMAT = "n3d_replay"
VERSION = 1
MAX_FILE_BYTES = 16 * 2**20
MAX_RECORDS = 10_000
_HEAD = "assistant\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRecord:
    """One answer.

    Args:
        answer: the text, without the token that ends it.
        prompt: the user's turn it answers, word for word; None: any.
        image: SHA-256 of the image as the model sees it (``image_digest``); None: any.
    """

    answer: str
    prompt: str | None = None
    image: str | None = None


def boxes_answer(boxes: Iterable[tuple[str, Box3D]], context: DecodeContext) -> str:
    """What a perfect model would answer.

    Args:
        boxes: names and boxes, camera optical frame.
        context: of the frame.

    Returns:
        Box lines.
    """
    return format_boxes(encode_box(label, box, context, yaw="zero") for label, box in boxes)


def image_digest(image: ImageInput) -> str:
    """SHA-256 of everything the model sees of an image, as hexadecimal digits.

    Args:
        image: patches and points.

    Returns:
        64 digits.
    """
    digest = hashlib.sha256(repr((image.grid, image.points.shape)).encode())
    for array in (image.pixel_values, image.points):
        digest.update(array.tobytes())
    return digest.hexdigest()


def read_records(path: Path) -> tuple[ReplayRecord, ...]:
    """The records of a file.

    Args:
        path: of the JSON file.

    Returns:
        The records in their order; the first that fits a prompt is played.

    Raises:
        ConfigurationError: the file is missing or is none of this kind.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"expected at most {MAX_FILE_BYTES} bytes, got {path.stat().st_size}")
        return _records_of(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"Recorded answers {path}: {error}.") from error


def write_records(records: Iterable[ReplayRecord], path: Path) -> None:
    """Writes a file that ``read_records`` reads.

    Args:
        records: in the order in which they are looked through.
        path: of the file.
    """
    entries = [{"prompt": r.prompt, "image": r.image, "answer": r.answer} for r in records]
    content = {"format": FORMAT, "version": VERSION, "records": entries}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _records_of(content: Any) -> tuple[ReplayRecord, ...]:
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
        raise InputError(f'expected "format": "{FORMAT}" and "version": {VERSION}')
    entries = content.get("records")
    if not isinstance(entries, list) or len(entries) > MAX_RECORDS:
        raise InputError(f"expected a list of at most {MAX_RECORDS} records")
    return tuple(_record_of(entry) for entry in entries)


def _record_of(entry: Any) -> ReplayRecord:
    if not isinstance(entry, dict) or not isinstance(entry.get("answer"), str):
        raise InputError("expected each record to be an object with an answer")
    prompt, image = entry.get("prompt"), entry.get("image")
    if not all(value is None or isinstance(value, str) for value in (prompt, image)):
        raise InputError("expected prompt and image of a record to be text or null")
    return ReplayRecord(answer=entry["answer"], prompt=prompt, image=image)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A token sequence as a chat.

    Args:
        prompt: the user's last turn, without the image.
        answer: what is written of the assistant's turn.
    """

    prompt: str
    answer: bytes


def exchange(tokenizer: Tokenizer, token_ids: Sequence[int]) -> Exchange | None:
    """The last turns of a sequence.

    Args:
        tokenizer: of the model.
        token_ids: the whole sequence.

    Returns:
        Them; None before the assistant's turn has begun.
    """
    turns = [place for place, token in enumerate(token_ids) if token == tokenizer.im_start]
    head = tokenizer.encode(_HEAD)
    if len(turns) < 2 or list(token_ids[turns[-1] + 1 : turns[-1] + 1 + len(head)]) != head:
        return None
    asked = list(token_ids[turns[-2] + 1 : turns[-1]])
    if tokenizer.vision_end in asked:
        asked = asked[len(asked) - asked[::-1].index(tokenizer.vision_end) :]
    words = asked[: asked.index(tokenizer.im_end)] if tokenizer.im_end in asked else asked
    answer = b"".join(tokenizer.piece(token) for token in token_ids[turns[-1] + 1 + len(head) :])
    return Exchange(tokenizer.decode(words).removeprefix("user\n"), answer)
