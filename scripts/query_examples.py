"""The answers in docs/query_language.md: each question is asked of the demo's bag, through the node's own pipeline.

``python -m scripts.query_examples`` writes them, ``--check`` only tells which blocks say something else now.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from n3d_ros.errors import StatusCode
from n3d_ros.ros.bag import BagReader
from n3d_ros.ros.bag_pass import BagListeners, BagPass
from n3d_ros.ros.bag_questions import Answered, BagQuestion
from n3d_ros.ros.camera_topics import find_camera_topics
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.loading import grounder_from_config
from n3d_ros.ros.parameters import build_config
from n3d_ros.scene.spatial_answer import ValueType

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/query_language.md"
QUESTIONS = Path(__file__).with_suffix(".yaml")
BAG = ROOT / "demo/tabletop"
SETTINGS = {"output_frame": "map"}  # positions in a frame that stands still, as most robots have it
WITH_STEPS = ("steps",)  # blocks that show how the answer was reached
WIDTH = 88
BLOCK = re.compile(r"(<!-- answers: (\w+) -->\n).*?(<!-- end of answers -->)", re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def questions(file: Path = QUESTIONS) -> Mapping[str, Sequence[str]]:
    """The questions by block.

    Args:
        file: YAML.

    Returns:
        Block to questions.
    """
    loaded: dict[str, list[str]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return loaded


def ask_all(asked: Mapping[str, Sequence[str]], bag: Path = BAG) -> dict[str, list[Answered]]:
    """The answers by block, from one pass over the bag.

    Args:
        asked: questions by block.
        bag: the recording.

    Returns:
        One answer per question, in their order.
    """
    config = build_config(NodeConfig(), SETTINGS)
    grounder = grounder_from_config(config)
    answers: dict[str, Answered] = {}
    listeners = BagListeners(answered=[lambda one: answers.__setitem__(_key(one.question), one)])
    wanted = {_key(one): one for texts in asked.values() for one in map(BagQuestion.parse, texts)}
    try:
        with BagReader(bag) as reader:
            topics = find_camera_topics(reader)
            BagPass(reader, topics, grounder, config, listeners, list(wanted.values())).run()
    finally:
        grounder.close()
    return {name: [answers[_key(BagQuestion.parse(text))] for text in texts] for name, texts in asked.items()}


def block_text(answers: Sequence[Answered], *, with_steps: bool) -> str:
    """Questions and answers as they are shown on the page.

    Args:
        answers: of one block.
        with_steps: show how each was reached.

    Returns:
        Markdown.
    """
    entries = [_entry(one, with_steps=with_steps) for one in answers]
    return "```text\n" + "\n\n".join(entries) + "\n```\n"


def page_text(page: str, answers: Mapping[str, Sequence[Answered]]) -> str:
    """The page with today's answers.

    Args:
        page: as it is.
        answers: by block.

    Returns:
        The page; only the blocks are changed.
    """

    def written(match: re.Match[str]) -> str:
        name = match[2]
        return match[1] + block_text(answers[name], with_steps=name in WITH_STEPS) + match[3]

    return BLOCK.sub(written, page)


def same_answers(one: str, other: str, tolerance: float = 0.02) -> bool:
    """Whether two pages say the same, up to the last digits of measurements: other machines round otherwise.

    Args:
        one: a page.
        other: a page.
        tolerance: largest difference of two numbers, absolute or as a share of them.

    Returns:
        True when words agree exactly and numbers nearly.
    """
    if [*NUMBER.sub("#", one).split()] != [*NUMBER.sub("#", other).split()]:
        return False
    pairs = zip(map(float, NUMBER.findall(one)), map(float, NUMBER.findall(other)), strict=True)
    return all(abs(a - b) <= tolerance * max(1.0, abs(a)) for a, b in pairs)


def main() -> int:
    """The command line.

    Returns:
        0, or 1 when ``--check`` finds other answers than those on the page.
    """
    parser = argparse.ArgumentParser(prog="python -m scripts.query_examples", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the page says something else")
    args = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    new = page_text(page, ask_all(questions()))
    if not args.check:
        PAGE.write_text(new, encoding="utf-8")
        return 0
    if same_answers(page, new):
        return 0
    print(f"{PAGE} is out of date; run python -m scripts.query_examples.", file=sys.stderr)
    return 1


def _key(question: BagQuestion) -> str:
    return f"{question.at_s}:{question.text}"


def _entry(one: Answered, *, with_steps: bool) -> str:
    reply = one.reply
    lines = [f"> {one.question.text}"]
    status = "" if reply.status is StatusCode.OK else f"[{reply.status.name}] "
    lines += textwrap.wrap(status + (reply.sentence or reply.message), WIDTH)
    if value := _value(reply):
        lines.append(f"  = {value}")
    if with_steps:
        for number, step in enumerate(reply.steps, start=1):
            lines += textwrap.wrap(step, WIDTH, initial_indent=f"  {number}. ", subsequent_indent="     ")
    return "\n".join(lines)


def _value(reply: Any) -> str:
    """The typed value: "NUMBER 0.42 m"."""
    kind = ValueType(reply.value_type)
    if kind is ValueType.NONE or reply.value is None:
        return ""
    return f"{kind.name} {reply.value_text}"


if __name__ == "__main__":
    sys.exit(main())
