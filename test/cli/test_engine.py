"""``n3d engine build``, ``list``, ``verify`` and ``clean`` from the command line, as far as they need no GPU."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from n3d_ros.cli import main as cli
from n3d_ros.inference.graphs import GRAPHS_FILE, LanguageModelGraphs, write_graphs
from n3d_ros.inference.tensorrt.store import ENGINE_FILE, EngineKey, EngineRecord, EngineStore, StoredEngine
from n3d_ros.whole_files import file_digest

NEEDED = (
    "vision.onnx", "vision.data", "decoder.onnx", "decoder.data", "embedding.safetensors", "config.json",
)  # fmt: skip
GRAPHS = LanguageModelGraphs(
    name="n3d-nano", source="n3d-nano", made_with={"torch": "2.13.0"}, dtype="float32", licence="Apache-2.0",
    attention="fused",
    position_code="aligned", image_token=3303, vocab_size=3328, layers=4, cache_width=320, head_dim=32,
    rope_theta=10000.0, rope_sections=(4, 6, 6), vision_width=128, vision_head_dim=32, vision_window=4, vision_merge=2,
    vision_theta=10000.0, point_channels=True, grid=None, files=dict.fromkeys(NEEDED, "00"),
)  # fmt: skip
GOLDENS_FILE = "goldens.safetensors"
DAY_S = 24 * 3600


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def add_engine(cache: Path, name: str, *, age_days: float = 0.0, **facts: str) -> StoredEngine:
    """An engine of made-up plans that was loaded so many days ago."""
    store = EngineStore(cache)
    key = EngineKey(
        facts={"graphs": name, "precision": "bfloat16", "capacity": "2048", "gpu": "Orin", "compute_capability": "8.7"}
        | {"tensorrt": "10.3.0.30", "driver": "540.4.0"}
        | facts
    )
    with store.building() as staging:
        plan = staging / "decoder.plan"
        plan.write_bytes(name.encode() * 1000)
        record = EngineRecord(
            name=name, source=f"/graphs/{name}", facts=dict(key.facts), form="fused",
            files={plan.name: file_digest(plan)}, bytes=plan.stat().st_size, built=time.time(), build_s=83.4,
            notes=("TensorRT 10.3.0.30: a note.",),
        )  # fmt: skip
        entry = store.keep(staging, key, record)
    used = time.time() - age_days * DAY_S
    os.utime(entry.folder / ENGINE_FILE, (used, used))
    return entry


def lose_description(entry: StoredEngine) -> None:
    file = entry.folder / ENGINE_FILE
    used = entry.used
    file.write_bytes(file.read_bytes()[:40])
    os.utime(file, (used, used))


def change_plan(entry: StoredEngine) -> None:
    plan = entry.folder / "decoder.plan"
    content = bytearray(plan.read_bytes())
    content[500] ^= 1
    plan.write_bytes(content)


def short(entry: StoredEngine) -> str:
    """The name that `n3d engine list` shows."""
    return entry.folder.name[:12]


def left_in(cache: Path) -> set[Path]:
    return {entry.folder for entry in EngineStore(cache).entries()}


def test_a_cache_without_engines_is_listed_as_such_and_not_made(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["engine", "list", "--cache", str(cache)]) == 0
    assert capsys.readouterr().out == f"No engine in {cache / 'engines'}.\n"
    assert not cache.exists()


def test_the_usual_cache_is_that_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    entry = add_engine(tmp_path / "n3d_ros", "nano")
    assert cli.main(["engine", "list"]) == 0
    assert f"1 engines in {tmp_path / 'n3d_ros' / 'engines'}" in capsys.readouterr().out
    assert cli.main(["engine", "clean", "--all"]) == 0
    assert not entry.folder.exists()


def test_engines_are_listed_with_what_they_are_for_and_damage_is_named(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, damaged = add_engine(cache, "nano"), add_engine(cache, "n3d-vlm", age_days=2)
    lose_description(damaged)
    assert cli.main(["engine", "list", "--cache", str(cache)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{short(whole)}  nano, bfloat16, fused attention, up to 2048 tokens, ")
    assert lines[1].strip() == "Orin (8.7), TensorRT 10.3.0.30, driver 540.4.0"
    assert " in 83 s, used " in lines[2] and lines[2].endswith(", of /graphs/nano")
    assert lines[3].strip() == "TensorRT 10.3.0.30: a note."
    assert lines[4].startswith(f"{short(damaged)}  damaged: {ENGINE_FILE} is missing or cannot be read, ")
    assert lines[5].startswith(f"2 engines in {cache / 'engines'}, ")
    assert len(lines) == 6


def test_whole_engines_are_verified(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = add_engine(cache, "nano")
    assert cli.main(["engine", "verify", "--cache", str(cache)]) == 0
    assert capsys.readouterr().out == f"{short(entry)}  nano: every byte is the one that was tested\n"


def test_a_cache_without_engines_has_nothing_that_is_wrong(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["engine", "verify", "--cache", str(cache)]) == 0
    assert "No engine in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (change_plan, "n3d-vlm: decoder.plan is not the file that was tested"),
        (lambda entry: (entry.folder / "decoder.plan").unlink(), "n3d-vlm: decoder.plan is not there"),
        (lose_description, f"?: {ENGINE_FILE} is missing or cannot be read"),
    ],
)
def test_a_damaged_engine_fails_verification_by_name(
    damage: Callable[[StoredEngine], None], line: str, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, damaged = add_engine(cache, "nano"), add_engine(cache, "n3d-vlm")
    damage(damaged)
    assert cli.main(["engine", "verify", "--cache", str(cache)]) == cli.EXIT_FAILED
    lines = capsys.readouterr().out.splitlines()
    assert f"{short(damaged)}  {line}" in lines
    assert f"{short(whole)}  nano: every byte is the one that was tested" in lines
    assert lines[-1].startswith("1 of 2 engines cannot be used") and "--damaged" in lines[-1]


def test_an_engine_is_removed_by_the_beginning_of_its_name(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone, stays = add_engine(cache, "nano"), add_engine(cache, "n3d-vlm")
    assert cli.main(["engine", "clean", short(gone), "--cache", str(cache)]) == 0
    out = capsys.readouterr().out
    assert short(gone) in out and "1 engines removed of" in out and short(stays) not in out
    assert left_in(cache) == {stays.folder}


def test_an_engine_that_is_meant_twice_is_removed_once(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = add_engine(cache, "nano")
    assert cli.main(["engine", "clean", short(gone), gone.folder.name, "--all", "--cache", str(cache)]) == 0
    assert "1 engines removed of" in capsys.readouterr().out
    assert left_in(cache) == set()


@pytest.mark.parametrize("length", [0, 1, 3])
def test_a_name_that_is_too_short_removes_nothing(length: int, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = add_engine(cache, "nano")
    command = ["engine", "clean", entry.folder.name[:length], "--cache", str(cache)]
    assert cli.main(command) == cli.EXIT_FAILED
    assert "4 letters or more" in capsys.readouterr().err
    assert left_in(cache) == {entry.folder}


@pytest.mark.parametrize(("name", "found"), [("abcd", 2), ("ffff", 0), ("ABCD", 0), ("../engines", 0)])
def test_a_name_that_several_or_none_have_removes_nothing(
    name: str, found: int, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for end in ("0", "1"):
        (cache / "engines" / f"abcd{end * 28}").mkdir(parents=True)
    unique = f"abcd{'0' * 28}"
    assert cli.main(["engine", "clean", unique, name, "--cache", str(cache)]) == cli.EXIT_FAILED
    assert f"Engine {name}: " in (told := capsys.readouterr().err) and f"{found} fit" in told
    assert len(left_in(cache)) == 2  # the good name beside it neither


@pytest.mark.parametrize("damage", [change_plan, lose_description])
def test_damaged_engines_are_removed_and_whole_ones_stay(
    damage: Callable[[StoredEngine], None], cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, damaged = add_engine(cache, "nano"), add_engine(cache, "n3d-vlm")
    damage(damaged)
    assert cli.main(["engine", "clean", "--damaged", "--cache", str(cache)]) == 0
    assert "1 engines removed of" in capsys.readouterr().out
    assert left_in(cache) == {whole.folder}


def test_engines_that_were_not_used_for_long_are_removed(cache: Path) -> None:
    ages = {name: add_engine(cache, name, age_days=days) for name, days in (("a", 0), ("b", 29.9), ("c", 30.1))}
    assert cli.main(["engine", "clean", "--unused-days", "30", "--cache", str(cache)]) == 0
    assert left_in(cache) == {ages["a"].folder, ages["b"].folder}
    assert cli.main(["engine", "clean", "--unused-days", "0", "--cache", str(cache)]) == 0
    assert left_in(cache) == set()


@pytest.mark.parametrize("days", ["-1", "nan"])
def test_days_that_are_none_remove_nothing(days: str, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_engine(cache, "one")
    before = left_in(cache)
    assert cli.main(["engine", "clean", f"--unused-days={days}", "--cache", str(cache)]) == cli.EXIT_FAILED
    assert "--unused-days: expected 0 or more" in capsys.readouterr().err
    assert left_in(cache) == before


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_runtime_is_tested_with_a_folder_alone(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["engine", "verify", "--backend", backend]) == cli.EXIT_FAILED
    assert "name the folder of graphs to test" in capsys.readouterr().err


def test_a_dry_run_tells_all_and_removes_nothing(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [add_engine(cache, "nano"), add_engine(cache, "n3d-vlm")]
    assert cli.main(["engine", "clean", "--all", "--dry-run", "--cache", str(cache)]) == 0
    out = capsys.readouterr().out
    assert "2 engines would be removed, " in out and all(short(entry) in out for entry in entries)
    assert left_in(cache) == {entry.folder for entry in entries}


def test_all_engines_are_removed(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("nano", "n3d-vlm"):
        add_engine(cache, name)
    assert cli.main(["engine", "clean", "--all", "--cache", str(cache)]) == 0
    assert "2 engines removed of" in capsys.readouterr().out
    assert left_in(cache) == set()


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_cleaning_without_a_choice_is_refused(more: list[str], cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = add_engine(cache, "nano")
    assert cli.main(["engine", "clean", "--cache", str(cache), *more]) == cli.EXIT_FAILED
    assert "--all, --damaged or --unused-days" in capsys.readouterr().err
    assert left_in(cache) == {entry.folder}


def test_nothing_is_removed_while_an_engine_is_built(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = add_engine(cache, "nano")
    with EngineStore(cache).building():
        assert cli.main(["engine", "clean", "--all", "--cache", str(cache)]) == cli.EXIT_FAILED
    assert "An engine is being built" in capsys.readouterr().err
    assert left_in(cache) == {entry.folder}


@pytest.mark.parametrize("command", ["build", "verify"])
def test_without_tensorrt_it_says_how_to_get_it(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("torch", "tokenizers", "safetensors"):
        pytest.importorskip(package, reason="the extra [model] is not installed")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    write_graphs(tmp_path / "graphs", GRAPHS)
    arguments = ["engine", command, str(tmp_path / "graphs"), "--cache", str(tmp_path / "cache")]
    assert cli.main(arguments) == cli.EXIT_FAILED
    told = capsys.readouterr().err
    assert "TensorRT does not import" in told and "JetPack" in told and "pip install tensorrt" in told
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("command", ["build", "verify"])
def test_a_folder_without_graphs_is_told_how_to_make_them(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="the extra [model] is not installed")
    assert cli.main(["engine", command, str(tmp_path), "--cache", str(tmp_path / "cache")]) == cli.EXIT_FAILED
    assert "n3d export MODEL --out FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--capacity", "511"], "512 to 32768 tokens, got 511"),
        (["--capacity", "32769"], "512 to 32768 tokens, got 32769"),
        (["--workspace-gb", "-1"], "0 to 1024 GB, got -1"),
        (["--workspace-gb", "nan"], "0 to 1024 GB, got nan"),
    ],
)
def test_options_out_of_range_are_refused_before_anything_is_read(
    arguments: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="the extra [model] is not installed")
    assert cli.main(["engine", "build", str(tmp_path / "nowhere"), *arguments]) == cli.EXIT_FAILED
    assert named in capsys.readouterr().err


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged model as float32 graphs of any image size."""
    for package in ("torch", "transformers", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="the extra [model] is not installed")
    out = tmp_path_factory.mktemp("exported") / "nano"
    assert cli.main(["export", "n3d-nano", "--out", str(out)]) == 0
    return out


