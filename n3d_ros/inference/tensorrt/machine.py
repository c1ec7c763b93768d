"""What of a machine an engine depends on: it is built for one GPU, one TensorRT and one driver."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from n3d_ros.errors import BackendError

MAX_FILE_BYTES = 4096
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What an engine is built for.

    Args:
        tensorrt: full version.
        driver: version of NVIDIA's driver.
        gpu: its name.
        compute_capability: such as "8.7".
        multiprocessors: how many, since boards of one name differ in it.
        jetpack: release of the board's system, such as "R36.4.3"; empty on other machines.
    """

    tensorrt: str
    driver: str
    gpu: str
    compute_capability: str
    multiprocessors: int
    jetpack: str

    def facts(self) -> Mapping[str, str]:
        """By name, for an engine's key.

        Returns:
            Words.
        """
        return {name: str(value) for name, value in asdict(self).items()}

    def in_words(self) -> str:
        """For a console.

        Returns:
            Such as "Orin (8.7, 16 SM), TensorRT 10.3.0.30, driver 540.4.0, R36.4.3".
        """
        end = f", {self.jetpack}" if self.jetpack else ""
        return (
            f"{self.gpu} ({self.compute_capability}, {self.multiprocessors} SM), TensorRT {self.tensorrt}, driver "
            f"{self.driver}{end}"
        )


def this_machine(tensorrt: str, device: torch.device, *, root: Path = Path("/")) -> Machine:
    """The machine that this runs on.

    Args:
        tensorrt: full version of the module that is imported.
        device: the GPU.
        root: of the file system.

    Returns:
        What engines are built for here.
    """
    properties = torch.cuda.get_device_properties(device)
    return Machine(
        tensorrt=tensorrt,
        driver=driver_version(root),
        gpu=str(properties.name),
        compute_capability=f"{properties.major}.{properties.minor}",
        multiprocessors=int(properties.multi_processor_count),
        jetpack=jetpack_release(root),
    )


def driver_version(root: Path = Path("/")) -> str:
    """Version of NVIDIA's kernel module, which needs no tool to be read.

    Args:
        root: of the file system.

    Returns:
        Such as "570.86.15"; "unknown" where the module does not say.
    """
    for name, pattern in (
        ("sys/module/nvidia/version", r"\s*(\d+(?:\.\d+)+)"),
        ("proc/driver/nvidia/version", r"Kernel Module.*?\s(\d+(?:\.\d+)+)"),
    ):
        if found := re.search(pattern, _text(root / name)):
            return found[1]
    return UNKNOWN


def jetpack_release(root: Path = Path("/")) -> str:
    """The release of a Jetson's system.

    Args:
        root: of the file system.

    Returns:
        Such as "R36.4.3"; empty on other machines.
    """
    text = _text(root / "etc/nv_tegra_release")
    found = re.search(r"#\s*(R\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)", text)
    return f"{found[1]}.{found[2]}" if found else ""


def choose_gpu(device: torch.device) -> torch.device:
    """The GPU to build for and to run on.

    Args:
        device: as chosen by the settings.

    Returns:
        The same.

    Raises:
        BackendError: it is no GPU.
    """
    if device.type != "cuda":
        raise BackendError(
            "TensorRT needs an NVIDIA GPU that torch sees too, and there is none here (device "
            f"{device}, torch {torch.__version__}); take ONNX Runtime (language_model.backend: onnx), or install "
            "torch for your GPU.",
            reason="no_gpu",
        )
    return device


def _text(file: Path) -> str:
    """The beginning of a file; empty where it cannot be read."""
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            return opened.read(MAX_FILE_BYTES)
    except OSError:
        return ""
