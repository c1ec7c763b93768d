"""The reference pages say what the code says."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rclpy", reason="the pages are written from a node, which needs ROS 2")
pytest.importorskip("n3d_msgs", reason="the interface package is not built")

from n3d_ros.cli.main import COMMANDS
from n3d_ros.errors import StatusCode
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.ledger import MENDS
from n3d_ros.ros.parameters import parameter_specs
from scripts.reference_pages import meanings, pages, statuses, topics

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    """Every page as the code says it now."""
    return {name: write() for name, write in pages.PAGES.items()}


@pytest.mark.parametrize("name", sorted(pages.PAGES))
def test_the_page_in_the_checkout_is_the_one_that_the_code_writes(written: dict[str, str], name: str) -> None:
    path = pages.FOLDER / name
    assert path.read_text(encoding="utf-8") == written[name], "run: python -m scripts.reference_pages"


def test_every_parameter_has_its_row_with_a_meaning(written: dict[str, str]) -> None:
    rows = {
        line.split("|")[1].strip(): line for line in written["parameters.md"].splitlines() if line.startswith("| `")
    }
    for spec in parameter_specs(NodeConfig()):
        cells = rows[f"`{spec.name}`"].split("|")
        assert len(cells[-2].strip()) > 10, spec.name


def test_every_topic_service_and_action_of_the_node_says_what_it_is_for(written: dict[str, str]) -> None:
    rows = [line for line in written["topics.md"].splitlines() if line.startswith("| `")]
    assert len(rows) >= 15
    for row in rows:
        name, meaning = row.split("|")[1].strip().strip("`"), row.split("|")[-2].strip()
        assert name in meanings.TOPICS, f"{name}: say in meanings.yaml what it is for"
        assert meaning == meanings.TOPICS[name].strip()


def test_services_and_actions_of_the_node_are_on_the_page_of_topics(written: dict[str, str]) -> None:
    for name in ("~/locate", "~/query", "~/ground"):
        assert f"| `{name}` |" in written["topics.md"]


def test_every_status_says_what_to_do() -> None:
    assert set(meanings.STATUS_MENDS) == {status.name for status in StatusCode}


def test_every_reason_in_the_code_is_explained_or_known_not_to_be_of_an_image() -> None:
    known = {*meanings.DROP_REASONS, *meanings.NOT_OF_IMAGES}
    assert statuses.reasons_in_code() - known == set(), "explain them in scripts/reference_pages/meanings.yaml"


def test_every_drop_says_what_happened_and_what_to_do() -> None:
    for reason, words in meanings.DROP_REASONS.items():
        assert words["happened"]
        assert MENDS.get(reason) or words["mend"], reason


def test_every_subcommand_has_its_section(written: dict[str, str]) -> None:
    for name in COMMANDS:
        assert f"## n3d {name}\n" in written["commands.md"]


def test_a_topic_is_named_as_the_node_names_it_before_remapping() -> None:
    class Entity:
        topic_name = "/depth/image"
        msg_type: Any = topics.DEPTH_TOPICS["raw"][1]
        qos_profile = topics.qos.SENSOR

    class Node:
        subscriptions = (Entity(),)

    names = [one.name for one in topics.subscribed(Node())]  # type: ignore[arg-type]
    assert names == ["depth/image", "depth/image/compressedDepth"]
