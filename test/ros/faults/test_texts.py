"""Hostile texts in every field that takes one: answered with a code, told in plain text, and nothing is carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from geometry_msgs.msg import Point, PointStamped, TransformStamped
from n3d_msgs.action import Ground
from n3d_msgs.srv import Locate, SpatialQuery
from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.parameter import Parameter
from tf2_msgs.msg import TFMessage

from fault_harness import assert_still_works, running, set_parameters
from n3d_ros.errors import StatusCode
from node_harness import FRAME, NodeClient, NodeProcess, wait_until

TEXTS = {
    "empty": "",
    "blanks": " \t \u00a0\u3000 ",
    "100 kB": "block " * 17_000,
    "one long word": "x" * 100_000,
    "Chinese": "红色的方块在哪里？",  # noqa: RUF001 -- as it is written
    "Arabic": "أين المكعب الأحمر؟",
    "emoji": "where is the 🟥📦👩‍👩‍👧‍👦?",
    "combining": "z\u0351\u036b\u0343\u036a\u0302a\u0318l\u0320g\u0360o " * 20,
    "right to left": "where is the \u202etxt.kcolb\u202c block?",
    "controls": "".join(map(chr, range(1, 32))) + "\x7f\x80\x85\x9b\u2028\u2029",
    "escape sequence": "red\x1b[2J\x1b]0;owned\x07\x1b[31m block",
    "forged line": "red\n[ERROR] [1.0] [n3d]: forged\r[FATAL] block",
    "path": "../../../../../../etc/passwd",
    "absolute path": "/etc/passwd",
    "shell": "$(touch MARK); `touch MARK`; | touch MARK & touch MARK #",
    "percent": "%s%s%s%n%n%x%99999d %(name)s",
    "braces": "{0.__class__.__mro__} {} {!r:>99999} {x[0]}",
    "code": "__import__('os').system('touch MARK')",
    "yaml": "!!python/object/apply:os.system ['touch MARK']",
    "markup": "<script>alert(1)</script>&lt;?xml <!ENTITY x SYSTEM 'file:///etc/passwd'>",
    "replaced bytes": "\ufffd\ufffe\uffff",
}
# rclpy itself refuses lone surrogates and cuts at NUL before anything is sent; test_mutated_messages sends raw bytes.
REFUSALS = {
    StatusCode.NOT_FOUND,
    StatusCode.NOT_UNDERSTOOD,
    StatusCode.INVALID_REQUEST,
    StatusCode.NO_TRANSFORM,
    StatusCode.AMBIGUOUS,
}


@pytest.fixture(scope="module")
def mark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that comes into being when a text is carried out."""
    return tmp_path_factory.mktemp("hostile") / "mark"


@pytest.fixture(scope="module")
def live(mark: Path) -> Iterator[tuple[NodeProcess, NodeClient]]:
    """A node that has looked at an image and goes on living in its memory; at the end its log must be plain."""
    with running({"request.max_frame_age_s": 600.0, "request.timeout_s": 5.0}) as (node, client):
        client.wait_connected()
        client.send_good()
        yield node, client
        assert_still_works(client)
        assert not mark.exists()


@pytest.fixture(scope="module")
def product(mark: Path) -> Iterator[NodeClient]:
    """The node with its own grounder, which reads phrases itself; the picture is a wall, on which there is nothing."""
    with running({"request.max_frame_age_s": 600.0, "request.timeout_s": 10.0}, name="product", is_product=True) as (
        _,
        client,
    ):
        client.wait_connected()
        assert wait_until(lambda: client.publish(client.messages()) or bool(client.heard["objects"]), 10.0)
        yield client
        assert not mark.exists()


@pytest.fixture
def client(live: tuple[NodeProcess, NodeClient]) -> NodeClient:
    return live[1]


@pytest.fixture(params=TEXTS.values(), ids=TEXTS)
def text(request: pytest.FixtureRequest, mark: Path) -> str:
    return str(request.param).replace("MARK", str(mark))


def assert_told_plainly(answer: Any) -> None:
    """Fails when an answer holds what a terminal obeys, or more than a screen of text."""
    for told in (answer.status.message, getattr(answer, "sentence", ""), *getattr(answer, "steps", ())):
        assert told.isprintable(), told
        assert len(told) < 4000, len(told)


def result_of(client: NodeClient, goal: Any) -> Any:
    assert client.ground.wait_for_server(10.0)
    sent = client.ground.send_goal_async(goal)
    assert wait_until(sent.done)
    result = sent.result().get_result_async()
    assert wait_until(result.done, 15.0)
    return result.result().result


def test_a_question_is_answered_or_refused_in_plain_words(client: NodeClient, text: str) -> None:
    answers = [
        client.call(client.query, SpatialQuery.Request(question=text)),
        result_of(client, Ground.Goal(text=text, kind=Ground.Goal.QUESTION)),
    ]
    for answer in answers:
        assert_told_plainly(answer)
        assert answer.status.code in {*REFUSALS, StatusCode.OK}, answer.status
        assert not answer.success or "block" in text, "nothing else is there to be answered about"


def test_a_phrase_is_looked_for_or_refused_in_plain_words(client: NodeClient, text: str) -> None:
    answers = [
        client.call(client.locate, Locate.Request(phrase=text)),
        result_of(client, Ground.Goal(text=text, kind=Ground.Goal.PHRASE)),
        result_of(client, Ground.Goal(text=text)),
    ]
    for answer in answers:
        assert_told_plainly(answer)
        assert answer.status.code in {*REFUSALS, StatusCode.OK}, answer.status
        assert not answer.success or not text.strip() or "block" in text, "only an empty phrase means everything"


