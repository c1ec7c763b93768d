"""Shards: Parquet files of frames or questions, written whole or not at all, read a row group at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from model_training.data.arrow import pa, pq
from model_training.data.records import FrameRecord, QuestionRecord
from model_training.data.reports import ShardReport
from model_training.data.schemas import FRAMES, QUESTIONS, frame_of, frame_row, question_of, question_row
from model_training.processes import is_running
from n3d_ros.errors import InputError
from n3d_ros.whole_files import START_AGAIN, whole_file, writer_name

IMAGE_COLUMNS = ("image", "depth_png", "labels_png")  # compressed already: a second time costs and saves nothing
FRAMES_PER_GROUP = 32  # what is read at once: small, so that reading in random order stays cheap
QUESTIONS_PER_GROUP = 1024
GROUP_BYTES = 8 << 20  # of images in a group; photographs of several megabytes make groups of a few frames
MAX_FILE_ROWS = 1 << 20  # above that a file is not one of ours, and is not read
COMPRESSION = "zstd"
REPORT_KEY = b"n3d.report"
DIGEST_KEY = b"n3d.digest"
SUFFIX = ".parquet"

Footer = Callable[[int], Mapping[bytes, str]]


def write_frames(path: Path, records: Iterable[FrameRecord], *, footer: Footer | None = None) -> int:
    """Writes a shard of frames; its name stands for it only once it is whole.

    Args:
        path: ends in .parquet; its folder is made, a file of that name is replaced.
        records: drawn one by one; no more than a row group of them is held.
        footer: what to keep in the file's footer, made from the number of frames at the end.

    Returns:
        Frames written.
    """
    return _write(path, FRAMES, map(frame_row, records), FRAMES_PER_GROUP, footer)


def write_questions(path: Path, records: Iterable[QuestionRecord], *, footer: Footer | None = None) -> int:
    """Writes a shard of questions; its name stands for it only once it is whole.

    Args:
        path: ends in .parquet; its folder is made, a file of that name is replaced.
        records: drawn one by one, those of one frame together.
        footer: what to keep in the file's footer, made from the number of questions at the end.

    Returns:
        Questions written.
    """
    return _write(path, QUESTIONS, map(question_row, records), QUESTIONS_PER_GROUP, footer)


def read_frames(path: Path, *, groups: Iterable[int] | None = None, images: bool = True) -> Iterator[FrameRecord]:
    """The frames of a shard, in order; one row group at a time is in memory.

    Args:
        path: of the file.
        groups: numbers of the row groups to read, in that order; None: all.
        images: False leaves the three images out (empty bytes), which reads a small part of the file.

    Yields:
        Frames.

    Raises:
        InputError: the file is truncated, foreign or damaged, or a row is no frame; it is named.
    """
    left_out = {} if images else dict.fromkeys(IMAGE_COLUMNS, b"")
    for row in _rows(path, FRAMES, groups, left_out):
        with _naming(path):
            record = frame_of(row)
        yield record


def read_questions(path: Path, *, groups: Iterable[int] | None = None) -> Iterator[QuestionRecord]:
    """The questions of a shard, in order.

    Args:
        path: of the file.
        groups: numbers of the row groups to read, in that order; None: all.

    Yields:
        Questions.

    Raises:
        InputError: the file is truncated, foreign or damaged, or a row is no question; it is named.
    """
    for row in _rows(path, QUESTIONS, groups, {}):
        with _naming(path):
            record = question_of(row)
        yield record


def group_sizes(path: Path, kind: str = "frames") -> tuple[int, ...]:
    """Rows of each row group, read from the footer alone.

    Args:
        path: of a shard.
        kind: "frames" or "questions".

    Returns:
        Numbers of rows.
    """
    with _opened(path, FRAMES if kind == "frames" else QUESTIONS) as file:
        about = file.metadata
        return tuple(about.row_group(i).num_rows for i in range(about.num_row_groups))


def footer_of(path: Path, kind: str = "frames") -> tuple[ShardReport | None, str]:
    """What was kept in a shard's footer.

    Args:
        path: of a shard.
        kind: "frames" or "questions".

    Returns:
        Its report, None where there is none, and the digest of the configuration it was made by, "" where none.
    """
    with _opened(path, FRAMES if kind == "frames" else QUESTIONS) as file, _naming(path):
        kept = file.metadata.metadata or {}
        text = kept.get(REPORT_KEY)
        report = None if text is None else ShardReport.from_json(text.decode())
        digest = kept.get(DIGEST_KEY, b"").decode()
    return None if report is None else replace(report, bytes=path.stat().st_size), digest


def _write(
    path: Path, schema: pa.Schema, rows: Iterable[dict[str, Any]], group_rows: int, footer: Footer | None
) -> int:
    """Rows written."""
    count = 0
    with whole_file(path, advice=START_AGAIN) as file, _parquet_writer(file, schema) as writer:
        for group in _grouped(rows, group_rows):
            writer.write_table(_table(path, schema, group))
            count += len(group)
        if footer is not None:
            writer.add_key_value_metadata({key: value.encode() for key, value in footer(count).items()})
    return count


def _parquet_writer(file: Any, schema: pa.Schema) -> Any:
    """Images as they are, everything else compressed; checksums on every page."""
    packed = {name: "none" if name in IMAGE_COLUMNS else COMPRESSION for name in _leaves(schema)}
    others = [name for name in packed if name not in IMAGE_COLUMNS]
    return pq.ParquetWriter(
        file,
        schema,
        compression=packed,
        use_dictionary=others,
        write_statistics=others,
        write_page_checksum=True,
    )


def _leaves(schema: pa.Schema) -> list[str]:
    """Paths of a schema's columns as Parquet names them, such as objects.list.element.id."""
    file = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), file)
    columns = pq.ParquetFile(pa.BufferReader(file.getvalue())).schema
    return [columns.column(i).path for i in range(len(columns))]


