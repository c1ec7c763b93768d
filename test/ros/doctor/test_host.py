"""Facts of this machine: of /proc, of shared memory and of identifiers."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from n3d_ros.ros.doctor import host


def test_the_machine_tells_what_it_has() -> None:
    facts = host.examine_host((0, 0))
    assert facts.cores >= 1 and facts.disk_free_bytes > 0
    if Path("/proc/meminfo").is_file():
        assert 0 < facts.memory_free_bytes <= facts.memory_bytes
    assert facts.busy_share is None or 0 <= facts.busy_share <= 1


def test_a_folder_that_is_not_there_has_no_free_space(tmp_path: Path) -> None:
    assert host.examine_host((0, 0), str(tmp_path / "none")).disk_free_bytes == 0


@pytest.fixture
def segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(host, "SHARED_MEMORY", tmp_path)
    for name, size in (("fastdds_00000000000000aa", 1000), ("fastdds_00000000000000bb", 5000), ("other", 9)):
        (tmp_path / name).write_bytes(b"0" * size)
        (tmp_path / f"{name}_el").touch()
    return tmp_path


def test_a_segment_belongs_to_the_process_that_locks_it_and_is_stale_without(segments: Path) -> None:
    with (segments / "fastdds_00000000000000aa_el").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if Path(lock.name).stat().st_ino not in host.locked_inodes():
            pytest.skip("the kernel does not show locks here")
        assert host.process_facts(os.getpid()).segment_bytes == 1000
        assert host.stale_segments() == [5000]


def test_variables_of_a_process_are_only_those_of_the_middleware() -> None:
    variables = host.process_facts(os.getpid()).variables
    assert variables is None or set(variables) <= set(host.MIDDLEWARE_VARIABLES)


def gid(host_id: bytes, pid: int, vendor: bytes = b"\x01\x0f") -> bytes:
    return vendor + host_id + (pid & 0xFFFF).to_bytes(2, "little") + bytes(10)


def test_an_end_is_told_to_be_here_elsewhere_or_unknown() -> None:
    own = gid(b"\x12\x34", os.getpid())
    assert host.process_of_gid(gid(b"\x12\x34", os.getpid()), own)[0] is True
    assert host.process_of_gid(gid(b"\x99\x99", 1), own) == (False, None)
    assert host.process_of_gid(gid(b"\x12\x34", 1, vendor=b"\x01\x10"), own) == (None, None)
    assert host.process_of_gid(b"\x01", own) == (None, None)
    assert host.process_of_gid(own, gid(b"\x12\x34", os.getpid() + 1)) == (None, None)


def test_packages_are_found_with_their_versions() -> None:
    versions = host.package_versions()
    assert versions["numpy"] and "." in versions["numpy"]


def test_domains_are_told_by_the_ports_that_processes_hold(segments: Path) -> None:
    for port in (7413, 7413 + 24 * 250, 7006):
        (segments / f"fastdds_port{port}_el").touch()
    with (segments / f"fastdds_port{7413 + 24 * 250}_el").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if Path(lock.name).stat().st_ino not in host.locked_inodes():
            pytest.skip("the kernel does not show locks here")
        assert host.domains_here() == {24: (os.getpid(),)}