def test_the_products_own_grounder_reads_a_phrase_or_refuses_it_in_plain_words(product: NodeClient, text: str) -> None:
    for answer in (
        product.call(product.locate, Locate.Request(phrase=text)),
        product.call(product.query, SpatialQuery.Request(question=f"how many {text} are there?"[:1024])),
    ):
        assert_told_plainly(answer)
        assert answer.status.code in {*REFUSALS, StatusCode.OK}, answer.status


@pytest.mark.parametrize("field", ["target_frame", "viewpoint_frame"])
def test_a_frame_that_is_no_frame_is_refused_by_name(client: NodeClient, text: str, field: str) -> None:
    frame: dict[str, Any] = {field: text}
    answers = [
        client.call(client.query, SpatialQuery.Request(question="where is the red block?", **frame)),
        result_of(client, Ground.Goal(text="where is the red block?", **frame)),
    ]
    if field == "target_frame":
        answers.append(client.call(client.locate, Locate.Request(phrase="red block", **frame)))
    for answer in answers:
        assert_told_plainly(answer)
        assert answer.success == (text == ""), answer.status
        assert answer.status.code in {StatusCode.OK, StatusCode.NO_TRANSFORM, StatusCode.INVALID_REQUEST}


def set_field(message: Any, path: str, value: str) -> Any:
    *parents, last = path.split(".")
    for parent in parents:
        message = getattr(message, parent)
    setattr(message, last, value)
    return message


IMAGE_FIELDS = [
    ("color", "encoding"),
    ("color", "header.frame_id"),
    ("depth", "encoding"),
    ("depth", "header.frame_id"),
    ("color_info", "distortion_model"),
    ("color_info", "header.frame_id"),
    ("depth_info", "distortion_model"),
    ("depth_info", "header.frame_id"),
]


@pytest.mark.parametrize(("topic", "field"), IMAGE_FIELDS, ids=[".".join(one) for one in IMAGE_FIELDS])
def test_texts_of_image_messages_are_told_plainly(
    live: tuple[NodeProcess, NodeClient], mark: Path, topic: str, field: str
) -> None:
    _, client = live
    for text in TEXTS.values():
        messages = client.messages()
        set_field(messages[topic], field, text.replace("MARK", str(mark)))
        client.publish(messages)
        wait_until(lambda: False, 0.03)  # so that not each one is replaced by the next
    client.send_good()
    for report in client.heard["reports"]:
        assert report.status.message.isprintable(), report.status.message
        assert len(report.status.message) < 4000


def test_frames_of_transforms_are_told_plainly(client: NodeClient, text: str) -> None:
    client.wait_connected("tf")
    transforms = [TransformStamped(child_frame_id=FRAME), TransformStamped(child_frame_id=text)]
    transforms[0].header.frame_id, transforms[1].header.frame_id = text, FRAME
    for transform in transforms:
        client.publish({"tf": TFMessage(transforms=[transform])})
    response = client.call(client.locate, Locate.Request(phrase="red block", target_frame="nowhere"))
    assert response.status.code == StatusCode.NO_TRANSFORM
    assert_told_plainly(response)


def test_frames_of_clicked_points_are_told_plainly(client: NodeClient, text: str) -> None:
    clicks = client.node.create_publisher(PointStamped, "clicked_point", 10)
    assert wait_until(lambda: clicks.get_subscription_count() > 0)
    point = PointStamped(point=Point(x=float("nan"), y=1e308, z=1.0))
    point.header.frame_id = text
    clicks.publish(point)
    client.node.destroy_publisher(clicks)
    assert client.send_good().objects


def string_parameters(client: NodeClient) -> list[str]:
    """Every parameter that holds a text."""
    lister = client.node.create_client(ListParameters, "/n3d/list_parameters")
    getter = client.node.create_client(GetParameters, "/n3d/get_parameters")
    names = list(client.call(lister, ListParameters.Request()).result.names)
    values = client.call(getter, GetParameters.Request(names=names)).values
    return [name for name, value in zip(names, values, strict=True) if value.type == Parameter.Type.STRING.value]


def test_texts_of_parameters_are_taken_or_refused_in_plain_words(
    live: tuple[NodeProcess, NodeClient], mark: Path
) -> None:
    _, client = live
    names = [name for name in string_parameters(client) if name != "model"]  # which is a path, of whoever runs the node
    assert {"output_frame", "gravity.frame", "language_model.prompt", "answer_mode"} <= set(names)
    before = dict.fromkeys(names, "")
    getter = client.node.create_client(GetParameters, "/n3d/get_parameters")
    for name, value in zip(names, client.call(getter, GetParameters.Request(names=names)).values, strict=True):
        before[name] = value.string_value
    for hostile in TEXTS.values():
        text = hostile.replace("MARK", str(mark))
        for name, result in zip(names, set_parameters(client, dict.fromkeys(names, text)), strict=True):
            assert result.reason.isprintable(), (name, result.reason)
            assert len(result.reason) < 4000, (name, len(result.reason))
        client.publish(client.messages())
        set_parameters(client, before)
    assert client.send_good().objects


def test_names_of_parameters_are_refused_in_plain_words(client: NodeClient, text: str) -> None:
    (result,) = set_parameters(client, {text or "no_such": 1.0})
    assert not result.successful
    assert result.reason.isprintable(), result.reason


def test_diagnostics_are_plain_text(client: NodeClient) -> None:
    assert wait_until(lambda: bool(client.heard["diagnostics"]))
    for array in client.heard["diagnostics"]:
        for status in array.status:
            told: list[Callable[[], str] | str] = [status.message, *(pair.value for pair in status.values)]
            assert all(str(one).isprintable() for one in told), told
