"""What a borrowed machine with a GPU gets: small packages it misses, clear words about the rest, the command."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
import zipfile
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest


def load_script(path: Path) -> ModuleType:
    """A script without the ending .py as a module."""
    loader = SourceFileLoader(path.name, str(path))
    spec = importlib.util.spec_from_loader(path.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def job(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/gpu_job with an empty folder of carried things."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = load_script(repository / "scripts/gpu_job")
    monkeypatch.setattr(module, "CARRIED", tmp_path / "carried")
    return module


def carry(job: ModuleType, distribution: str, module: str) -> None:
    """Nothing; puts a wheel with one module among what is carried."""
    folder = job.CARRIED / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{distribution.replace('-', '_')}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{module}.py", "VALUE = 1\n")


def pack(job: ModuleType, folder: Path, *distributions: str) -> None:
    """Nothing; packs one module of each distribution's name as scripts/prepare_gpu_job --for training does."""
    job.CARRIED.mkdir(parents=True, exist_ok=True)
    with tarfile.open(job.CARRIED / "packages.tar.xz", "w:xz") as tar:
        for distribution in distributions:
            name = distribution.replace("-", "_")
            (folder / name).mkdir(parents=True)
            (folder / name / f"{name}_module.py").write_text("VALUE = 1\n")
            tar.add(folder / name, arcname=name)


def test_of_the_archive_only_what_is_missing_is_unpacked(job: ModuleType, tmp_path: Path) -> None:
    pack(job, tmp_path / "packed", "odd-name", "numpy", "beside-it")
    job.BESIDE = {"odd-name": ("beside-it",)}
    there = tmp_path / "there"
    modules = {"odd_name_module": "odd-name", "numpy": "numpy", "no_such_module": "no-such"}
    assert job.take_packed(modules, there) == ["no-such"]
    assert sorted(file.name for file in there.glob("*.py")) == ["beside_it_module.py", "odd_name_module.py"]
    (job.CARRIED / "packages.tar.xz").unlink()
    assert job.take_packed({"odd_name_module": "odd-name"}, there) == [], "it was unpacked before"


def test_a_missing_package_is_taken_from_what_is_carried(job: ModuleType, tmp_path: Path) -> None:
    carry(job, "odd-name", "odd_module")
    assert job.take_carried({"odd_module": "odd-name", "sys": "python"}, tmp_path / "there") == []
    assert (tmp_path / "there/odd_module.py").is_file()


def test_a_package_that_is_there_is_not_taken(job: ModuleType, tmp_path: Path) -> None:
    carry(job, "numpy", "numpy")
    assert job.take_carried({"numpy": "numpy"}, tmp_path / "there") == []
    assert not (tmp_path / "there").exists()


def test_what_is_missing_is_named_and_nothing_runs(
    job: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(job, "NEEDED", {"numpy": "numpy", "no_such_module": "no-such-package"})
    monkeypatch.setattr(job.os, "execvpe", lambda *_: pytest.fail("the command was run"))
    assert job.main(["python3", "-c", "pass"]) == 3
    printed = capsys.readouterr()
    assert "missing: no-such-package" in printed.err
    assert "prepare_gpu_job" in printed.err


def test_what_was_taken_from_a_wheel_is_not_told_to_be_lacking(
    job: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    carry(job, "odd-name", "odd_module")
    monkeypatch.setattr(job, "NEEDED", {"odd_module": "odd-name"})
    monkeypatch.setattr(job, "WELCOME", {})
    monkeypatch.setattr(job, "TRAINING", {"no_such_module": "no-such-package"})
    monkeypatch.setattr(job.os, "execvpe", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    job.main(["python3", "-c", "pass"])
    assert "may lack: no-such-package\n" in capsys.readouterr().out


def test_the_command_runs_with_this_interpreter_and_finds_the_checkout(
    job: ModuleType, repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = []
    monkeypatch.setattr(job, "NEEDED", {})
    monkeypatch.setattr(job, "WELCOME", {})
    monkeypatch.setattr(job, "TRAINING", {})
    monkeypatch.setattr(job.os, "execvpe", lambda *arguments: calls.append(arguments))
    monkeypatch.chdir(tmp_path)
    job.main(["python3", "-m", "benchmarks", "--x"])
    ((program, command, environment),) = calls
    assert (program, command) == (sys.executable, [sys.executable, "-m", "benchmarks", "--x"])
    assert environment["PYTHONPATH"].startswith(f"{repository}:")
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert Path.cwd() == repository


def test_without_a_command_it_says_how_it_is_used(repository: Path) -> None:
    answer = subprocess.run(
        [sys.executable, repository / "scripts/gpu_job"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 2
    assert "gpu_job COMMAND" in answer.stderr


def test_every_wheel_to_carry_has_its_pin(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    script = load_script(repository / "scripts/prepare_gpu_job")
    for version in ("3.10", "3.12"):
        pins = script.pins(version)
        assert len(pins) == len(script.WHEELS)
        training = script.pins(version, script.TRAINING, script.TRAINING_PINS)
        assert {pin.partition("==")[0].lower() for pin in training} >= {*script.TRAINING} - {"mujoco-core"}
        assert all("==" in pin and ";" not in pin for pin in [*pins, *training])
    sys.path.remove(str(repository / "scripts"))


def test_what_the_job_takes_is_what_is_carried(job: ModuleType, repository: Path) -> None:
    script = load_script(repository / "scripts/prepare_gpu_job")
    built_with_torch = {"torch", "transformers", "numpy", "tokenizers", "safetensors", "huggingface_hub"}
    assert {*job.NEEDED.values(), *job.WELCOME.values()} - built_with_torch == set(script.WHEELS)
    beside = {further for names in job.BESIDE.values() for further in names}
    assert {*job.TRAINING.values(), *beside} <= set(script.TRAINING)
