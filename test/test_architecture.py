"""The layer table of docs and DESIGN, read from the imports themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "settings": {"errors"},
    "whole_files": {"errors"},
    "geometry": {"errors"},
    "frame": {"errors", "geometry"},
    "detection": {"errors", "geometry"},
    "scene": {"errors", "settings", "geometry", "frame", "detection"},
    "refine": {"errors", "geometry", "frame", "detection"},
    "codec": {"errors", "geometry", "frame", "detection"},
    "weights": {"errors"},
    "model": {"errors", "whole_files", "weights"},
    "depth": {"errors", "settings", "whole_files", "geometry", "weights"},
    "inference": {
        "errors",
        "settings",
        "whole_files",
        "geometry",
        "frame",
        "detection",
        "scene",
        "refine",
        "codec",
        "weights",
        "model",
        "depth",
    },
    "bench": {
        "errors",
        "geometry",
        "frame",
        "detection",
        "codec",
        "weights",
        "model",
        "inference",
    },
    "ros": {"errors", "settings", "geometry", "frame", "detection", "scene", "refine", "codec", "inference", "bench"},
    "cli": {
        "errors",
        "settings",
        "whole_files",
        "geometry",
        "frame",
        "detection",
        "scene",
        "refine",
        "codec",
        "weights",
        "model",
        "depth",
        "inference",
        "bench",
        "ros",
    },
}
"""What each part of n3d_ros may import besides itself."""

THIRD_PARTY: dict[str, set[str]] = {
    "errors": set(),
    "settings": set(),
    "whole_files": set(),
    "geometry": {"numpy"},
    "frame": {"numpy"},
    "detection": {"numpy"},
    "scene": {"numpy"},
    "refine": {"numpy", "scipy", "cv2"},
    "codec": {"numpy", "PIL", "tokenizers"},
    "weights": {"numpy", "torch", "safetensors", "huggingface_hub", "psutil", "tqdm"},
    "model": {"numpy", "torch", "transformers", "safetensors", "huggingface_hub", "psutil", "tqdm"},
    "depth": {"numpy", "scipy", "cv2", "PIL", "torch", "safetensors", "open3d", "trimesh", "tqdm"},
    "inference": {
        "numpy",
        "scipy",
        "cv2",
        "torch",
        "safetensors",
        "onnx",
        "onnx_ir",
        "onnxruntime",
        "tensorrt",
        "modelopt",
    },
    "bench": {"numpy", "torch", "transformers"},
}
"""Packages outside the standard library that the layers without ROS may import."""

GRAPHS = (
    "inference/onnx_*",
    "inference/graph_*",
    "inference/*self_test.py",
    "inference/export/*",
    "inference/tensorrt/*",
)
"""What makes graphs and runs them."""

EXTRA_PACKAGES: dict[str, tuple[str, ...]] = {
    "torch": ("weights/*", "model/*", "depth/*", "depth/network/*", "inference/torch_*", "bench/torch_*", *GRAPHS),
    "transformers": ("model/*", "bench/torch_generate.py"),
    "safetensors": ("weights/*", "model/*", "depth/*", *GRAPHS),
    "onnx": ("inference/export/*",),
    "onnx_ir": ("inference/export/*",),
    "onnxruntime": ("inference/onnx_*",),
    "tensorrt": ("inference/tensorrt/*",),
    "modelopt": ("inference/export/smoothing.py",),
    "huggingface_hub": ("weights/*", "model/*"),
    "psutil": ("weights/*", "model/*"),
    "open3d": ("depth/evaluation/*",),
    "trimesh": ("depth/*", "depth/*/*"),
    "tokenizers": ("codec/*",),
    "viser": ("ros/viewer/*",),
}
"""Packages of the extras [model] and [view], and the files that may name them; everything else works without."""

ROS_PACKAGES = {"rclpy", "tf2_ros", "tf2_msgs", "message_filters", "vision_msgs", "n3d_msgs", "diagnostic_updater"}


def imports_of(file: Path, repository: Path) -> Iterator[tuple[str, int]]:
    """Absolute dotted names that a file imports, with their lines; names imported from a package are joined to it."""
    package = ".".join(file.relative_to(repository).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(
                    [*package.split(".")[: len(package.split(".")) - node.level + 1], *filter(None, [base])]
                )
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def part_of(dotted: str) -> str:
    """The part of n3d_ros that a dotted name belongs to."""
    pieces = dotted.split(".")
    return pieces[1] if len(pieces) > 1 else ""


def is_standard_library(name: str) -> bool:
    """Whether a top-level module comes with Python."""
    return name in sys.stdlib_module_names or name == "__future__"


def test_each_layer_imports_only_the_layers_below_it(repository: Path) -> None:
    violations = []
    for file in sorted((repository / "n3d_ros").rglob("*.py")):
        part = part_of(".".join(file.relative_to(repository).with_suffix("").parts))
        if part == "__init__":
            continue
        assert part in LAYERS, f"{file.name}: a new part {part!r} needs its row in LAYERS"
        for name, line in imports_of(file, repository):
            target = part_of(name)
            if name.startswith("n3d_ros.") and target in LAYERS and target != part and target not in LAYERS[part]:
                violations.append(f"{file.relative_to(repository)}:{line} {part} imports {name}")
    assert not violations, "\n".join(violations)


@pytest.mark.parametrize("part", sorted(THIRD_PARTY))
def test_a_layer_without_ros_imports_only_its_third_party_packages(repository: Path, part: str) -> None:
    root = repository / "n3d_ros" / part
    files = sorted(root.rglob("*.py")) if root.is_dir() else [root.with_suffix(".py")]
    assert files
    strangers = [
        f"{file.relative_to(repository)}:{line} {name}"
        for file in files
        for name, line in imports_of(file, repository)
        if (top := name.split(".")[0]) != "n3d_ros" and not is_standard_library(top) and top not in THIRD_PARTY[part]
    ]
    assert not strangers, "\n".join(strangers)


def test_ros_packages_are_imported_under_ros_only(repository: Path) -> None:
    found = [
        f"{file.relative_to(repository)}:{line} {name}"
        for folder in ("n3d_ros", "model_training")
        for file in sorted((repository / folder).rglob("*.py"))
        if (repository / "n3d_ros" / "ros") not in file.parents
        for name, line in imports_of(file, repository)
        if (top := name.split(".")[0]) in ROS_PACKAGES or top.endswith("_msgs")
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("package", sorted(EXTRA_PACKAGES))
def test_packages_of_the_extras_are_imported_in_their_place_only(repository: Path, package: str) -> None:
    root = repository / "n3d_ros"
    found = [
        f"{relative}:{line} {name}"
        for file in sorted(root.rglob("*.py"))
        if not any(
            (relative := PurePosixPath(file.relative_to(root))).match(place) for place in EXTRA_PACKAGES[package]
        )
        for name, line in imports_of(file, repository)
        if name.split(".")[0] == package
    ]
    assert not found, "\n".join(found)


# Run in a process of its own: says which of the packages an import asks for, even where it goes on without them.
IMPORT_AND_TELL = """
import importlib, sys

