"""What figures were measured on, from made-up files; memory and processor time of this very process."""

from __future__ import annotations

import json
import math
import os
import platform
import socket
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from n3d_ros.bench import machine
from n3d_ros.bench.machine import cpu_name, gpu_facts, machine_facts, versions
from n3d_ros.bench.process import cpu_seconds, forget_peak, resident_bytes


def test_the_processor_is_named_by_the_kernel_and_else_by_its_board(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_text("NVIDIA Jetson AGX Orin\0")
    assert cpu_name(tmp_path) == "NVIDIA Jetson AGX Orin"
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n")
    assert cpu_name(tmp_path) == "Some CPU @ 2 GHz"


def test_a_machine_is_told_without_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "etc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:       16777216 kB\n")
    (tmp_path / "etc/os-release").write_text('NAME="Some"\nPRETTY_NAME="Some Linux 12"\n')
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    for file in ("etc/hostname", "proc/sys/kernel/hostname"):
        (tmp_path / file).write_text("secret-robot-7\n")
    uname = ("Linux", "secret-robot-7", "6.1.0", "#1", "x86_64")
    monkeypatch.setattr(platform, "uname", lambda: platform.uname_result(*uname))
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(uname))
    monkeypatch.setattr(socket, "gethostname", lambda: "secret-robot-7")
    facts = machine_facts(tmp_path)
    assert facts["memory_gib"] == 16.0 and facts["os"] == "Some Linux 12" and facts["cores"] >= 1
    assert facts["kernel"] == "6.1.0"
    assert "secret-robot-7" not in json.dumps(facts)


def test_versions_name_what_is_installed_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def of(name: str) -> str:
        if name != "onnxruntime":
            raise PackageNotFoundError(name)
        return "1.2.3"

    monkeypatch.setattr(machine, "version", of)
    assert versions() == {"onnxruntime": "1.2.3"}


def test_gpus_are_those_that_the_driver_tells_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpu_query", lambda _keys: [["Some GPU", "999.1", "8192"], ["broken"]])
    assert gpu_facts() == [{"name": "Some GPU", "driver_version": "999.1", "memory.total": "8192"}]
    monkeypatch.undo()
    monkeypatch.setattr(machine.shutil, "which", lambda _name: None)
    assert gpu_facts() == []


def test_memory_and_time_of_a_process_come_from_the_kernel(tmp_path: Path) -> None:
    assert 0 < resident_bytes() <= resident_bytes(peak=True)
    assert cpu_seconds(os.getpid()) > 0
    assert not forget_peak(tmp_path)
    assert math.isnan(resident_bytes(1, proc=tmp_path)) and math.isnan(cpu_seconds(1, proc=tmp_path))
    (tmp_path / "7").mkdir()
    (tmp_path / "7/status").write_text("VmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n")
    assert resident_bytes(7, proc=tmp_path) == 2**20
    assert resident_bytes(7, peak=True, proc=tmp_path) == 2**21
