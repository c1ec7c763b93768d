"""Runs of two processes, as torchrun starts them, on the CPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("pyarrow", reason="pyarrow comes with the extra [train]")

from model_training.run_log import read_log
from n3d_ros.weights.weight_files import SINGLE_FILE
from training.training.harness import write_dataset

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.mark.parametrize("sharded", [False, True])
def test_two_processes_train_and_go_on_as_if_they_had_not_stopped(start: Path, tmp_path: Path, sharded: bool) -> None:
    data, out, config = write_dataset(tmp_path / "data"), tmp_path / "run", tmp_path / "config.yaml"
    values = {
        "name": "two", "sharded": sharded, "release": "float32",
        "examples": {"long_side": 112, "questions_per_frame": 2}, "data": {"frames_per_batch": 1, "streams": 2},
        "optimizer": {"steps": 4, "warmup_steps": 1}, "log_every": 1, "checkpoint_every": 2,
    }  # fmt: skip
    config.write_text(yaml.safe_dump(values), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--",
               "n3d_ros.cli", "train", "stage1", "--config", config, "--start", start, "--data", data, "--out", out,
               "--device", "cpu", "--threads", "1"]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"}

    def losses(*more: str) -> dict[int, float]:
        words = [*map(str, command), *more]
        done = subprocess.run(words, env=environment, capture_output=True, timeout=280)
        assert done.returncode == 0, done.stderr.decode()[-6000:]
        return {line["step"]: line["total"] for line in read_log(out) if line["kind"] == "train"}

    whole = losses()
    assert sorted(whole) == [1, 2, 3, 4]
    weights = (out / "model" / SINGLE_FILE).read_bytes()
    shutil.rmtree(out / "checkpoint-00000004")
    assert losses("--release-now") == whole  # nothing of the log goes for a look at step 2
    assert (out / "model" / SINGLE_FILE).read_bytes() != weights
    alone = [str(word) for word in (sys.executable, "-m", *command[command.index("n3d_ros.cli") :], "--release-now")]
    done = subprocess.run(alone, env=environment, capture_output=True, text=True, timeout=280)
    assert (done.returncode, "start this with torchrun" in done.stderr) == ((1, True) if sharded else (0, False))
    assert losses() == whole
    assert (out / "model" / SINGLE_FILE).read_bytes() == weights
