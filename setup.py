"""The package n3d_ros for colcon (ament_python) and for pip."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "n3d_ros"
ROOT = Path(__file__).resolve().parent


def files_below(folder: str) -> list[tuple[str, list[str]]]:
    """Entries of ``data_files`` that install every file below ``folder`` to the same place under share/n3d_ros."""
    by_folder: dict[str, list[str]] = {}
    for path in sorted((ROOT / folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            relative = path.relative_to(ROOT)
            by_folder.setdefault(f"share/{PACKAGE}/{relative.parent.as_posix()}", []).append(relative.as_posix())
    return list(by_folder.items())


def requirements(name: str) -> list[str]:
    """Pins of requirements/<name>.txt, without comments."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


setup(
    name=PACKAGE,
    version="0.1.0",
    description="Where is it, how big, how far: oriented 3-D boxes and spatial answers from a robot's RGB-D camera.",
    author="n3d_ros maintainers",
    author_email="maintainers@n3d-ros.example",
    maintainer="n3d_ros maintainers",
    maintainer_email="maintainers@n3d-ros.example",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["n3d_ros", "n3d_ros.*", "model_training", "model_training.*"]),
    package_data={
        "n3d_ros": ["py.typed", "ros/report/templates/*.html", "models/n3d_nano/*"],
        "model_training": ["py.typed", "*/configs/*.yaml"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *files_below("launch"),
        *files_below("config"),
        *files_below("demo"),
    ],
    # What it runs with is not listed here: a distribution installs it by package.xml, pip by requirements/.
    install_requires=["setuptools"],
    # `colcon test` runs pytest only when the package asks for it.
    extras_require={
        "model": requirements("model"),
        "view": requirements("view"),
        "eval": requirements("eval"),
        "train": requirements("train"),
        "test": ["pytest"],
    },
    zip_safe=True,
    entry_points={
        "console_scripts": [
            "n3d = n3d_ros.cli.main:main",
            "n3d_node = n3d_ros.ros.node:main",
        ],
        # Subcommands of `n3d` that other packages bring: name = module or module:object.
        "n3d.commands": [
            "dataset generate = model_training.cli.dataset_generate",
            "dataset lift = model_training.cli.dataset_lift",
            "dataset from-bag = model_training.cli.dataset_from_bag",
            "dataset questions = model_training.cli.dataset_questions",
            "dataset show = model_training.cli.dataset_show",
            "dataset check = model_training.cli.dataset_check",
            "train = model_training.cli.train",
            "eval = model_training.cli.evaluate",
            "calibrate = model_training.cli.calibrate",
        ],
    },
)
