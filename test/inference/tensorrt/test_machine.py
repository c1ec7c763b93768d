"""What of a machine an engine depends on, read from trees of files as drivers and boards write them."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="the extra [model] is not installed")

import torch

from n3d_ros.errors import BackendError
from n3d_ros.inference.tensorrt.machine import (
    UNKNOWN,
    Machine,
    choose_gpu,
    driver_version,
    jetpack_release,
    this_machine,
)

MODULE, DRIVER, TEGRA = "sys/module/nvidia/version", "proc/driver/nvidia/version", "etc/nv_tegra_release"
ORIN = Machine(
    tensorrt="10.3.0.30", driver="540.4.0", gpu="Orin", compute_capability="8.7", multiprocessors=16, jetpack="R36.4.3"
)
OF_X86 = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n"
    "GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04)\n"
)
OF_JETSON = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build  (buildbrain@mobile-u64-6422)  "
    "Tue Jan  7 17:24:37 PST 2025\nGCC version:  collect2: error: ld returned 1 exit status\n"
)
R36 = (
    "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, "
    "DATE: Wed Jan  8 01:49:37 UTC 2025\n"
    "# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n"
)


def tree(root: Path, **files: str | bytes) -> Path:
    """A file system with some files, named module, driver and tegra."""
    for name, content in files.items():
        file = root / {"module": MODULE, "driver": DRIVER, "tegra": TEGRA}[name]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"module": "570.86.15\n"}, "570.86.15"),
        ({"module": "540.4.0"}, "540.4.0"),
        ({"driver": OF_X86}, "535.104.05"),
        ({"driver": OF_JETSON}, "540.4.0"),
        ({"module": "570.86.15\n", "driver": OF_X86}, "570.86.15"),
        ({"module": "", "driver": OF_X86}, "535.104.05"),
        ({"module": "none\n", "driver": "no such thing\n"}, UNKNOWN),
        ({"driver": b"\xff\xfe\x00"}, UNKNOWN),
        ({}, UNKNOWN),
    ],
)
def test_the_driver_is_read_from_what_its_module_says(
    files: dict[str, str | bytes], expected: str, tmp_path: Path
) -> None:
    assert driver_version(tree(tmp_path, **files)) == expected


def test_a_folder_where_the_driver_should_speak_says_nothing(tmp_path: Path) -> None:
    (tmp_path / MODULE).mkdir(parents=True)
    (tmp_path / TEGRA).mkdir(parents=True)
    assert driver_version(tmp_path) == UNKNOWN
    assert jetpack_release(tmp_path) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (R36, "R36.4.3"),
        ("# R36 (release), REVISION: 2.0, GCID: 35084178, BOARD: generic, EABI: aarch64", "R36.2.0"),
        ("# R39 (release), REVISION: 2.0, GCID: 40000000, BOARD: generic, EABI: aarch64", "R39.2.0"),
        ("# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t186ref, EABI: aarch64", "R32.7.1"),
        ("", ""),
        ("NAME=Ubuntu\n", ""),
        (None, ""),
    ],
)
def test_the_release_of_a_jetson_is_read_from_its_file(text: str | None, expected: str, tmp_path: Path) -> None:
    assert jetpack_release(tree(tmp_path, **({} if text is None else {"tegra": text}))) == expected


def test_every_field_of_a_machine_is_a_fact_in_words() -> None:
    assert ORIN.facts() == {
        "tensorrt": "10.3.0.30", "driver": "540.4.0", "gpu": "Orin", "compute_capability": "8.7",
        "multiprocessors": "16", "jetpack": "R36.4.3",
    }  # fmt: skip
    assert set(ORIN.facts()) == {entry.name for entry in fields(Machine)}


def test_a_console_is_told_what_the_machine_is() -> None:
    assert ORIN.in_words() == "Orin (8.7, 16 SM), TensorRT 10.3.0.30, driver 540.4.0, R36.4.3"
    assert replace(ORIN, jetpack="").in_words() == "Orin (8.7, 16 SM), TensorRT 10.3.0.30, driver 540.4.0"


def test_this_machine_is_what_torch_and_the_system_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def properties(device: object) -> SimpleNamespace:
        asked.append(device)
        return SimpleNamespace(name="Orin", major=8, minor=7, multi_processor_count=16)

    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    device = torch.device("cuda", 1)
    root = tree(tmp_path, driver=OF_JETSON, tegra=R36)
    assert this_machine("10.3.0.30", device, root=root) == ORIN
    assert asked == [device]


@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_a_gpu_is_taken_as_it_is(name: str) -> None:
    assert choose_gpu(torch.device(name)) == torch.device(name)


def test_a_cpu_is_refused_with_what_runs_there() -> None:
    with pytest.raises(BackendError, match=r"device cpu.*language_model\.backend: onnx") as raised:
        choose_gpu(torch.device("cpu"))
    assert raised.value.reason == "no_gpu"
