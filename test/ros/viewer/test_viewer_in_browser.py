"""The page in a real browser: by itself, and with the real node on the shipped bag."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")
pytest.importorskip("viser", reason="needs the extra [view]")

from domains import DOMAIN_ID
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.viewer.composing import SceneMoment
from n3d_ros.ros.viewer.page import Page
from n3d_ros.ros.viewer.page_server import PageServer
from n3d_ros.ros.viewer.shown import shown_boxes
from n3d_ros.ros.viewer.texts import NodeHealth
from node_harness import LoggedProcess, end_all, ros_environment
from page_browser import eventually, keep_screenshot, open_browser, page_in_tab, page_text, patiently
from viewer_messages import make_object

# Several waits of a minute each may follow one another; the default limit would end the whole worker in the midst.
pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.timeout(300)]

CAMERA = ["--camera", "realsense", "--prefix", "/camera"]
COMPRESSED = ["-p", "rgb.transport:=compressed", "-p", "depth.transport:=compressedDepth", "-p", "use_sim_time:=true"]
HOSTILE = '<img src=x onerror="window.harmed=1"><script>window.harmed=1</script>'


def command(*arguments: str) -> LoggedProcess:
    """A command of the package, as a process."""
    return LoggedProcess("-m", "n3d_ros.cli", *arguments)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


# ------------------------------------------------------------------------------------------------- the page by itself


@pytest.fixture
def clicks() -> list[str]:
    """Keys of the boxes that were clicked."""
    return []


@pytest.fixture
def page(browser: Any, clicks: list[str]) -> Iterator[Page]:
    """A page that no node feeds, opened in the browser."""
    server = PageServer("127.0.0.1", 0)
    try:
        made = Page(server, lambda _, key: clicks.append(key))
        with page_in_tab(browser, server.url):
            assert eventually(server.get_clients), f"the browser did not connect to {server.url}: {page_text(browser)}"
            yield made
    finally:
        server.stop()


def test_a_label_that_is_markup_is_read_as_text(page: Page, browser: Any) -> None:
    boxes = shown_boxes([make_object(label=HOSTILE[:60])], RigidTransform.identity())
    page.show(SceneMoment(frame_name=HOSTILE, boxes=boxes, trouble=HOSTILE))
    page.show_health(NodeHealth(name=HOSTILE, state=HOSTILE, level=2, sentences=(HOSTILE,)))
    assert eventually(lambda: HOSTILE in page_text(browser))
    assert eventually(lambda: f"#1 {HOSTILE[:60]}" in page_text(browser))
    assert browser.execute_script("return window.harmed") is None
    assert browser.execute_script("return document.querySelectorAll('img[src=x]').length") == 0


def test_objects_that_left_are_gone_and_those_that_come_back_are_there(page: Page, browser: Any) -> None:
    near = shown_boxes([make_object(1, label="mug"), make_object(2, label="can")], RigidTransform.identity())
    picture = np.full((30, 40, 3), (10, 200, 30), np.uint8)
    page.show(SceneMoment(frame_name="map", boxes=near, picture=picture))
    assert eventually(lambda: "#2 can" in page_text(browser))
    page.show(SceneMoment(frame_name="map", boxes=near[:1]))
    assert eventually(lambda: "#2 can" not in page_text(browser))
    page.show(SceneMoment(frame_name="map", boxes=near))
    assert eventually(lambda: "#2 can" in page_text(browser))


def test_a_click_on_a_box_tells_which_one_it_is(page: Page, browser: Any, clicks: list[str]) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    room = make_object(77, center=(0.0, 0.0, 0.0), size=(1.0, 1.0, 1.0))  # at the middle of every first view
    page.show(SceneMoment(frame_name="map", boxes=shown_boxes([room], RigidTransform.identity())))
    assert eventually(lambda: "#77" in page_text(browser))
    canvases = eventually(lambda: browser.find_elements(By.TAG_NAME, "canvas"))
    canvas = max(canvases, key=lambda one: one.rect["width"])

    def clicked() -> list[str]:
        patiently(lambda: ActionChains(browser).move_to_element(canvas).click().perform())
        return eventually(lambda: clicks, 2.0)

    assert eventually(clicked)
    assert set(clicks) == {"77"}


# ------------------------------------------------------------------------------------------------------ with the node


@pytest.fixture(scope="module")
def robot(repository: Path) -> Iterator[dict[str, LoggedProcess]]:
    """The node, a bag that plays again and again, and the page's process."""
    bag = str(repository / "demo" / "tabletop")
    running = {
        "node": command("start", *CAMERA, *COMPRESSED),
        "replay": command("replay", bag, "--loop", "--clock", "--rate", "0.5"),
        "view": command("view", "--port", "0"),
    }
    yield running
    codes = end_all(running)
    assert codes["view"] == 0, running["view"].told("did not end well")


@pytest.fixture(scope="module")
def listener() -> Iterator[Any]:
    """A node that sees who subscribes to what."""
    from n3d_ros.ros.session import ros_node

    ros_environment()
    before = os.environ.get("ROS_DOMAIN_ID")
    os.environ["ROS_DOMAIN_ID"] = str(DOMAIN_ID)
    with ros_node("n3d_view_test") as node:
        yield node
    os.environ.pop("ROS_DOMAIN_ID")
    if before is not None:
        os.environ["ROS_DOMAIN_ID"] = before


