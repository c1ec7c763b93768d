"""Stages: every shard is made once, whoever makes it and whatever is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="needs the packages of the extra [train]")
from dataset_builders import MakeFrames, SwallowInterrupts, expected_ids, no_depth
from model_training.data import stages
from model_training.data.folder import DatasetFolder
from model_training.data.reports import ShardReport
from model_training.data.stages import EngineOptions, engine_named, run_shards, run_stage
from n3d_ros.errors import BackendError, ConfigurationError

# What Ray itself uses of what it declares deprecated is not for us to mend.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:importlib"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
]

# Not imported here: what silences Ray is read when it is.
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs the packages of the extra [train]")

SHARDS = 6
ROWS = 4


@pytest.fixture(autouse=True)
def _workers_find_the_stages(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{repository}:{repository / 'test'}")


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    return DatasetFolder.create(tmp_path / "set", "test", {"rows": ROWS}, SHARDS)


def ids_in(folder: DatasetFolder) -> list[str]:
    return [frame.id for frame in DatasetFolder.open(folder.path).frames()]


def kill_first_worker_that_begins(begun: Path, *, after: int = 1) -> tuple[threading.Thread, list[str]]:
    """Kills, once, the process that makes a shard, as the system does when memory is short; its mark is noted."""
    killed: list[str] = []

    def kill() -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            marks = sorted(begun.iterdir(), key=lambda mark: int(mark.name.split("-")[2]))
            if len(marks) >= after:
                time.sleep(0.15)  # in the midst of a shard
                os.kill(int(marks[-1].name.split("-")[1]), signal.SIGKILL)
                killed.append(marks[-1].name)
                return
            time.sleep(0.02)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread, killed


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_every_shard_is_made_once_and_a_second_run_makes_none(folder: DatasetFolder, engine: str) -> None:
    stage = MakeFrames(folder=folder, rows=ROWS)
    first = run_stage(stage, folder, "frames", engine=engine, workers=2)
    assert ids_in(folder) == expected_ids(SHARDS, ROWS)
    assert first.rows == SHARDS * ROWS and first.there_before == 0
    assert [one.number for one in first.shards] == list(range(SHARDS))
    again = run_stage(stage, folder, "frames", engine="inline")
    assert again.shards == () and again.there_before == SHARDS


def test_a_part_of_the_shards_can_be_made_here_and_the_rest_elsewhere(folder: DatasetFolder) -> None:
    stage = MakeFrames(folder=folder, rows=ROWS)
    run_stage(stage, folder, "frames", engine="inline", only=(1, 4))
    assert folder.frame_shards == (1, 4) and folder.missing("frames") == (0, 2, 3, 5)
    run_stage(stage, folder, "frames", engine="inline", only=(0, 1, 2))
    assert folder.missing("frames") == (3, 5)


def test_a_shard_that_cannot_be_made_does_not_end_the_others(folder: DatasetFolder) -> None:
    stage = MakeFrames(folder=folder, rows=ROWS, failing=(2,), rejecting=(4,))
    report = run_stage(stage, folder, "frames", engine="inline")
    assert [one.number for one in report.failures] == [2] and "no readable input" in report.failures[0].failure
    assert report.rejects == {"bad_input": 2} and folder.missing("frames") == (2,)


def test_when_every_shard_fails_the_run_fails_with_the_reason(folder: DatasetFolder) -> None:
    with pytest.raises(BackendError, match="None of 3 shards.*nothing has depth here"):
        list(run_shards(no_depth, [0, 1, 2], engine="inline"))


def test_what_would_end_every_shard_the_same_way_ends_the_run(folder: DatasetFolder) -> None:
    done: list[int] = []

    def full(number: int) -> ShardReport:
        done.append(number)
        raise ConfigurationError("no space left")

    with pytest.raises(ConfigurationError, match="no space left"):
        list(run_shards(full, [0, 1, 2], engine="inline"))
    assert done == [0]


def test_a_killed_process_ends_the_run_in_a_sentence_and_the_same_command_goes_on(
    folder: DatasetFolder, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    stage = MakeFrames(folder=folder, rows=ROWS, pause_s=0.5, begun=begun)
    killer, killed = kill_first_worker_that_begins(begun, after=3)
    with pytest.raises(BackendError, match="ended unexpectedly.*the same command makes the rest"):
        run_stage(stage, folder, "frames", engine="processes", workers=2)
    killer.join(timeout=5)
    assert killed
    there = DatasetFolder.open(folder.path).frame_shards
    assert 1 <= len(there) < SHARDS, "what was finished is kept"
    leftovers = [path for path in (folder.path / "frames").iterdir() if path.suffix != ".parquet"]
    assert leftovers, "the killed one was in the midst of a shard"
    begun_again = DatasetFolder.create(folder.path, "test", {"rows": ROWS}, SHARDS)
    run_stage(MakeFrames(folder=begun_again, rows=ROWS), begun_again, "frames", engine="processes", workers=2)
    assert ids_in(folder) == expected_ids(SHARDS, ROWS)
    assert all(path.suffix == ".parquet" for path in (folder.path / "frames").iterdir())


@needs_ray
def test_a_killed_worker_of_ray_loses_nothing_and_doubles_nothing(
    folder: DatasetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    stage = MakeFrames(folder=folder, rows=ROWS, pause_s=0.5, begun=begun)
    killer, killed = kill_first_worker_that_begins(begun, after=3)
    report = run_stage(stage, folder, "frames", engine="ray", workers=2)
    killer.join(timeout=5)
    shard, worker, _ = killed[0].split("-")
    makers = [mark.name.split("-")[1] for mark in begun.iterdir() if mark.name.startswith(f"{shard}-")]
    assert len(makers) == 2 and set(makers) > {worker}, "its shard was begun again, by another one"
    assert [one.number for one in report.shards] == list(range(SHARDS)), "and told once"
    assert ids_in(folder) == expected_ids(SHARDS, ROWS)
    assert all(path.suffix == ".parquet" for path in (folder.path / "frames").iterdir()), "nothing half-written is left"
    said = capsys.readouterr()
    assert "1 worker ended unexpectedly; what was begun was made again." in said.err and said.out == ""


@needs_ray
@pytest.mark.long
def test_a_shard_that_always_kills_its_worker_is_given_up_and_the_others_are_made(folder: DatasetFolder) -> None:
    stage = MakeFrames(folder=folder, rows=ROWS, broken=(3,))
    report = run_stage(stage, folder, "frames", engine="ray", workers=2)
    assert [one.number for one in report.failures] == [3] and report.rejects == {"worker_died": 1}
    assert "4 workers ended unexpectedly" in report.failures[0].failure
    assert folder.missing("frames") == (3,)


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:head", "127.0.0.1:99999"])
def test_a_cluster_that_is_not_there_is_told_at_once(folder: DatasetFolder, address: str) -> None:
    with pytest.raises(BackendError, match=f"--ray-address {address}: no Ray cluster answers there"):
        run_stage(MakeFrames(folder=folder), folder, "frames", ray_address=address)


def test_engines_are_chosen_by_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    has_ray = True
    find = SimpleNamespace(util=SimpleNamespace(find_spec=lambda _name: object() if has_ray else None))
    monkeypatch.setattr(stages, "importlib", find)
    one, two = EngineOptions(), EngineOptions(workers=2)
    assert engine_named("auto", one) is stages.ENGINES["inline"]
    assert engine_named("auto", two) is stages.ENGINES["ray"]
    assert engine_named("auto", EngineOptions(ray_address="auto")) is stages.ENGINES["ray"]
    has_ray = False
    assert engine_named("auto", two) is stages.ENGINES["processes"]
    with pytest.raises(ConfigurationError, match="Ray is not installed"):
        engine_named("ray", two)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "spark"}, "--engine: expected auto"),
        ({"workers": 0}, "--workers: expected 1 or more"),
        ({"engine": "processes", "ray_address": "auto"}, "--ray-address: goes with"),
    ],
)
def test_options_that_fit_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        list(run_shards(no_depth, [0], **options))


@pytest.mark.parametrize("as_error", [False, True])
def test_ctrl_c_that_a_library_swallows_ends_the_run_all_the_same(
    folder: DatasetFolder, as_error: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_stage(SwallowInterrupts(folder=folder, as_error=as_error), folder, "frames", engine="inline")
    assert len(folder.frame_shards) == (0 if as_error else 1)
    assert "Stopped. Finished shards are kept" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is handler


STOPPED = """
import sys
from pathlib import Path
from dataset_builders import MakeFrames
from model_training.data.folder import DatasetFolder
from model_training.data.stages import run_stage

