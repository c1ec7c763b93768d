"""Shards are whole or refused, and hold what was put in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs the packages of the extra [train]")
import pyarrow as pa
import pyarrow.parquet as pq

from dataset_builders import frame_record, object_record, question_record
from model_training.data import shards
from model_training.data.records import FrameRecord, QuestionRecord
from model_training.data.schemas import FRAMES, frame_of, frame_row, question_row
from model_training.data.shards import (
    footer_of,
    group_sizes,
    read_frames,
    read_questions,
    remove_abandoned,
    write_frames,
    write_questions,
    writer_name,
)
from n3d_ros.errors import ConfigurationError, InputError


def assert_same_frame(one: FrameRecord, other: FrameRecord) -> None:
    first, second = frame_row(one), frame_row(other)
    assert first == second, [name for name in first if first[name] != second[name]]


def various_frames() -> list[FrameRecord]:
    bare = {"box": None, "visible_box": None, "visible_fraction": None, "visible_pixels": 0}
    rich = {
        "color": "red",
        "material": "wood",
        "shape": "box",
        "role": "furniture",
        "symmetry": "half_turn",
        "supported_by": 0,
        "inside_of": 1,
        "score": 0.25,
        "touches_border": True,
    }
    return [
        frame_record("plain"),
        frame_record("no/objects", objects=0),
        frame_record("no_depth", depth_png=b"", labels_png=b"", up=None, split="held_out", licence="CC BY 4.0"),
        frame_record("late", stamp_ns=2**62),
        FrameRecord(
            **{name: getattr(frame_record("x"), name) for name in ("image", "depth_png", "intrinsics")},
            id="mixed",
            source="coco",
            split="validation",
            objects=(object_record(7, **bare), object_record(2, **rich), object_record(3, label="café, größe")),
        ),
    ]


def test_frames_come_back_as_they_were_written(tmp_path: Path) -> None:
    written = various_frames()
    path = tmp_path / "sub" / "00000.parquet"
    assert write_frames(path, written) == len(written)
    for one, other in zip(written, read_frames(path), strict=True):
        assert_same_frame(one, other)
        np.testing.assert_array_equal(one.rgb, other.rgb)
        np.testing.assert_array_equal(one.depth_m, other.depth_m)
    assert [path.name for path in path.parent.iterdir()] == ["00000.parquet"], "nothing else is left there"


def test_questions_come_back_as_they_were_written(tmp_path: Path) -> None:
    written = [
        question_record("f1"),
        question_record("f1", 1, viewpoint="object:2", unit="m", value_type="number", value="1.25", target_box="full"),
        QuestionRecord(id="f2/d", frame_id="f2", kind="detection", object_ids=(3, 1)),
        QuestionRecord(id="f2/r", frame_id="f2", kind="referring", names=("the mug on the left",), object_ids=(1,)),
    ]
    write_questions(tmp_path / "q.parquet", written)
    assert [question_row(one) for one in read_questions(tmp_path / "q.parquet")] == [question_row(q) for q in written]


def test_a_shard_without_rows_is_whole(tmp_path: Path) -> None:
    assert write_frames(tmp_path / "0.parquet", []) == 0
    assert list(read_frames(tmp_path / "0.parquet")) == [] and group_sizes(tmp_path / "0.parquet") == ()


def test_row_groups_are_bounded_by_number_and_by_size_and_can_be_read_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"f{k:03d}" for k in range(70)]
    path = tmp_path / "0.parquet"
    write_frames(path, (frame_record(name, objects=0) for name in names))
    assert group_sizes(path) == (32, 32, 6)
    assert [one.id for one in read_frames(path, groups=[2, 0])] == names[64:] + names[:32]
    monkeypatch.setattr(shards, "GROUP_BYTES", 3 * len(frame_record("x").image))
    write_frames(path, (frame_record(name, objects=0) for name in names[:10]))
    assert max(group_sizes(path)) < 5 and sum(group_sizes(path)) == 10


def test_only_one_row_group_of_frames_is_held_while_writing(tmp_path: Path) -> None:
    alive: list[Any] = []

    def frames() -> Iterator[FrameRecord]:
        import weakref

        for number in range(100):
            record = frame_record(f"f{number}", objects=0)
            alive.append(weakref.ref(record))
            yield record
            assert sum(ref() is not None for ref in alive) <= 3

    assert write_frames(tmp_path / "0.parquet", frames()) == 100


def test_frames_can_be_read_without_their_images(tmp_path: Path) -> None:
    write_frames(tmp_path / "0.parquet", [frame_record("a")])
    (record,) = read_frames(tmp_path / "0.parquet", images=False)
    assert record.image == record.depth_png == record.labels_png == b"" and len(record.objects) == 3


def test_images_are_stored_as_they_are_and_the_rest_is_compressed(tmp_path: Path) -> None:
    path = tmp_path / "0.parquet"
    write_frames(path, [frame_record(f"f{k}", seed=k) for k in range(40)])
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i).compression for i in range(group.num_columns)}
    stored = {name for name, how in columns.items() if how == "UNCOMPRESSED"}
    assert stored == {"image", "depth_png", "labels_png"} and set(columns.values()) == {"UNCOMPRESSED", "ZSTD"}


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_a_truncated_shard_is_refused_by_name(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "00003.parquet"
    write_frames(path, various_frames())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InputError, match=r"00003\.parquet: expected a whole shard.*Delete it"):
        list(read_frames(path))


def test_a_changed_byte_in_an_image_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "00000.parquet"
    write_frames(path, [frame_record("a")])
    data = bytearray(path.read_bytes())
    place = data.find(frame_record("a").image[200:260])
    assert place > 0
    data[place] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"00000\.parquet.*damaged"):
        list(read_frames(path))


def test_files_of_others_are_refused_by_name(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"id": ["a"], "image": [b""]}), foreign)
    with pytest.raises(
        InputError, match=r"foreign\.parquet: expected a shard with the columns id, source.*got id, image"
    ):
        list(read_frames(foreign))
    other_types = tmp_path / "types.parquet"
    pq.write_table(
        FRAMES.empty_table().cast(FRAMES.set(len(FRAMES) - 1, pa.field("stamp_ns", pa.int32()))), other_types
    )
    with pytest.raises(InputError, match="of other types"):
        list(read_frames(other_types))
    text = tmp_path / "text.parquet"
    text.write_text("not a table")
    with pytest.raises(InputError, match=r"text\.parquet: expected a whole shard"):
        list(read_frames(text))
    with pytest.raises(InputError, match=r"none\.parquet: expected a shard, there is no such file"):
        list(read_frames(tmp_path / "none.parquet"))
    write_questions(tmp_path / "q.parquet", [question_record("f")])
    with pytest.raises(InputError, match="expected a shard with the columns"):
        list(read_frames(tmp_path / "q.parquet"))


def test_a_row_that_is_no_frame_is_refused_with_the_files_name(tmp_path: Path) -> None:
    path = tmp_path / "0.parquet"
    row = frame_row(frame_record("a")) | {"split": "tuesday"}
    pq.write_table(pa.Table.from_pylist([row], schema=FRAMES), path)
    with pytest.raises(InputError, match=r"0\.parquet: .*'tuesday'"):
        list(read_frames(path))


def test_a_value_that_fits_no_column_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="between 'a' and 'a' fits no column"):
        write_frames(tmp_path / "0.parquet", [frame_record("a", stamp_ns=2**70)])
    assert list(tmp_path.iterdir()) == []


def test_writing_that_fails_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "0.parquet"
    write_frames(path, [frame_record("before")])

    def failing() -> Iterator[FrameRecord]:
        yield frame_record("after")
        raise RuntimeError("the generator broke")

    with pytest.raises(RuntimeError, match="broke"):
        write_frames(path, failing())
    assert [one.id for one in read_frames(path)] == ["before"] and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_and_leaves_no_shard(tmp_path: Path) -> None:
    path = tmp_path / "0.parquet"
    (tmp_path / f"0.parquet.{writer_name()}.part").symlink_to("/dev/full")
    with pytest.raises(ConfigurationError, match=r"cannot be written \(No space left on device\).*make room"):
        write_frames(path, [frame_record(f"f{k}") for k in range(100)])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_frames(tmp_path / "file" / "0.parquet", [frame_record("a")])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_frames(tmp_path / "0.parquet", [frame_record("a")])


def test_what_killed_writers_left_is_removed_and_what_others_write_is_not(tmp_path: Path) -> None:
    host, own = writer_name().rsplit("-", 1)
    dead = 2**22 + 1  # above the largest process number of Linux
    kept = [tmp_path / f"0.parquet.{host}-{own}.part", tmp_path / "0.parquet.elsewhere-1.part", tmp_path / "0.parquet"]
    gone = [tmp_path / f"0.parquet.{host}-{dead}.part", tmp_path / f"1.parquet.{host}-{dead}"]
    for path in (*kept, *gone):
        path.touch()
    assert remove_abandoned(tmp_path) == 2
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_footers_tell_what_was_kept_in_them(tmp_path: Path) -> None:
    path = tmp_path / "0.parquet"
    write_frames(path, [frame_record("a")], footer=lambda rows: {b"n3d.digest": f"abc{rows}"})
    assert footer_of(path) == (None, "abc1")


def test_datasets_and_pandas_read_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="needs the packages of the extra [train]")
    pandas = pytest.importorskip("pandas", reason="comes with the extra [train]")
    written = various_frames()
    write_frames(tmp_path / "00000.parquet", written[:3])
    write_frames(tmp_path / "00001.parquet", written[3:])
    files = str(tmp_path / "*.parquet")
    datasets.disable_progress_bars()
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    for one, row in zip(written, loaded, strict=True):
        assert_same_frame(one, frame_of(row))
    streamed = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    assert [row["id"] for row in streamed] == [one.id for one in written]
    table = pandas.read_parquet(tmp_path / "00000.parquet")
    assert table["objects"][0][0]["label"] == "mug" and list(table["id"]) == [one.id for one in written[:3]]
    shutil.rmtree(tmp_path / "cache")