def verify_onnx(folder: Path) -> int:
    return cli.main(["engine", "verify", str(folder), "--backend", "onnx", "--device", "cpu"])


def replaced_goldens(exported: Path, out: Path, kind: str) -> Path:
    """A copy of a folder of graphs whose self-test expects other numbers, and whose checksums are right."""
    from n3d_ros.inference.self_test import read_goldens, write_goldens

    shutil.copytree(exported, out)
    goldens = read_goldens(out / GOLDENS_FILE)
    random = np.random.default_rng(7)
    if kind == "visual":
        goldens = replace(goldens, visual=random.permuted(goldens.visual, axis=1))
    else:
        places = goldens.places[kind]
        spread = places.logits.std()
        noise = random.normal(scale=spread, size=places.logits.shape).astype(np.float32)
        goldens = replace(goldens, places={**goldens.places, kind: replace(places, logits=places.logits + noise)})
    write_goldens(out / GOLDENS_FILE, goldens)
    description = json.loads((out / GRAPHS_FILE).read_text())
    description["files"][GOLDENS_FILE] = file_digest(out / GOLDENS_FILE)
    (out / GRAPHS_FILE).write_text(json.dumps(description))
    return out


@pytest.mark.timeout(300)
def test_onnx_runtime_says_what_the_network_says(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert verify_onnx(exported) == 0
    out = capsys.readouterr().out
    assert out.endswith("onnx says what the network says\n") and "not the network" not in out
    for words in ("picture", "answer, several at a time", "text behind 448 tokens", "text behind 1472 tokens", "boxes"):
        assert words in out
    assert "No engine" not in out  # the cache of engines is not looked at


@pytest.mark.timeout(300)
def test_pytorch_is_tested_with_the_very_weights_of_the_graphs(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["engine", "verify", "--backend", "torch", "--device", "cpu"]
    assert cli.main([*command, str(exported)]) == 0
    assert capsys.readouterr().out.endswith("torch says what the network says\n")
    other = tmp_path / "other"
    shutil.copytree(exported, other)
    about = json.loads((other / GRAPHS_FILE).read_text())
    about["weights_files"] = dict.fromkeys(about["weights_files"], "00")
    (other / GRAPHS_FILE).write_text(json.dumps(about))
    assert cli.main([*command, str(other)]) == cli.EXIT_FAILED
    assert "its weights are not those that the graphs were made of" in " ".join(capsys.readouterr().err.split())


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kind", "named", "unnamed"),
    [
        ("448", "text448_steps_cosine", "text1472"),
        ("1472", "text1472_pieces_cosine", "text448"),
        ("picture", "picture_steps_cosine", "text448"),
        ("visual", "vision_cosine", "text448"),
    ],
)
def test_a_runtime_that_says_something_else_fails_with_what_it_says(
    kind: str, named: str, unnamed: str, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = replaced_goldens(exported, tmp_path / "other", kind)
    capsys.readouterr()
    assert verify_onnx(folder) == cli.EXIT_FAILED
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("not the network: ")]
    assert any(named in line and "expected at least 0.999" in line for line in told)
    assert not any(unnamed in line for line in told)


@pytest.mark.timeout(300)
def test_goldens_that_are_not_those_of_the_export_are_refused(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = replaced_goldens(exported, tmp_path / "other", "448")
    shutil.copy(exported / GRAPHS_FILE, folder / GRAPHS_FILE)
    assert verify_onnx(folder) == cli.EXIT_FAILED
    assert "goldens.safetensors: expected sha256" in capsys.readouterr().err
