"""Checks of what is installed: Python, packages, the interfaces on both sides, and what a model needs."""

from __future__ import annotations

from collections.abc import Iterator

from n3d_ros.ros.doctor.findings import Finding, fault, ok, warning
from n3d_ros.ros.doctor.snapshot import Snapshot

OLDEST_PYTHON = (3, 10)
NEEDED = ("numpy", "scipy", "cv2", "yaml", "n3d_msgs")
FOR_A_MODEL = ("torch", "transformers", "safetensors", "tokenizers")


def check_installation(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether the software fits together.

    Args:
        snapshot: the facts.

    Yields:
        Findings.
    """
    installation = snapshot.installation
    distribution = installation.environment.get("ROS_DISTRO") or "from pip"
    told = [f"{name} {version}" for name, version in installation.versions.items() if version]
    text = f"Python {installation.python}, ROS {distribution}, {', '.join(told)}."
    missing = [name for name in NEEDED if name in installation.versions and not installation.versions[name]]
    numbers = tuple(int(part) for part in installation.python.split(".")[:2] if part.isdigit())
    if missing:
        mend = "`make setup` in a checkout, or rosdep install and colcon build in a workspace."
        yield fault("install.packages", f"Missing: {', '.join(missing)}. {text}", mend)
    elif numbers < OLDEST_PYTHON:
        yield fault("install.packages", text, "n3d_ros needs Python 3.10 or later.")
    else:
        yield ok("install.packages", text)
    yield from _interfaces(snapshot)
    yield from _model(snapshot)


def _interfaces(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether n3d_msgs is the same here, in the source, and at the node."""
    installation = snapshot.installation
    if installation.interface_differences:
        yield fault(
            "install.interfaces",
            f"The built n3d_msgs is another version than n3d_ros: {'; '.join(installation.interface_differences[:3])}.",
            "Build it again: `make setup`, or colcon build --packages-select n3d_msgs, and source the workspace.",
        )
        return
    other = sorted(
        {
            endpoint.type_name
            for topic in snapshot.others.values()
            for endpoint in (*topic.publishers, *topic.subscriptions)
            if endpoint.type_hash
            and installation.interface_hashes.get(endpoint.type_name, endpoint.type_hash) != endpoint.type_hash
        }
    )
    if other:
        yield fault(
            "install.interfaces",
            f"The node's {', '.join(other)} is another version than the one here: nothing passes.",
            "Build the same version of n3d_msgs on both sides.",
            subject=snapshot.node.name,
        )
    else:
        yield ok("install.interfaces", "n3d_msgs is built and is the one that n3d_ros expects.")


def _model(snapshot: Snapshot) -> Iterator[Finding]:
    """What a language model needs, where one is configured."""
    model = str(snapshot.parameter("model", "") or "")
    if not model:
        return
    installation, report = snapshot.installation, snapshot.node.report
    missing = [name for name in FOR_A_MODEL if name in installation.versions and not installation.versions[name]]
    device = report.device if report is not None else ""
    if missing:
        mend = "`make setup MODEL=1`, or pip install the extra [model]."
        yield fault("install.model", f"The model {model} needs {', '.join(missing)}.", mend)
    elif device.startswith("cpu") and report is not None and report.backend == "language_model":
        mend = "Install torch with CUDA for this GPU." if installation.has_gpu else "A GPU makes it seconds."
        yield warning("install.model", f"The model {model} runs on the processor: a look takes a minute.", mend)
    elif installation.model_is_there is False:
        mend = "Correct the parameter model; if the node runs on another machine, look there."
        yield warning("install.model", f"The model folder {model} is not on this machine.", mend)
    elif report is not None and report.backend != "language_model":
        mend = "It is being loaded, or could not be: node.diagnostics and the node's log say which."
        yield warning("install.model", f"The model {model} is named, and {report.backend} finds the objects.", mend)
    else:
        yield ok("install.model", f"The model {model} is named{f', on {device}' if device else ''}.")
