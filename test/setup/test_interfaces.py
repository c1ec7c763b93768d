"""The interface package: its files, their comments, and what is generated from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from n3d_ros.errors import StatusCode

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "msg").glob("*/*.*"))
CONSTANT = re.compile(r"^\w+ (?P<name>[A-Z][A-Z0-9_]*)=(?P<value>\d+)")
FIELD = re.compile(r"^[\w/]+(<=\d+)?(\[\])? \w+")
# A comment must say what "unknown", "not used" or the allowed values look like for a number; these words do.
NUMBER = re.compile(r"^(float|int|uint)\d+")
SAYS_RANGE = re.compile(r"\d|NaN|constants|see `")


def declarations(path: Path) -> list[str]:
    """Lines of an interface file that declare a constant or a field."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#") and line != "---"]


def test_there_are_interfaces_to_check() -> None:
    assert {path.suffix for path in FILES} == {".msg", ".srv", ".action"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_field_and_constant_has_a_comment(path: Path) -> None:
    bare = [line for line in declarations(path) if not re.search(r"# ?\S.{6,}", line)]
    assert bare == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_number_says_its_range_or_what_unknown_is(path: Path) -> None:
    numbers = [line for line in declarations(path) if NUMBER.match(line) and not CONSTANT.match(line)]
    assert [line for line in numbers if not SAYS_RANGE.search(line.partition("#")[2])] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_says_what_it_is_for(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_generated(path: Path) -> None:
    listed = (ROOT / "msg/CMakeLists.txt").read_text(encoding="utf-8")
    assert f'"{path.parent.name}/{path.name}"' in listed


def test_status_codes_are_those_of_the_library() -> None:
    matches = [CONSTANT.match(line) for line in declarations(ROOT / "msg/msg/Status.msg")]
    constants = {match["name"]: int(match["value"]) for match in matches if match}
    assert constants == {code.name: int(code) for code in StatusCode}


def test_packages_used_by_fields_are_declared() -> None:
    used = {match for path in FILES for line in declarations(path) for match in re.findall(r"^(\w+)/", line)}
    text = (ROOT / "msg/package.xml").read_text(encoding="utf-8")
    cmake = (ROOT / "msg/CMakeLists.txt").read_text(encoding="utf-8")
    assert [name for name in sorted(used) if f"<depend>{name}</depend>" not in text] == []
    assert [name for name in sorted(used) if f"find_package({name} REQUIRED)" not in cmake] == []


@pytest.mark.ros
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_installed_is_what_the_files_say(path: Path) -> None:
    module = pytest.importorskip(f"n3d_msgs.{path.parent.name}")
    kind = getattr(module, path.stem)
    parts = path.read_text(encoding="utf-8").split("\n---\n")
    types = {".msg": [kind]}.get(path.suffix) or [
        getattr(kind, name) for name in ("Request", "Response", "Goal", "Result", "Feedback") if hasattr(kind, name)
    ]
    for part, generated in zip(parts, types, strict=True):
        lines = [line for line in part.splitlines() if FIELD.match(line) and not CONSTANT.match(line)]
        assert [line.split()[1] for line in lines] == list(generated.get_fields_and_field_types())
