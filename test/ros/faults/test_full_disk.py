"""A disk that fills up while a bag is written: one typed error, and nothing that looks like a whole bag."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from n3d_ros.errors import BagError
from n3d_ros.ros.bag import BagReader, BagWriter
from n3d_ros.ros.image_codec import rgb_to_image_msg
from node_harness import FRAME, NodeClient, ros_environment, wait_until

DISK_MB = 4
SECOND = 1_000_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes; without the right to mount one, the test is left out."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def noise(seed: int, stamp_ns: int) -> object:
    """A picture that no compression makes smaller."""
    rgb = np.random.default_rng(seed).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    return rgb_to_image_msg(rgb, stamp_ns=stamp_ns, frame_id=FRAME)


def assert_nothing_passes_for_a_bag(disk: Path, name: str, most_readable: int) -> None:
    """Fails when the bag has its name, or when what is left of it cannot be read or says that it is whole."""
    assert not (disk / name).exists()
    part = disk / f"{name}.part" / name
    if not any(part.glob("*")):
        return
    with suppress(BagError), BagReader(part) as reader:
        readable = sum(1 for _ in reader.readable_messages())
        assert readable <= most_readable
        for message in reader.readable_messages():
            message.deserialize()


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_that_does_not_fit_ends_with_a_typed_error_and_keeps_no_false_name(
    small_disk: Path, storage: str
) -> None:
    written = 0
    with pytest.raises(BagError, match="No space left|full") as raised:  # noqa: PT012, SIM117 -- it ends the writer
        with BagWriter(small_disk / "bag", storage=storage) as writer:
            for number in range(1000):
                writer.write("/image", (number + 1) * SECOND, noise(number, (number + 1) * SECOND))
                written += 1
    assert str(small_disk / "bag") in raised.value.message
    assert_nothing_passes_for_a_bag(small_disk, "bag", written + 1)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_whose_end_does_not_fit_is_no_bag(small_disk: Path, storage: str) -> None:
    with pytest.raises(BagError), BagWriter(small_disk / "bag", storage=storage) as writer:  # noqa: PT012
        for number in range(3):
            writer.write("/image", (number + 1) * SECOND, noise(number, SECOND))
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
    assert_nothing_passes_for_a_bag(small_disk, "bag", 3)


def test_a_place_freed_again_takes_the_bag(small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(1 << 20))
    with pytest.raises(BagError), BagWriter(small_disk / "bag") as writer:  # noqa: PT012
        for number in range(1000):
            writer.write("/image", number + 1, noise(number, SECOND))
    filler.unlink()
    with BagWriter(small_disk / "bag", force=True) as writer:
        writer.write("/image", SECOND, noise(1, SECOND))
    with BagReader(small_disk / "bag") as reader:
        assert reader.message_count == 1


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_recording_ends_by_itself_with_one_sentence_and_an_exit_code(small_disk: Path, storage: str) -> None:
    output = small_disk / "kitchen"
    command = [sys.executable, "-m", "n3d_ros.cli", "record", "-o", str(output), "--storage", storage, "/rgb/image"]
    client = NodeClient()
    recorder = subprocess.Popen(command, env=ros_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    sent = 0

    def has_ended() -> bool:
        nonlocal sent
        sent += 1
        client.publish({"color": noise(sent, client.now_ns())})
        return recorder.poll() is not None

    try:
        assert wait_until(has_ended, 60.0), "the recorder went on without a disk"
        told = recorder.communicate()[0].decode()
    finally:
        recorder.kill()
        recorder.wait()
        client.close()
    assert recorder.returncode == 1, told
    assert "No space left" in told or "full" in told, told
    assert "Traceback" not in told, told
    assert str(output) in told
    assert_nothing_passes_for_a_bag(small_disk, "kitchen", sent)