asked_for = []

class Watcher:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[2:]:
            asked_for.append(name)
            raise ImportError(f"{name} was asked for while {sys.argv[1]} was imported")

sys.meta_path.insert(0, Watcher())
importlib.import_module(sys.argv[1])
sys.exit(f"asked for {asked_for}" if asked_for else 0)
"""


@pytest.mark.parametrize(
    ("module", "needs"),
    [
        ("n3d_ros.inference.grounder", "numpy"),
        ("n3d_ros.inference.backend", "numpy"),
        ("n3d_ros.inference.language_model.config", "numpy"),
        ("n3d_ros.ros.pipeline", "n3d_msgs"),
        ("n3d_ros.ros.node", "n3d_msgs"),
        ("n3d_ros.cli.main", "numpy"),
    ],
)
def test_without_a_model_nothing_of_it_is_imported(repository: Path, module: str, needs: str) -> None:
    pytest.importorskip(needs, reason="the ROS side is tested where ROS is")
    command = [sys.executable, "-c", IMPORT_AND_TELL, module, *EXTRA_PACKAGES]
    answer = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stderr


def test_nothing_in_the_package_imports_model_training(repository: Path) -> None:
    found = [
        f"{file.relative_to(repository)}:{line}"
        for file in sorted((repository / "n3d_ros").rglob("*.py"))
        for name, line in imports_of(file, repository)
        if name.split(".")[0] == "model_training"
    ]
    assert not found, "\n".join(found)


def test_nothing_unpickles(repository: Path) -> None:
    forbidden = {"pickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}
    found = [
        f"{file.relative_to(repository)}:{line} {name}"
        for folder in ("n3d_ros", "model_training", "launch", "benchmarks")
        for file in sorted((repository / folder).rglob("*.py"))
        for name, line in imports_of(file, repository)
        if name.split(".")[0] in forbidden
    ]
    assert not found, "\n".join(found)
