"""``n3d run --save`` and ``--compare``: a recording held against itself, edited files and other bags."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bags_for_tests import START_NS, write_camera_bag
from n3d_ros.cli.main import main

ZERO = ["--min-iou=1", "--center-m=0", "--size-m=0", "--yaw-deg=0", "--score=0", "--value-share=0"]


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camera_bag(tmp_path_factory.mktemp("bags") / "desk", frames=4)


@pytest.fixture(scope="module")
def golden(bag: Path) -> Path:
    path = bag.parent / "golden.json"
    ask = ["--ask", "how many red boxes are there?", "--ask", "@0.15 where is the red box?"]
    assert main(["run", str(bag), "--save", str(path), *ask, "-p", "output_frame:=map"]) == 0
    return path


def compare(bag: Path, golden: Path, *options: str) -> int:
    return main(["run", str(bag), "--compare", str(golden), "-p", "output_frame:=map", *options])


def edited(golden: Path, to: Path, edit: Callable[[Any], None]) -> Path:
    content = json.loads(golden.read_text())
    edit(content)
    to.write_text(json.dumps(content))
    return to


def first_object(content: Any) -> Any:
    return content["frames"][1]["objects"][0]


def test_a_recording_compared_with_itself_is_the_same_when_nothing_may_differ(
    bag: Path, golden: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(bag, golden, *ZERO, "--junit", str(tmp_path / "out.xml")) == 0
    assert "Same: 4 images with 4 objects and 2 answers as expected." in capsys.readouterr().out
    suites = ElementTree.parse(tmp_path / "out.xml").getroot().findall("testsuite")
    assert [(suite.get("tests"), suite.get("failures")) for suite in suites] == [("4", "0"), ("2", "0")]


def test_a_golden_file_names_the_recording_the_settings_and_what_was_answered(golden: Path) -> None:
    content = json.loads(golden.read_text())
    assert content["bag"]["name"] == "desk" and content["settings"] == {"output_frame": "map"}
    assert content["frames"][0]["stamp_ns"] == START_NS and content["frames"][0]["frame_id"] == "map"
    where, how_many = content["questions"]
    assert where["at_s"] == 0.15 and len(where["value"]) == 3 and where["unit"] == "m"
    assert how_many["value"] == 1 and how_many["objects"] == ["red box"]


def push(numbers: list[float], by: float) -> None:
    numbers[0] += by


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda content: push(first_object(content)["center_m"], 0.015), "centre   red box"),
        (lambda content: push(first_object(content)["size_m"], 0.02), "size     red box"),
        (lambda content: first_object(content).update(label="red cup"), "label    red cup"),
        (lambda content: content["frames"][2]["objects"].clear(), "extra    red box"),
        (lambda content: content["frames"][2].update(frame_id="odom"), "boxes in 'odom'"),
        (lambda content: content["frames"][2].update(status="NO_DEPTH"), "NO_DEPTH"),
        (lambda content: content["frames"][2].update(stamp_ns=7), "no such image"),
        (lambda content: content["questions"][1].update(value=2), "answer   how many red boxes are there?"),
        (lambda content: content["questions"][0].update(status="NOT_FOUND"), "status NOT_FOUND"),
    ],
)
def test_what_differs_from_an_edited_file_is_told_and_ends_with_1(
    bag: Path,
    golden: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    edit: Callable[[Any], None],
    told: str,
) -> None:
    other = edited(golden, tmp_path / "edited.json", edit)
    junit = tmp_path / "out.xml"
    assert compare(bag, other, "--junit", str(junit)) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert " ".join(told.split()) in shown and "Differs: 1 difference in 1 of" in shown
    assert len(list(ElementTree.parse(junit).getroot().iter("failure"))) == 1


def test_tolerances_of_the_file_hold_and_those_of_the_command_line_win(bag: Path, golden: Path, tmp_path: Path) -> None:
    def loosen(content: Any) -> None:
        first_object(content)["center_m"][0] += 0.03
        content["tolerances"]["center_m"] = 0.05

    other = edited(golden, tmp_path / "loose.json", loosen)
    assert compare(bag, other) == 0
    assert compare(bag, other, "--center-m", "0.02") == 1


def test_what_cannot_be_compared_ends_with_2_and_a_sentence(
    bag: Path, golden: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text('{"format": "n3d golden file", "version": 1}')
    assert compare(bag, tmp_path / "bad.json") == 2
    assert "bad.json: the file: the field 'bag' is missing" in capsys.readouterr().err
    assert compare(tmp_path / "none", golden) == 2
    assert compare(bag, golden, "--junit", str(tmp_path / "no" / "out.xml")) == 2
    assert compare(bag, golden, "--center-m", "nan") == 2
    other = edited(golden, tmp_path / "other.json", lambda content: content.update(frames=content["frames"][:1]))
    edited(other, other, lambda content: content["frames"][0].update(stamp_ns=1))
    assert compare(bag, other) == 2
    assert "None of the 1 expected images is in this recording" in capsys.readouterr().err


def test_a_golden_file_is_not_replaced_without_being_told_to(
    bag: Path, golden: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = golden.read_bytes()
    assert main(["run", str(bag), "--save", str(golden)]) == 1
    assert "--force" in capsys.readouterr().err and golden.read_bytes() == before


def test_a_run_needs_somewhere_to_put_what_it_finds(bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(bag)]) == 1
    assert "Expected -o OUT" in capsys.readouterr().err
    assert main(["run", str(bag), "-o", "out", "--junit", "x.xml"]) == 1
    assert "--compare" in capsys.readouterr().err


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names features of x86 processors")
@pytest.mark.parametrize("option", ["--junit", "--save", "-o"])
def test_no_result_is_written_over_a_file_that_is_read(
    bag: Path, golden: Path, tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    read = tmp_path / "objects.json"
    read.write_bytes(b"# mine\nhow many boxes?\n" if option != "--junit" else golden.read_bytes())
    before = read.read_bytes()
    options = {
        "--junit": ["--compare", str(read), "--junit", str(tmp_path / "nowhere" / ".." / read.name)],
        "--save": ["--questions", str(read), "--save", str(read)],
        "-o": ["--questions", str(read), "-o", str(tmp_path)],
    }[option]
    (tmp_path / "nowhere").mkdir()
    assert main(["run", str(bag), *options, *([] if option == "--junit" else ["--force"])]) != 0
    assert "is read (" in capsys.readouterr().err
    assert read.read_bytes() == before


def test_two_results_do_not_share_a_file(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(bag), "-o", str(tmp_path), "--save", str(tmp_path / "objects.json")]) == 1
    assert "would be written twice (--save and -o, objects.json)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_images_compares_answers_and_says_so(
    bag: Path, golden: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only = edited(golden, tmp_path / "g.json", lambda content: content.update(frames=[]))
    assert compare(bag, only) == 0
    assert "Same: 2 answers (the golden file holds no image) as expected." in capsys.readouterr().out


def test_a_question_for_a_time_after_the_end_is_told_to_be_asked_there(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--ask", "@9 how many boxes are there?", "--ask", "@0.1 what do you see?"]
    assert main(["run", str(bag), "--save", str(tmp_path / "g.json"), *asked]) == 0
    told = capsys.readouterr()
    assert "the bag ends at 0.3 s: what is to be asked at 9 s is asked then: how many boxes" in told.err
    assert "0.1 s is asked then" not in told.err
    assert "and 2 answers to be expected" in told.out


def test_another_processor_finds_the_same(repository: Path, tmp_path: Path) -> None:
    looks = [str(repository / "demo" / "tabletop"), "-p", "continuous_rate_hz:=3.0"]
    ask = ["--ask", "how far is the pink box from the blue box?"]
    assert main(["run", *looks, "--save", str(tmp_path / "golden.json"), *ask]) == 0
    older = {  # what NumPy, OpenBLAS and OpenCV use beyond these is off: sums are rounded in another order
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512_SKX",
        "OPENBLAS_CORETYPE": "Prescott",
        "OPENCV_CPU_DISABLE": "AVX2,AVX,FP16,SSE4.2",
        "OPENCV_IPP": "disabled",
    }
    command = [sys.executable, "-m", "n3d_ros.cli", "run", *looks, "--compare", str(tmp_path / "golden.json")]
    answer = subprocess.run(command, env={**os.environ, **older}, capture_output=True, text=True, timeout=100)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "objects and 1 answer as expected." in answer.stdout


def test_questions_come_from_a_file_too(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "questions.txt").write_text("# mine\n\n@0.1 how many red boxes are there?\nwhere is the red box?\n")
    questions = ["--questions", str(tmp_path / "questions.txt")]
    assert main(["run", str(bag), "-o", str(tmp_path / "out"), "--no-bag", *questions]) == 0
    shown = capsys.readouterr().out
    assert "? how many red boxes are there? (at 0.1 s)" in shown and "? where is the red box?" in shown
    answers = json.loads((tmp_path / "out" / "objects.json").read_text())["answers"]
    assert [one["status"] for one in answers] == ["OK", "OK"] and answers[0]["value"] == 1
    (tmp_path / "questions.txt").write_text("where?\n@soon where is it?\n")
    assert main(["run", str(bag), "-o", str(tmp_path / "again"), *questions]) == 1
    assert "questions.txt, line 2:" in capsys.readouterr().err
