"""package.xml, the pins and the table in docs/dependencies.md say the same."""

from __future__ import annotations

import ast
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import n3d_ros

ROOT = Path(__file__).resolve().parents[2]
PINNED = ("base", "scenes", "test", "ros", "model", "view", "eval", "train", "docs")
# package.xml names these; the world of wheels builds them itself.
BUILT_HERE = {"n3d_msgs", "tf2_msgs"}


def normalised(name: str) -> str:
    """A PyPI name in its normal form."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str) -> list[tuple[str, str, str]]:
    """Name, whole pin and note of every line of a requirements file."""
    found = []
    for line in (ROOT / f"requirements/{file}.txt").read_text(encoding="utf-8").splitlines():
        pin, _, note = line.partition("#")
        name = re.match(r"[A-Za-z0-9._-]+", pin)
        if name:
            found.append((normalised(name[0]), pin.strip(), note.strip()))
    return found


def package_keys() -> set[str]:
    """Every dependency package.xml declares."""
    root = ElementTree.parse(ROOT / "package.xml").getroot()
    return {element.text or "" for element in root if element.tag.endswith("depend")}


def table() -> list[list[str]]:
    """Rows of the table in docs/dependencies.md: dependency, pip, rosdep, why, licence."""
    lines = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in rows if len(row) == 5 and row[0] != "dependency"]


def rosdep_key(note: str) -> str | None:
    """The rosdep key a pin's note names."""
    match = re.search(r"rosdep: ([\w-]+)", note)
    return match[1] if match else None


@pytest.mark.parametrize("file", [*PINNED, "constraints", "numpy1"])
def test_every_requirement_is_pinned_to_one_version(file: str) -> None:
    assert [pin for _, pin, _ in pins(file) if not re.match(r"[A-Za-z0-9._\[\]-]+==\d[\w.]*( ; .*)?$", pin)] == []


@pytest.mark.parametrize("file", PINNED)
def test_every_requirement_says_where_it_comes_from_with_a_distribution(file: str) -> None:
    assert [pin for _, pin, note in pins(file) if not re.match(r"rosdep: |pip only|world: wheels", note)] == []


def test_no_requirement_is_pinned_in_two_files() -> None:
    owners: dict[str, set[str]] = {}
    for file in (*PINNED, "constraints"):
        for name, _, _ in pins(file):
            owners.setdefault(name, set()).add(file)
    assert {name: files for name, files in owners.items() if len(files) > 1} == {}


def test_every_rosdep_key_of_a_pin_is_in_package_xml() -> None:
    keys = {rosdep_key(note) for file in PINNED for _, _, note in pins(file)} - {None}
    assert keys - package_keys() == set()


def test_every_python_dependency_of_package_xml_has_a_pin() -> None:
    keys = {rosdep_key(note) for file in PINNED for _, _, note in pins(file)}
    assert {key for key in package_keys() if key.startswith("python3-")} - keys == set()


def test_the_table_names_every_pinned_package_once() -> None:
    listed = [normalised(name) for row in table() for name in re.findall(r"[\w.-]+", row[1]) if row[1] != "-"]
    wanted = {name for file in PINNED for name, _, _ in pins(file)}
    assert sorted(set(listed)) == sorted(wanted)
    assert len(listed) == len(set(listed))


def test_the_table_gives_every_pin_its_rosdep_key() -> None:
    by_name = {normalised(name): row[2] for row in table() for name in re.findall(r"[\w.-]+", row[1])}
    for file in PINNED:
        for name, _, note in pins(file):
            expected = rosdep_key(note) or ("wheels only" if note.startswith("world: wheels") else "pip only")
            assert expected in by_name[name].replace("`", "").split(", "), name


def test_the_table_names_every_key_of_package_xml() -> None:
    listed = {key for row in table() for key in re.findall(r"`([\w-]+)`", row[2])}
    assert package_keys() - listed == set()
    assert listed - package_keys() == set()


def test_every_row_gives_a_reason_and_a_licence() -> None:
    assert [row[0] for row in table() if len(row[3]) < 6 or len(row[4]) < 3] == []


def test_all_descriptions_of_the_package_have_one_version() -> None:
    versions = {n3d_ros.__version__}
    for path in ("package.xml", "msg/package.xml"):
        versions.add(ElementTree.parse(ROOT / path).getroot().findtext("version") or "")
    versions |= set(re.findall(r'version="([^"]+)"', (ROOT / "setup.py").read_text(encoding="utf-8")))
    assert len(versions) == 1


def imported_modules(folder: Path) -> set[str]:
    """Top-level names imported anywhere below a folder."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found


def test_nothing_is_imported_that_is_not_declared() -> None:
    modules = {"cv2": "python3-opencv", "yaml": "python3-yaml", "PIL": "python3-pil"}
    modules |= {name: f"python3-{name}" for name in ("jinja2", "numpy", "scipy", "tqdm")}
    undeclared = (
        imported_modules(ROOT / "n3d_ros") - set(sys.stdlib_module_names) - {"n3d_ros", "model_training", "benchmarks"}
    )
    undeclared = {modules.get(name, name) for name in undeclared} - package_keys()
    # What pip alone brings, and modules that come inside a declared package.
    pip_only = {name for file in PINNED for name, _, note in pins(file) if note.startswith("pip only")}
    inside = {"rosidl_runtime_py", "tf2_py", "ament_index_python"}
    # What users bring and the environment never holds: TensorRT comes with JetPack, ModelOpt by pip where it is wanted.
    brought = {"tensorrt", "modelopt"}
    assert {name for name in undeclared if normalised(name) not in pip_only} - inside - brought == set()
