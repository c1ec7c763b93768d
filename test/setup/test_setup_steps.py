"""The set-up's own steps, without running pip or colcon."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BUILT_AT = "/opt/python/cp311-cp311"
CMAKE = f"""set(include "{BUILT_AT}/include/python3.11;{BUILT_AT}/lib/python3.11/site-packages/numpy/_core/include")
set(other "/opt/ros/include")
"""


@pytest.fixture(scope="module")
def steps(repository: Path) -> ModuleType:
    """scripts/setup_steps.py as a module."""
    spec = importlib.util.spec_from_file_location("setup_steps", repository / "scripts/setup_steps.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["setup_steps"] = module
    spec.loader.exec_module(module)
    return module


def wheel_prefix(folder: Path) -> Path:
    """A folder as the wheels leave it, with one cmake file that names the machine they were built on."""
    path = folder / "share/std_msgs/cmake/export.cmake"
    path.parent.mkdir(parents=True)
    path.write_text(CMAKE)
    return path


def test_patching_points_cmake_files_to_this_python(steps: ModuleType, tmp_path: Path) -> None:
    path = wheel_prefix(tmp_path)
    assert steps.patch_wheels(tmp_path, "/usr/include/python3.12", "/venv/numpy/include") == [path]
    assert path.read_text() == (
        'set(include "/usr/include/python3.12;/venv/numpy/include")\nset(other "/opt/ros/include")\n'
    )


def test_patching_a_second_time_changes_nothing(steps: ModuleType, tmp_path: Path) -> None:
    path = wheel_prefix(tmp_path)
    steps.patch_wheels(tmp_path, "/usr/include/python3.12", "/venv/numpy/include")
    before = path.read_bytes()
    assert steps.patch_wheels(tmp_path, "/usr/include/python3.12", "/venv/numpy/include") == []
    assert path.read_bytes() == before


@pytest.mark.parametrize("tag", ["310", "312", "313"])
def test_wheels_of_every_python_version_are_recognised(steps: ModuleType, tmp_path: Path, tag: str) -> None:
    path = wheel_prefix(tmp_path)
    path.write_text(CMAKE.replace("cp311", f"cp{tag}").replace("python3.11", f"python3.{tag[1:]}"))
    steps.patch_wheels(tmp_path, "/include", "/numpy")
    assert "/opt/python" not in path.read_text()


def test_paths_with_backslashes_are_written_as_they_are(steps: ModuleType, tmp_path: Path) -> None:
    path = wheel_prefix(tmp_path)
    steps.patch_wheels(tmp_path, r"/odd\1folder", "/numpy")
    assert r"/odd\1folder" in path.read_text()


@pytest.mark.parametrize(
    ("marker", "version", "holds"),
    [
        ('python_version < "3.11"', (3, 10), True),
        ('python_version < "3.11"', (3, 11), False),
        ('python_version >= "3.11"', (3, 13), True),
        (' python_version >= "3.11" ', (3, 10), False),
    ],
)
def test_markers_choose_by_python_version(
    steps: ModuleType, marker: str, version: tuple[int, int], holds: bool
) -> None:
    assert steps.marker_holds(marker, version) is holds


def test_a_marker_that_is_not_understood_is_refused(steps: ModuleType) -> None:
    with pytest.raises(steps.SetupError, match="sys_platform"):
        steps.marker_holds('sys_platform == "linux"', (3, 11))


def make_step(steps: ModuleType, folder: Path, run: object, inputs: str = "inputs") -> object:
    """A step that makes the file ``product`` in ``folder``/made."""
    made = folder / "made"

    def clean() -> None:
        steps.remove(made)

    return steps.Step(
        name="step", home=made, title="a step", inputs=inputs, run=run, clean=clean, products=(made / "product",)
    )


def write_product(folder: Path) -> None:
    """The file a step makes."""
    (folder / "made").mkdir(exist_ok=True)
    (folder / "made/product").write_text("")


def test_a_step_is_done_until_its_inputs_change(steps: ModuleType, tmp_path: Path) -> None:
    step = make_step(steps, tmp_path, lambda: write_product(tmp_path))
    assert not steps.is_done(step)
    steps.carry_out(step, tmp_path)
    assert steps.is_done(step)
    assert not steps.is_done(make_step(steps, tmp_path, None, inputs="others"))


def test_a_step_whose_product_was_removed_is_not_done(steps: ModuleType, tmp_path: Path) -> None:
    step = make_step(steps, tmp_path, lambda: write_product(tmp_path))
    steps.carry_out(step, tmp_path)
    (tmp_path / "made/product").unlink()
    assert not steps.is_done(step)


def test_what_a_killed_step_left_is_removed(steps: ModuleType, tmp_path: Path) -> None:
    def killed() -> None:
        write_product(tmp_path)
        raise KeyboardInterrupt

    step = make_step(steps, tmp_path, killed)
    with pytest.raises(KeyboardInterrupt):
        steps.carry_out(step, tmp_path)
    assert steps.repair([step], tmp_path) == ["step"]
    assert not (tmp_path / "made").exists()
    assert steps.repair([step], tmp_path) == []


def test_what_a_failed_step_left_is_kept_and_the_step_is_not_done(steps: ModuleType, tmp_path: Path) -> None:
    def failing() -> None:
        write_product(tmp_path)
        raise steps.SetupError("no network")

    step = make_step(steps, tmp_path, failing)
    with pytest.raises(steps.SetupError):
        steps.carry_out(step, tmp_path)
    assert steps.repair([step], tmp_path) == []
    assert (tmp_path / "made/product").exists()
    assert not steps.is_done(step)


def test_a_failing_command_is_reported_with_the_end_of_its_output(steps: ModuleType, tmp_path: Path) -> None:
    report = steps.Reporter(tmp_path / "log", 1)
    with pytest.raises(steps.SetupError, match=r"code 3[\s\S]*the reason"):
        report.run([sys.executable, "-c", "print('the reason'); raise SystemExit(3)"])


def test_a_sourced_distribution_without_rclpy_is_explained(steps: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.setattr(steps.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(steps.SetupError, match=r"cannot import rclpy.*unset ROS_DISTRO"):
        steps.detect_world()


def test_a_machine_without_wheels_is_sent_to_a_distribution(steps: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setattr(steps.platform, "machine", lambda: "aarch64")
    with pytest.raises(steps.SetupError, match=r"this is aarch64.*distribution"):
        steps.detect_world()


def test_with_a_distribution_only_what_has_no_rosdep_key_comes_from_pip(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed: list[str] = []
    monkeypatch.setattr(steps, "pip_install", lambda _venv, pins, *_: installed.extend(pins))
    steps.install_packages(tmp_path, steps.World("jazzy"), None)
    names = {pin.split("==")[0] for pin in installed}
    assert {"rosbags", "mcap", "ruff"} <= names
    assert not names & {"numpy", "scipy", "opencv-python-headless", "PyYAML", "pytest"}
    assert not [name for name in names if name.startswith("ros-")]


def test_with_a_distribution_what_it_installed_is_held_at_its_version(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(steps, "pip_install", lambda *_: None)
    monkeypatch.setattr(steps, "installed_versions", lambda: [("numpy", "1.26.4"), ("setuptools", "68.1.2")])
    steps.install_packages(tmp_path, steps.World("jazzy"), None)
    assert (tmp_path / "held_by_distribution.txt").read_text() == "numpy==1.26.4\n"


def test_the_steps_of_a_distribution_hold_no_wheels(steps: ModuleType, tmp_path: Path) -> None:
    named = [step.name for step in steps.plan(tmp_path, tmp_path, steps.World("jazzy"), None)]
    assert named == ["environment", "packages", "interfaces", "project", "model", "view", "eval", "train", "docs"]


def test_without_root_the_missing_packages_are_named(steps: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "missing_system_packages", lambda _: ["cmake", "g++"])
    monkeypatch.setattr(steps.os, "geteuid", lambda: 1000)
    with pytest.raises(steps.SetupError, match=r"sudo apt-get install .*cmake g\+\+"):
        steps.install_system_packages(steps.World(None), None)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_sourcing_the_environment_twice_is_as_good_as_once(steps: ModuleType, tmp_path: Path, shell: str) -> None:
    prefixes = steps.WHEEL_PREFIXES.format(site_packages="lib/python3.11/site-packages")
    script = tmp_path / "ros_env.sh"
    script.write_text(steps.ENVIRONMENT_SCRIPT.format(root="'/a checkout'", prefixes=prefixes))
    show = 'echo "$AMENT_PREFIX_PATH|$PYTHONPATH|$FASTDDS_DEFAULT_PROFILES_FILE|$FASTRTPS_DEFAULT_PROFILES_FILE"'
    command = f'set -e; . "{script}"; . "{script}"; {show}'
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "/mine"}
    answer = subprocess.run([shell, "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.strip().split("|") == [
        "/a checkout/.ros/install:/a checkout/.venv",
        "/a checkout/.ros/install/lib/python3.11/site-packages:/mine",
        "/a checkout/config/fastdds.xml",
        "",
    ]


def test_a_profile_the_user_has_chosen_is_kept(steps: ModuleType, tmp_path: Path) -> None:
    script = tmp_path / "ros_env.sh"
    script.write_text(steps.ENVIRONMENT_SCRIPT.format(root="'/checkout'", prefixes=""))
    environment = {"PATH": "/usr/bin:/bin", "FASTDDS_DEFAULT_PROFILES_FILE": "/mine.xml", "ROS_DISTRO": "jazzy"}
    command = f'. "{script}"; echo "$FASTDDS_DEFAULT_PROFILES_FILE $FASTRTPS_DEFAULT_PROFILES_FILE"'
    answer = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "/mine.xml /checkout/config/fastdds.xml"


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("2.11.0", True),
        ("2.13.0+cpu", True),
        ("2.12.0a0+git1", True),
        ("3.0.1", True),
        ("2.9.1", False),
        ("odd", False),
    ],
)
def test_a_torch_is_new_enough_from_the_oldest_supported_on(steps: ModuleType, version: str, fits: bool) -> None:
    assert steps.FoundTorch(version, "/somewhere").is_new_enough is fits


def test_the_pinned_torch_is_new_enough(steps: ModuleType, repository: Path) -> None:
    (pin,) = [
        line.pin for line in steps.read_requirements(repository / "requirements/model.txt") if line.name == "torch"
    ]
    assert steps.FoundTorch(pin.partition("==")[2], "/somewhere").is_new_enough


def write_torch(folder: Path, text: str) -> Path:
    """A folder with a module torch."""
    (folder / "torch").mkdir(parents=True)
    (folder / "torch/__init__.py").write_text(text)
    return folder


def test_a_torch_is_found_with_its_version_and_folder(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(write_torch(tmp_path / "site", "__version__ = '2.12.0'")))
    assert steps.find_torch(sys.executable) == steps.FoundTorch("2.12.0", str(tmp_path / "site"))


def test_a_torch_that_does_not_load_counts_as_none(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(write_torch(tmp_path, "raise OSError('libcudart.so is not here')")))
    assert steps.find_torch(sys.executable) is None


@pytest.fixture
def installed(steps: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names pip was asked to install for the model; nothing is installed or imported."""
    names: list[str] = []

    def note(_venv: Path, pins: list[str], *_: object) -> None:
        names.extend(pin.split("==")[0] for pin in pins)

    monkeypatch.setattr(steps, "pip_install", note)
    monkeypatch.setattr(steps.Reporter, "run", lambda *_: None)
    return names


