"""What the pages name exists: links, headings, commands with their options, parameters. Sphinx has nothing to say."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from n3d_ros.cli.main import all_commands, command_parser, split_command

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "demo").glob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
CHECKS = re.compile(r"^\*Doctor:\* .*$", re.MULTILINE)
FILE_ENDINGS = (".py", ".glb", ".ply")  # names like parameters, yet of files
FOR_A_SHELL = ("```", "```bash", "```sh")


def prose_of(page: Path) -> str:
    """The page without its blocks of code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors_of(page: Path) -> set[str]:
    """Anchors of the headings, as GitHub and MyST make them."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", prose_of(page), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = sum(one == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", one) is not None for one in anchors)
        anchors.add(slug if number == 0 else f"{slug}-{number}")
    return anchors


def shell_lines(page: Path) -> Iterator[str]:
    """Commands in the blocks that are for a shell, with continued lines joined."""
    for block in FENCE.findall(page.read_text(encoding="utf-8")):
        opening, *lines = re.sub(r"\\\n\s*", " ", block).splitlines()
        if opening in FOR_A_SHELL:
            yield from (re.split(r"\s{3,}", line.strip())[0] for line in lines)  # a remark may stand behind


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_files_and_headings_that_exist(name: str) -> None:
    page = ROOT / name
    broken = []
    for target in LINK.findall(prose_of(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            broken.append(target)
    assert not broken


def test_a_missing_heading_would_be_noticed() -> None:
    assert "the-transport-profile" in anchors_of(ROOT / "docs/getting_started.md")
    assert "no-such-heading" not in anchors_of(ROOT / "docs/getting_started.md")


@pytest.mark.parametrize("name", NAMES)
def test_commands_of_n3d_are_written_with_options_they_have(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: argparse.ArgumentParser, message: str) -> None:
        raise ValueError(message)

    monkeypatch.setattr(argparse.ArgumentParser, "error", refuse)
    for line in shell_lines(ROOT / name):
        if not line.startswith("n3d ") or "..." in line:
            continue
        words = shlex.split(line, comments=True)
        words = words[: next((i for i, word in enumerate(words) if word in (">", "|", "&&")), len(words))]
        command, rest = split_command(words[1:], all_commands())
        assert command is not None, line
        parser = command_parser(command, all_commands()[command].load())
        try:
            parser.parse_args(rest)
        except ValueError as error:
            pytest.fail(f"{line}: {error}")


@pytest.mark.parametrize("name", NAMES)
def test_launch_files_are_started_with_arguments_they_have(name: str) -> None:
    for line in shell_lines(ROOT / name):
        words = shlex.split(line, comments=True) if line.startswith("ros2 launch n3d_ros ") else []
        if len(words) < 4:
            continue
        source = (ROOT / "launch" / words[3]).read_text(encoding="utf-8")
        for word in words[4:]:
            argument, given, _ = word.partition(":=")
            assert word == "..." or not given or re.search(rf'argument\(\s*"{argument}"', source), line


@pytest.mark.ros
def test_parameters_that_pages_name_exist() -> None:
    pytest.importorskip("rclpy", reason="the node's configuration needs ROS 2")
    from n3d_ros.ros.config import NodeConfig
    from n3d_ros.ros.parameters import parameter_specs

    known = {spec.name for spec in parameter_specs(NodeConfig())}
    groups = {name.partition(".")[0] for name in known if "." in name}
    pattern = re.compile(rf"`((?:{'|'.join(sorted(groups))})\.[a-z_0-9.]+)[`: ]")
    unknown = {
        f"{page.relative_to(ROOT)}: {name}"
        for page in PAGES
        if "decisions" not in page.parts
        and page.name not in ("experiments.md", "cameras.md", "doctor.md")  # of their day, of drivers, of checks
        for name in pattern.findall(CHECKS.sub("", page.read_text(encoding="utf-8")))
        if name not in known
        and not name.endswith(FILE_ENDINGS)
        and not any(one.startswith(f"{name}.") for one in known)
    }
    assert not unknown


def test_modules_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b((?:cli|ros|scene|inference|codec|model|depth|weights|refine)/[\w/]*(?:\.py|/))", text))
    assert len(named) > 20
    assert {name for name in named if not (ROOT / "n3d_ros" / name).exists()} == set()


def test_checks_of_the_doctor_that_pages_name_exist() -> None:
    sources = "".join(path.read_text() for path in sorted((ROOT / "n3d_ros/ros/doctor").glob("*.py")))
    text = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    named = {name for line in CHECKS.findall(text) for name in re.findall(r"`(.+?)`", line)}
    table = (ROOT / "docs/doctor.md").read_text(encoding="utf-8").partition("## What is looked at")[2]
    listed = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(.+?)`", row)}
    assert len(named) > 15
    assert named <= listed
    for name in listed:
        group, _, rest = name.partition(".")
        assert f'"{name}"' in sources or (group in ("color", "depth") and f'"{{role}}.{rest}"' in sources), name


@pytest.mark.slow
def test_sphinx_builds_the_pages_without_a_warning(tmp_path: Path) -> None:
    for package in ("sphinx", "myst_parser", "furo"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (make setup DOCS=1)")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
    built = subprocess.run(
        [*command, "-d", str(tmp_path / "doctrees"), str(ROOT / "docs"), str(tmp_path / "html")],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "Status codes" in (tmp_path / "html/reference/status_codes.html").read_text(encoding="utf-8")
