"""Batches follow from the seed, go on anywhere, and skip what is broken."""

from __future__ import annotations

import json
import logging
import multiprocessing
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch comes with the extra [model]")

from model_training.examples.config import AugmentConfig, ExampleConfig
from model_training.examples.example import Mix
from model_training.examples.left_out import BrokenOnes
from model_training.examples.loader import META, BatchSet, batch_loader
from model_training.examples.sources import (
    FolderSource,
    GeneratedSource,
    SourceConfig,
    open_source,
    open_sources,
    source_configs,
)
from model_training.examples.stream import BatchConfig, Cursor, Drawn, Stream
from model_training.models.stand_in_tokenizer import train_stand_in_tokenizer
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import ConfigurationError
from training.examples.known_records import RECORD, Known

EXAMPLES = ExampleConfig(long_side=84, questions_per_frame=2, augment=AugmentConfig(color=0.5, depth_dropout=0.5))
BATCHES = BatchConfig(frames=2, tokens=4000, streams=2, rank=0, processes=1, seed=3, accumulate=1)


def stream(
    tokenizer: Tokenizer,
    *,
    number: int = 0,
    cursor: Cursor | None = None,
    batches: BatchConfig = BATCHES,
    sources: tuple[Known, ...] = (Known(),),
    configs: tuple[SourceConfig, ...] | None = None,
) -> Stream:
    configs = configs or tuple(SourceConfig(folder="x") for _ in sources)
    return Stream(sources, configs, EXAMPLES, Mix(), batches, tokenizer, number=number, cursor=cursor)


def said(drawn: Drawn) -> list[tuple[str, tuple[int, ...], float]]:
    return [
        (one.id, tuple(len(turn) for turn in one.turns), float(one.image.pixel_values.sum())) for one in drawn.examples
    ]


def test_every_frame_is_seen_once_an_epoch_by_one_stream(tokenizer: Tokenizer) -> None:
    streams = [stream(tokenizer, number=number) for number in (0, 1)]
    seen = Counter(one.id for each in streams for step in range(3) for one in each.next(step).examples)
    assert seen == {f"a{shard}{row}": 1 for shard in range(4) for row in range(3)}
    again = [one.id for step in range(3) for one in streams[0].next(step).examples]
    assert len(set(again)) == 6


def test_a_stream_goes_on_from_any_cursor_as_if_it_had_not_stopped(tokenizer: Tokenizer) -> None:
    # The budget ends batches early, so that a drawn frame waits for the next one across the stop.
    tight = replace(BATCHES, tokens=700, frames=4)
    whole = stream(tokenizer, batches=tight)
    batches = [whole.next(step) for step in range(9)]
    assert len({len(drawn.examples) for drawn in batches}) > 1
    for stop in (1, 3, 4, 7):
        cursor = Cursor.from_json(json.loads(json.dumps(batches[stop - 1].cursor.to_json())))
        resumed = stream(tokenizer, batches=tight, cursor=cursor)
        assert [said(resumed.next(step)) for step in range(stop, 9)] == [said(drawn) for drawn in batches[stop:]]


def test_another_seed_gives_another_order(tokenizer: Tokenizer) -> None:
    first, other = stream(tokenizer), stream(tokenizer, batches=replace(BATCHES, seed=4))
    assert [said(first.next(k)) for k in range(3)] != [said(other.next(k)) for k in range(3)]


def test_sources_come_and_go_with_the_steps_and_by_their_weights(tokenizer: Tokenizer) -> None:
    configs = (
        SourceConfig(folder="a", weight=3.0),
        SourceConfig(folder="b", weight=1.0),
        SourceConfig(folder="c", from_step=50),
    )
    each = stream(tokenizer, sources=(Known("a"), Known("b"), Known("c")), configs=configs)
    early = Counter(one.id[0] for step in range(40) for one in each.next(step).examples)
    late = Counter(one.id[0] for step in range(51, 71) for one in each.next(step).examples)
    assert early["c"] == 0 and 1.7 < early["a"] / early["b"] < 6
    assert late["c"] > 0
    ended = (replace(configs[0], to_step=2),)
    ending = stream(tokenizer, configs=ended)
    with pytest.raises(ConfigurationError, match="no source is active at step 5"):
        ending.next(5)