def _grouped(rows: Iterable[dict[str, Any]], group_rows: int) -> Iterator[list[dict[str, Any]]]:
    """Rows in groups of bounded number and size."""
    group: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(row.get(name) or b"") for name in IMAGE_COLUMNS)
        if len(group) >= group_rows or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _table(path: Path, schema: pa.Schema, group: list[dict[str, Any]]) -> Any:
    """The rows as columns; an InputError where a value fits none."""
    try:
        return pa.Table.from_pylist(group, schema=schema)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        first, last = group[0]["id"], group[-1]["id"]
        raise InputError(f"{path}: a row between {first!r} and {last!r} fits no column ({error}).") from error


def _rows(
    path: Path, schema: pa.Schema, groups: Iterable[int] | None, left_out: dict[str, bytes]
) -> Iterator[dict[str, Any]]:
    """Rows of a file, a group at a time."""
    columns = [name for name in schema.names if name not in left_out]
    with _opened(path, schema) as file:
        for group in range(file.num_row_groups) if groups is None else groups:
            with _naming(path):
                rows = file.read_row_group(group, columns=columns, use_threads=False).to_pylist()
            for row in rows:
                yield row | left_out


@contextlib.contextmanager
def _opened(path: Path, schema: pa.Schema) -> Iterator[Any]:
    """A file of that schema, checked before a row is read."""
    with _naming(path):
        file = pq.ParquetFile(path, page_checksum_verification=True)
    with file:
        if not file.schema_arrow.equals(schema, check_metadata=False):
            missing = [name for name in schema.names if name not in file.schema_arrow.names]
            raise InputError(
                f"{path}: expected a shard with the columns {', '.join(schema.names)}, "
                f"got {', '.join(file.schema_arrow.names) or 'none'}"
                f"{'' if missing else ', of other types'}. Is it a file of another program?"
            )
        if file.metadata.num_rows > MAX_FILE_ROWS:
            raise InputError(f"{path}: expected at most {MAX_FILE_ROWS} rows, got {file.metadata.num_rows}.")
        yield file


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turns what pyarrow and the records raise into a sentence with the file's name."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: expected a shard, there is no such file.") from error
    except InputError as error:
        raise InputError(f"{path}: {error.message}") from error
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{path}: expected a whole shard; it is truncated, damaged or no Parquet file ({first_line}). "
            "Delete it and give the command that made it again: only what is missing is made."
        ) from error


def attempts_at(path: Path, since_s: float) -> int:
    """How many writers began a shard and did not end it.

    Args:
        path: of the shard.
        since_s: only those since then, seconds of the clock.

    Returns:
        Half-written files, of any machine.
    """
    count = 0
    for part in path.parent.glob(f"{path.name}.*"):
        with contextlib.suppress(FileNotFoundError):
            count += part.stat().st_mtime >= since_s
    return count


def remove_abandoned(folder: Path) -> int:
    """Removes what killed processes of this machine left half-written.

    Args:
        folder: of shards; may be missing.

    Returns:
        Files removed.
    """
    removed = 0
    host = writer_name().rpartition("-")[0]
    for part in sorted(folder.glob(f"*{SUFFIX}.{host}-*")):
        number = part.name.removesuffix(".part").rpartition("-")[2]
        if number.isdigit() and not is_running(int(number)):
            part.unlink(missing_ok=True)
            removed += 1
    return removed