@pytest.mark.parametrize(
    ("in_venv", "in_interpreter", "asks_for_torch"),
    [
        (None, None, True),
        ("2.11.0", None, False),
        ("2.8.0", None, True),
        (None, "2.11.0", False),
        (None, "2.5.0", True),
    ],
)
def test_only_a_torch_that_is_missing_or_too_old_is_installed(
    steps: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    installed: list[str],
    in_venv: str | None,
    in_interpreter: str | None,
    asks_for_torch: bool,
) -> None:
    def find(python: object) -> object:
        version = in_interpreter if python == sys.executable else in_venv
        return version and steps.FoundTorch(version, "/usr/lib/dist-packages")

    monkeypatch.setattr(steps, "find_torch", find)
    steps.install_model(tmp_path, steps.World(None), steps.Reporter(tmp_path / "log", 1))
    assert ("torch" in installed) is asks_for_torch
    assert {"transformers", "tokenizers", "safetensors", "huggingface_hub", "psutil"} <= set(installed)
    path_file = steps.site_packages_of(tmp_path) / "n3d_system_torch.pth"
    assert path_file.exists() is (in_interpreter == "2.11.0")
    if path_file.exists():
        assert path_file.read_text() == "/usr/lib/dist-packages\n"


def test_an_extra_moves_no_package_of_the_distribution(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = [("numpy", "1.26.4"), ("PyYAML", "6.0.1"), ("pillow", "10.2.0"), ("packaging", "24.0"), ("ruff", "0.1")]
    monkeypatch.setattr(steps, "installed_versions", lambda: there)
    held = steps.held_for_extras(tmp_path, steps.World("jazzy")).read_text().splitlines()
    assert {"numpy==1.26.4", "pyyaml==6.0.1", "pillow==10.2.0"} <= set(held)
    # What only .venv uses stays at our pin, and what nobody asks for by name is not held.
    assert not [line for line in held if line in ("ruff==0.1", "packaging==24.0")]
    assert len({line.partition("==")[0] for line in held}) == len(held)


def test_what_is_asked_for_elsewhere_is_held_at_its_pin(steps: ModuleType, tmp_path: Path) -> None:
    held = steps.held_for_extras(tmp_path, steps.World(None)).read_text().splitlines()
    assert {"setuptools==79.0.1", "PyYAML==6.0.3"} <= {line.replace("pyyaml", "PyYAML") for line in held}
    assert [line for line in held if re.fullmatch(r"[A-Za-z0-9._-]+==\d[\w.]*", line) is None] == []


@pytest.mark.parametrize("asked", [(), ("model",), ("view",), ("model", "view", "docs")])
def test_extras_are_installed_only_on_request_and_repaired_always(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    done: list[str] = []

    def make(name: str) -> object:
        return steps.Step(
            name=name,
            home=tmp_path,
            title=name,
            inputs="",
            run=lambda: done.append(name),
            clean=lambda: None,
            products=(),
        )

    monkeypatch.setattr(steps, "ROOT", tmp_path)
    monkeypatch.setattr(steps, "detect_world", lambda: steps.World(None))
    monkeypatch.setattr(steps, "plan", lambda *_: [make("project"), *map(make, steps.EXTRAS)])
    monkeypatch.setattr(steps, "install_system_packages", lambda *_: None)
    steps.write_atomically(tmp_path / "begun/model", "")
    steps.set_up(tmp_path, tmp_path, steps.Reporter(tmp_path / "log", 0), asked)
    assert done == ["project", *asked]
    assert not (tmp_path / "begun/model").exists()


def test_every_extra_has_its_step_and_its_requirements(steps: ModuleType, repository: Path, tmp_path: Path) -> None:
    planned = [step.name for step in steps.plan(tmp_path, tmp_path, steps.World(None), None)]
    assert planned[-len(steps.EXTRAS) :] == list(steps.EXTRAS)
    assert all(steps.read_requirements(repository / f"requirements/{name}.txt") for name in steps.EXTRAS)


def test_the_view_is_installed_beside_what_is_there(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[list[str], list[Path]]] = []
    monkeypatch.setattr(steps, "pip_install", lambda _venv, pins, constraints, _: asked.append((pins, constraints)))
    monkeypatch.setattr(steps.Reporter, "run", lambda *_: None)
    steps.install_view(tmp_path, steps.World(None), steps.Reporter(tmp_path / "log", 1))
    ((pins, constraints),) = asked
    assert [pin.partition("==")[0] for pin in pins] == ["viser"]
    assert tmp_path / "held_for_extras.txt" in constraints


def test_the_evaluation_brings_the_libraries_that_its_wheel_lacks(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(steps, "pip_install", lambda _venv, pins, _constraints, _: asked.extend(pins))
    monkeypatch.setattr(steps.Reporter, "run", lambda *_: None)
    monkeypatch.setattr(steps, "has_library", lambda name: name != "libusb-1.0.so.0")
    monkeypatch.setattr(steps.os, "geteuid", lambda: 1000)
    with pytest.raises(steps.SetupError, match=r"sudo apt-get install .*libusb-1\.0-0$"):
        steps.install_eval(tmp_path, steps.World(None), steps.Reporter(tmp_path / "log", 1))
    assert not asked
    monkeypatch.setattr(steps, "has_library", lambda _: True)
    steps.install_eval(tmp_path, steps.World(None), steps.Reporter(tmp_path / "log", 1))
    assert [pin.partition("==")[0] for pin in asked] == ["open3d"]


def test_a_python_too_old_for_the_documentation_is_told(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(steps.sys, "version_info", (3, 10, 13))
    monkeypatch.setattr(steps, "pip_install", lambda *_: pytest.fail("pip was called"))
    with pytest.raises(steps.SetupError, match=r"3\.11 or newer.*make docs PYTHON="):
        steps.install_docs(tmp_path, steps.World(None), steps.Reporter(tmp_path / "log", 1))


def make_runs(repository: Path, *arguments: str) -> str:
    """The commands make would run."""
    command = ["make", "-n", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("arguments", "extras"),
    [
        (["setup"], set()),
        (["setup", "MODEL=1"], {"model"}),
        (["setup", "MODEL=0"], set()),
        (["setup", "VIEW=1"], {"view"}),
        (["setup", "EVAL=1"], {"eval"}),
        (["setup", "TRAIN=1"], {"train"}),
        (["setup", "MODEL=1", "VIEW=yes", "DOCS=1"], {"model", "view", "docs"}),
        (["demo"], set()),
        (["check"], set()),
        (["test"], {"model", "view", "eval", "train"}),
        (["bench"], {"model"}),
        (["docs"], {"docs"}),
    ],
)
def test_make_installs_extras_for_what_needs_them_and_on_request(
    repository: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], extras: set[str]
) -> None:
    for name in ("MODEL", "VIEW", "EVAL", "DOCS", "MAKEFLAGS"):
        monkeypatch.delenv(name, raising=False)
    (command,) = [line for line in make_runs(repository, *arguments).splitlines() if "scripts/setup" in line]
    assert set(re.findall(r"--(\w+)", command)) == extras