def page_name(listener: Any) -> str:
    """The node of the page that looks."""
    return next((name for name in listener.get_node_names() if re.fullmatch(r"n3d_view_[0-9a-f]{8}", name)), "n3d_view")


def subscribed_by_page(listener: Any) -> set[str]:
    """Topics of node and camera that the page listens to."""
    from rclpy.node import NodeNameNonExistentError

    try:
        topics = listener.get_subscriber_names_and_types_by_node(page_name(listener), "/")
    except NodeNameNonExistentError:
        return set()
    return {name for name, _ in topics if name.startswith(("/n3d/", "/camera/", "/tf", "/diagnostics"))}


def url_of(robot: dict[str, LoggedProcess]) -> str:
    """Where the page is."""
    assert eventually(lambda: re.search(r"http://\S+", robot["view"].log)), robot["view"].log
    return str(re.findall(r"http://\S+", robot["view"].log)[0])


@pytest.fixture(scope="module")
def opened(robot: dict[str, LoggedProcess], browser: Any) -> Iterator[Any]:
    """The browser, on the page."""
    with page_in_tab(browser, url_of(robot)):
        yield browser


def ask(browser: Any, question: str) -> None:
    """Types a question and presses Enter."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    assert eventually(lambda: browser.find_elements(By.CSS_SELECTOR, "textarea"))
    box = browser.find_element(By.CSS_SELECTOR, "textarea")
    box.send_keys(question)
    box.send_keys(Keys.ENTER)


def answers(browser: Any) -> list[str]:
    """Texts of the answers, the newest first."""
    script = "return [...document.querySelectorAll('.n3d-answer')].map(one => one.innerText)"
    return [str(one) for one in browser.execute_script(script)]


def picture_widths(browser: Any) -> list[int]:
    """Widths of the pictures on the page in their own pixels."""
    return [int(one) for one in browser.execute_script("return [...document.images].map(i => i.naturalWidth)")]


def test_while_nobody_looks_the_robot_sends_nothing(robot: dict[str, LoggedProcess], listener: Any) -> None:
    url_of(robot)
    assert eventually(lambda: page_name(listener) != "n3d_view")
    assert subscribed_by_page(listener) == set()


def test_the_page_shows_picture_objects_and_figures(
    robot: dict[str, LoggedProcess], opened: Any, tmp_path: Path
) -> None:
    assert eventually(lambda: re.search(r"#\d+ purple bowl", page_text(opened))), robot["view"].log
    assert eventually(lambda: 480 in picture_widths(opened)), picture_widths(opened)  # 0 while one is decoded
    assert eventually(lambda: "3-D view in map" in page_text(opened))
    assert eventually(lambda: re.search(r"image pairs\s+\d+ came, \d+ used", page_text(opened)))  # a report later
    assert eventually(lambda: "geometric on cpu" in page_text(opened))
    assert eventually(lambda: re.search(r"/n3d\s+active", page_text(opened)))
    assert eventually(lambda: keep_screenshot(opened, tmp_path, "page.png").stat().st_size > 50_000)


def test_the_page_listens_while_somebody_looks(opened: Any, listener: Any) -> None:
    wanted = {"/n3d/objects", "/n3d/frame_report", "/diagnostics", "/tf", "/camera/color/image_raw/compressed"}
    assert eventually(lambda: wanted <= subscribed_by_page(listener)), subscribed_by_page(listener)


def test_a_question_is_answered_below_its_box(opened: Any, tmp_path: Path) -> None:
    ask(opened, "where is the purple bowl?")
    assert eventually(lambda: [one for one in answers(opened) if "purple bowl" in one])
    assert eventually(lambda: "answered in" in answers(opened)[0])
    keep_screenshot(opened, tmp_path, "answer.png")


def test_a_question_that_is_markup_is_shown_as_text(opened: Any) -> None:
    before = len(answers(opened))
    ask(opened, HOSTILE)
    assert eventually(lambda: len(answers(opened)) > before)
    assert eventually(lambda: HOSTILE in page_text(opened))
    assert opened.execute_script("return window.harmed") is None


def test_a_node_that_goes_away_is_told_and_one_that_comes_back_is_shown(
    robot: dict[str, LoggedProcess], opened: Any
) -> None:
    assert robot["node"].end() == 0
    assert eventually(lambda: re.search(r"/n3d\s+absent", page_text(opened)))
    robot["node"] = command("start", *CAMERA, *COMPRESSED)
    assert eventually(lambda: re.search(r"/n3d\s+active", page_text(opened)))
    assert eventually(lambda: "Nothing new for" not in page_text(opened))


def test_the_browser_had_nothing_to_complain_about(opened: Any) -> None:
    complaints = [one for one in opened.get_log("browser") if one["level"] == "SEVERE"]
    assert [one["message"] for one in complaints if "favicon" not in one["message"]] == []


def test_once_nobody_looks_any_more_the_subscriptions_end(opened: Any, listener: Any) -> None:
    page = opened.current_window_handle
    opened.switch_to.new_window("tab")
    left = opened.current_window_handle
    opened.switch_to.window(page)
    opened.close()
    opened.switch_to.window(left)
    assert eventually(lambda: subscribed_by_page(listener) == set())