def test_a_broken_shard_is_left_out_and_counted(tokenizer: Tokenizer) -> None:
    each = stream(tokenizer, sources=(Known(broken=(2,)),), batches=replace(BATCHES, streams=1))
    batches = [each.next(step) for step in range(8)]
    assert not any(one.id.startswith("a2") for drawn in batches for one in drawn.examples)
    assert sum(drawn.skipped["shard that cannot be read"] for drawn in batches) >= 1
    nothing = stream(tokenizer, sources=(Known(broken=(0, 1, 2, 3)),))
    sentence = "known: expected frames, got none in 4 shards, of which 4 cannot be read .* shard [0-3] is cut off. Run"
    with pytest.raises(ConfigurationError, match=sentence):
        nothing.next(0)
    empty = stream(tokenizer, sources=(Known(records=()),))
    with pytest.raises(ConfigurationError, match="0 cannot be read and 4 are empty. Run `n3d dataset check"):
        empty.next(0)


def test_a_broken_shard_is_told_once_and_of_many_the_first_few(
    tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    source = Known(shards=tuple(range(14)), broken=tuple(range(12)))
    streams, told = [stream(tokenizer, number=number, sources=(source,)) for number in (0, 1)], BrokenOnes()
    with caplog.at_level(logging.WARNING):
        for step in range(40):
            for each in streams:
                told.tell(each.next(step).broken)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 5 and len(set(lines)) == 5
    assert all(" is left out: shard " in line for line in lines[:3])
    assert "4 shards are left out so far" in lines[3] and "10 shards are left out so far" in lines[4]


def test_what_helps_is_told_where_no_frame_can_be_learnt(tokenizer: Tokenizer) -> None:
    """Frames of a recording that nobody marked complete are asked nothing in stage 1."""
    partly = Known(records=(replace(RECORD, provenance='{"complete": false}'),), kinds=("reasoning",))
    with pytest.raises(ConfigurationError, match="1000 frame that is not marked complete.*labels.txt.*train stage2"):
        stream(tokenizer, sources=(partly,)).next(0)
    kept_back = Known(records=(replace(RECORD, split="held_out"),))
    with pytest.raises(ConfigurationError, match="frame of the split held_out.*folder of the split train"):
        stream(tokenizer, sources=(kept_back,)).next(0)
    short = Stream(
        (Known(),), (SourceConfig(folder="x"),), replace(EXAMPLES, max_tokens=64), Mix(), BATCHES, tokenizer, number=0
    )
    with pytest.raises(ConfigurationError, match="max_tokens allows.*Raise max_tokens") as told:
        short.next(0)
    assert "dataset questions" not in str(told.value)


def test_an_error_of_a_worker_is_the_sentence_that_it_was_raised_with(tmp_path: Path) -> None:
    train_stand_in_tokenizer(tmp_path)
    batches = BatchSet([Known(broken=(0, 1, 2, 3))], [SourceConfig(folder="x")], EXAMPLES, Mix(), BATCHES, tmp_path)
    with pytest.raises(ConfigurationError) as told:
        next(iter(batch_loader(batches, streams=2, workers=1)))
    assert str(told.value).startswith("Data: known: expected frames") and "Traceback" not in str(told.value)


def test_workers_change_nothing_of_what_is_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "tokenizer"
    train_stand_in_tokenizer(folder)
    source, config = Known(), SourceConfig(folder="x")

    def loaded(workers: int, first: int, cursors: dict[int, Cursor]) -> list[dict[str, object]]:
        batches = BatchSet([source], [config], EXAMPLES, Mix(), BATCHES, folder, first=first, cursors=cursors)
        found = []
        for batch in batch_loader(batches, streams=2, workers=workers):
            found.append(batch)
            if len(found) == 5:
                return found
        return found

    here, there = loaded(0, 0, {}), loaded(2, 0, {})
    for one, other in zip(here, there, strict=True):
        assert one[META] == other[META]
        assert bool((one["input_ids"] == other["input_ids"]).all())  # type: ignore[union-attr]
        assert bool((one["pixel_values"] == other["pixel_values"]).all())  # type: ignore[union-attr]
    # The newest cursor of each stream, as a checkpoint keeps them.
    cursors = {meta["stream"]: Cursor.from_json(meta["cursor"]) for meta in (batch[META] for batch in here[:3])}  # type: ignore[index]
    resumed = loaded(0, 3, cursors)
    assert [batch[META] for batch in resumed[:2]] == [batch[META] for batch in here[3:]]
    with pytest.raises(ConfigurationError, match="multiple of workers"):
        batch_loader(None, streams=2, workers=3)  # type: ignore[arg-type]


def test_a_worker_ends_by_a_signal_of_its_parent_alone(tmp_path: Path) -> None:
    train_stand_in_tokenizer(tmp_path)
    batches = BatchSet([Known()], [SourceConfig(folder="x")], EXAMPLES, Mix(), BATCHES, tmp_path)
    before = set(multiprocessing.active_children())
    loaded = iter(batch_loader(batches, streams=2, workers=1))
    (worker,) = set(multiprocessing.active_children()) - before
    numbers = [next(loaded)[META]["number"]]
    subprocess.run(["kill", "-TERM", str(worker.pid)], check=True)  # as to all processes of a command
    numbers += [next(loaded)[META]["number"] for _ in range(5)]
    assert numbers == list(range(6)) and worker.is_alive()
    worker.terminate()  # as the loader does with one that hangs
    worker.join(timeout=20)
    assert worker.exitcode == 0


def test_frames_that_models_are_judged_by_are_never_learnt(tokenizer: Tokenizer) -> None:
    kept_back = (replace(RECORD, split="validation"), RECORD, replace(RECORD, split="held_out"))
    mixed = stream(tokenizer, sources=(Known(records=kept_back),))
    batches = [mixed.next(step) for step in range(4)]
    assert all(one.id.endswith("1") for drawn in batches for one in drawn.examples)
    counts = sum((drawn.skipped for drawn in batches), Counter())
    assert counts["frame of the split validation"] >= 2 and counts["frame of the split held_out"] >= 2
    alone = stream(tokenizer, sources=(Known(records=kept_back[:1]),))
    with pytest.raises(ConfigurationError, match="expected frames to learn from, .* frame of the split validation"):
        alone.next(0)


def test_scenes_made_for_stage_1_are_not_asked_what_it_never_learns(tmp_path: Path) -> None:
    scenes = tmp_path / "scenes.yaml"
    scenes.write_text("kind: raycast\nscenes: 2\nscenes_per_shard: 1\nview: {sizes: [[64, 48]]}\n")
    (find,) = open_sources((SourceConfig(generate=str(scenes)),), reasons=False)
    (reason,) = open_sources((SourceConfig(generate=str(scenes)),), reasons=True)
    assert isinstance(find, GeneratedSource) and isinstance(reason, GeneratedSource)
    assert find.asked.reasoning == 0 and reason.asked.reasoning > 0 and find.scenes == reason.scenes
    kinds = {question.kind for _, questions in find.pairs(0) for question in questions}
    assert "detection" in kinds and "reasoning" not in kinds


def test_a_data_sets_folder_is_a_source(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow comes with the extra [train]")
    from model_training.data.folder import DatasetFolder

    folder = DatasetFolder.create(tmp_path / "set", "scenes", {"seed": 1}, 2)
    folder.write_frames(1, [RECORD], Counter())
    source = open_source(SourceConfig(folder=str(tmp_path / "set")))
    assert isinstance(source, FolderSource) and source.shards == (1,) and "1 of 2 shards" in source.about
    ((frame, questions),) = source.pairs(1)
    assert frame.id == RECORD.id and questions == ()
    assert source.about == "set (scenes, 1 of 2 shards, without questions)"
    assert open_sources((SourceConfig(folder=str(tmp_path / "set")),), reasons=False) == (source,)
    with pytest.raises(ConfigurationError, match="questions to reason about, got none. Run `n3d dataset questions"):
        open_sources((SourceConfig(folder=str(tmp_path / "set")),), reasons=True)
    with pytest.raises(ConfigurationError, match=r"expected a data set with a file dataset\.json"):
        open_source(SourceConfig(folder=str(tmp_path / "none")))


def test_sources_are_read_from_mappings_and_errors_name_them() -> None:
    (made,) = source_configs(({"folder": "x", "to_step": 10},), "data sources")
    assert made == SourceConfig(folder="x", to_step=10)
    for value, sentence in (
        ({"folder": "x", "wieght": 1}, r"data sources\[0\]: unknown key 'wieght'"),
        ({"weight": 1.0}, "either folder or generate"),
        ({"folder": "x", "from_step": 3, "to_step": 3}, "from_step < to_step"),
        ("x", r"data sources\[0\]: expected folder:"),
    ):
        with pytest.raises(ConfigurationError, match=sentence):
            source_configs((value,), "data sources")