if __name__ == "__main__":
    folder = DatasetFolder.create(sys.argv[1], "test", {"rows": 4}, 6)
    stage = MakeFrames(folder=folder, rows=4, pause_s=0.4, begun=Path(sys.argv[2]))
    try:
        run_stage(stage, folder, "frames", engine=sys.argv[3], workers=2)
    except KeyboardInterrupt:
        print("stopped", flush=True)
        sys.exit(130)
"""


@pytest.mark.parametrize("engine", ["processes", pytest.param("ray", marks=[pytest.mark.long, needs_ray])])
def test_ctrl_c_stops_workers_at_once_and_the_same_command_goes_on(
    tmp_path: Path, repository: Path, engine: str
) -> None:
    begun, script = tmp_path / "begun", tmp_path / "stopped.py"
    begun.mkdir()
    script.write_text(STOPPED)
    environ = os.environ | {"PYTHONPATH": f"{repository}:{repository / 'test'}"}
    command = [sys.executable, str(script), str(tmp_path / "set"), str(begun), engine]
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 90
    while not list(begun.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the whole group
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and output == "stopped\n", errors
    assert "Traceback" not in errors
    folder = DatasetFolder.create(tmp_path / "set", "test", {"rows": 4}, 6)
    assert folder.missing("frames")
    run_stage(MakeFrames(folder=folder), folder, "frames", engine="inline")
    assert ids_in(folder) == expected_ids(6, 4)


@needs_ray
@pytest.mark.long
def test_the_same_stage_runs_on_a_ray_cluster_that_is_there(
    folder: DatasetFolder, tmp_path: Path, repository: Path
) -> None:
    psutil = pytest.importorskip("psutil", reason="needs the packages of the extra [train]")
    ray = str(Path(sys.executable).with_name("ray"))
    environ = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    short = tempfile.mkdtemp(prefix="n3d_head_", dir="/tmp")  # names of sockets are limited
    options = ["--port=0", "--num-cpus=2", "--include-dashboard=false", f"--temp-dir={short}", "--block"]
    with (tmp_path / "head.log").open("w+") as log:
        head = subprocess.Popen([ray, "start", "--head", *options], env=environ, stdout=log, stderr=log)
        try:
            address = None
            deadline = time.monotonic() + 60
            while address is None and time.monotonic() < deadline:
                time.sleep(0.2)
                found = [word for word in (tmp_path / "head.log").read_text().split() if "--address=" in word]
                address = found[0].partition("=")[2].strip("'\"") if found else None
            assert address, (tmp_path / "head.log").read_text()
            stage = MakeFrames(folder=folder, rows=ROWS)
            run_stage(stage, folder, "frames", engine="auto", workers=2, ray_address=address)
        finally:
            started = psutil.Process(head.pid).children(recursive=True)
            for process in [*started, head]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            head.wait(timeout=30)
            shutil.rmtree(short, ignore_errors=True)
    assert ids_in(folder) == expected_ids(SHARDS, ROWS)
