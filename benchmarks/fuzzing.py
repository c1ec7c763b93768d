"""Random and mutated questions, and mutated messages: nothing may raise, hang or take long.

The questions go through the same reading and answering as in the node, in this process; the messages go to a running
node over DDS, which must go on answering.
"""

from __future__ import annotations

import math
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from n3d_ros.errors import StatusCode
from n3d_ros.geometry.transforms import RigidTransform

SEEDS = (
    "where is the red box?",
    "how many mugs are on the table?",
    "is there a blue ball next to the bowl?",
    "is the red box left of the blue mug as seen from behind the table?",
    "which is taller, the bottle or the mug?",
    "which of the bottle and the mug is closer to the bowl?",
    "how far is the mug from the red box in cm?",
    "what is between the red box and the blue mug?",
    "how much taller is the bottle than the mug?",
    "at what o'clock is the mug seen from the red box facing the bowl?",
    "order the boxes from left to right",
    "does the red box fit into a gap of 20 by 30 by 10 cm?",
    "what did you see 10 seconds ago?",
    "what changed since 12:03:04.2?",
    "what is the second largest object except the mug?",
    "is anything under the table within half a metre of the red box?",
)
ODD_WORDS = (
    "the a an is are was what which who where when how many much far tall wide big left right of in on under above "
    "below behind front between next to and or not than as from at by with without it them one ones other others "
    "red blue green box mug table floor robot camera me my your largest smallest nearest furthest second third 3 20 "
    "cm m metres inches o'clock degrees seconds ago since same about free space gap fit inside does do did can could "
    "please , . ? ! ( ) \" ' : ; - _ / % {0} %s $(ls) `id` ../../etc/passwd \\n \u00e9 \u4f60\u597d \u0645 \U0001f600 "
    "\u202e \x00 \x1b[31m"
)
WORDS = ODD_WORDS.split(" ")
REPEATED = (
    " left of the box",
    " next to the box within 30 cm of the mug",
    " between the box and the ball",
    " and",
    " of the largest",
    " the box, the",
    " seen from the box",
    " closer to the box than",
    " ten seconds ago",
    " not",
    " 20 by",
)
"""Pieces that are said once or twice by people; said often, they are what makes a grammar slow."""
MAX_CHARS = 1200  # a little over what the service takes
SLOW_MS = 50.0
CROWD = 64  # things of one name: every phrase that names them has as many meanings
CROWD_SHARE = 0.1  # of the questions that are asked of the crowd


@dataclass(slots=True, kw_only=True)
class FuzzedQuestions:
    """What came of many odd questions.

    Args:
        count: asked.
        statuses: how they were answered, by code.
        raised: question and error of those that raised.
        slowest_ms: longest time of one.
        slowest: that one.
        slow: how many took longer than ``SLOW_MS``.
        seconds: all together.
    """

    count: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    raised: list[tuple[str, str]] = field(default_factory=list)
    slowest_ms: float = 0.0
    slowest: str = ""
    slow: int = 0
    seconds: float = 0.0


def odd_question(rng: random.Random) -> str:
    """A question that is sometimes nearly sensible and sometimes not at all.

    Args:
        rng: where chance comes from.

    Returns:
        Text of at most ``MAX_CHARS``.
    """
    kind = rng.random()
    if kind < 0.25:
        text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(0, 24)))
    elif kind < 0.35:
        text = "".join(
            chr(rng.choice((rng.randint(0, 255), rng.randint(0, 0x2FFF)))) for _ in range(rng.randint(0, 80))
        )
    elif kind < 0.38:
        text = rng.choice(WORDS) * rng.randint(1, 400)
    elif kind < 0.42:
        text = rng.choice(SEEDS).rstrip("?") + rng.choice(REPEATED) * rng.randint(1, 60)
    else:
        text = _mutated(rng)
    return text[:MAX_CHARS]


def _mutated(rng: random.Random) -> str:
    """Some question, or two of them, with words swapped, dropped, doubled or replaced."""
    words = rng.choice(SEEDS).split()
    if rng.random() < 0.2:
        words += rng.choice(SEEDS).split()
    for _ in range(rng.randint(0, 5)):
        at = rng.randrange(len(words))
        action = rng.randrange(5)
        if action == 0 and len(words) > 1:
            words.pop(at)
        elif action == 1:
            words.insert(at, rng.choice(WORDS))
        elif action == 2:
            words[at] = rng.choice(WORDS)
        elif action == 3:
            other = rng.randrange(len(words))
            words[at], words[other] = words[other], words[at]
        else:
            words[at] = words[at][: rng.randint(0, len(words[at]))] + rng.choice("aeiou tx?.")
    return " ".join(words)


def fuzz_questions(count: int, *, seed: int = 0, tell: Callable[[int], None] = lambda _done: None) -> FuzzedQuestions:
    """Asks many odd questions of a small scene.

    Args:
        count: how many.
        seed: of chance.
        tell: told how many are done.

    Returns:
        What came of them.
    """
    from n3d_ros.scene.query import SpatialQuery, answer

    rng, few, crowd, result = random.Random(seed), small_scene(), crowded_scene(), FuzzedQuestions(count=count)
    view = RigidTransform(
        rotation=np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]), translation=np.zeros(3)
    )
    up = np.array([0.0, -1.0, 0.0])
    context = {"viewpoint": view, "up": up, "surfaces": (table_top(),), "now_ns": few.stamp_ns}
    answer(few, SpatialQuery(text=SEEDS[0], viewpoint=view))  # the grammar is made at the first question
    begin = time.monotonic()
    for i in range(count):
        text = odd_question(rng)
        scene = crowd if rng.random() < CROWD_SHARE else few
        query = SpatialQuery(text=text, before=scene, departed=few.objects[:2], **context)
        started_s = time.monotonic()
        try:
            status = answer(scene, query).status
            result.statuses[StatusCode(status).name] += 1
        except Exception as error:
            result.raised.append((text, f"{type(error).__name__}: {error}"))
        took_ms = 1e3 * (time.monotonic() - started_s)
        if took_ms > result.slowest_ms:
            result.slowest_ms, result.slowest = took_ms, text
        result.slow += took_ms > SLOW_MS
        if i % 1000 == 999:
            tell(i + 1)
    result.seconds = time.monotonic() - begin
    return result


def small_scene() -> Any:
    """Eight things in front of a camera, two of them alike.

    Returns:
        A ``Scene`` in an optical frame.
    """
    from n3d_ros.detection import Detection3D
    from n3d_ros.geometry.boxes import Box3D
    from n3d_ros.scene.objects import SceneObject
    from n3d_ros.scene.scene import Scene

    things = (
        ("red box", "red", "box", (-0.3, 0.1, 0.9), (0.2, 0.1, 0.15)),
        ("red box", "red", "box", (0.35, 0.1, 1.1), (0.1, 0.1, 0.1)),
        ("blue mug", "blue", "cylinder", (0.1, 0.12, 0.8), (0.08, 0.1, 0.08)),
        ("green ball", "green", "ball", (0.0, 0.1, 1.3), (0.12, 0.12, 0.12)),
        ("bowl", "white", "bowl", (-0.1, 0.13, 1.0), (0.2, 0.08, 0.2)),
        ("bottle", "green", "cylinder", (0.25, 0.05, 0.9), (0.07, 0.25, 0.07)),
        ("book", "brown", "flat", (-0.3, 0.04, 0.9), (0.15, 0.02, 0.1)),
        ("table", "brown", "box", (0.0, 0.5, 1.1), (1.5, 0.7, 0.9)),
    )
    objects = tuple(
        SceneObject.first(
            number,
            Detection3D(label=label, box=Box3D.axis_aligned(center, size), score=0.9, color=color, shape=shape),
            1_000_000_000,
        )
        for number, (label, color, shape, center, size) in enumerate(things, start=1)
    )
    return Scene(frame_id="camera_color_optical_frame", stamp_ns=1_000_000_000, objects=objects)


def crowded_scene() -> Any:
    """Many boxes of one name on a grid.

    Returns:
        A ``Scene`` in an optical frame.
    """
    from n3d_ros.detection import Detection3D
    from n3d_ros.geometry.boxes import Box3D
    from n3d_ros.scene.objects import SceneObject
    from n3d_ros.scene.scene import Scene

    objects = tuple(
        SceneObject.first(
            n + 1,
            Detection3D(
                label="red box",
                box=Box3D.axis_aligned((0.12 * (n % 8) - 0.42, 0.1, 0.7 + 0.12 * (n // 8)), (0.1, 0.1, 0.1)),
                score=0.9,
                color="red",
                shape="box",
            ),
            1_000_000_000,
        )
        for n in range(CROWD)
    )
    return Scene(frame_id="camera_color_optical_frame", stamp_ns=1_000_000_000, objects=objects)


def table_top() -> Any:
    """A table under the things of both scenes, with an outline as finely cut as measured ones.

    Returns:
        A ``SupportSurface`` in the optical frame.
    """
    from n3d_ros.detection import SupportSurface

    turns = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    outline = np.column_stack([0.9 * np.cos(turns), np.full(32, 0.16), 1.1 + 0.6 * np.sin(turns)])
    return SupportSurface(normal=np.array([0.0, -1.0, 0.0]), offset_m=0.16, kind="table", outline=outline)


@dataclass(slots=True, kw_only=True)
class FuzzedMessages:
    """What came of many odd messages.

    Args:
        sent: messages that were published.
        lived: whether the node was still there and answered a question about good images.
        growth_mib: of its resident memory over the second half.
        dropped: what the node reports, by reason.
        faults: lines of its log that tell of an unhandled exception.
    """

    sent: int = 0
    lived: bool = False
    growth_mib: float = math.nan
    dropped: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def fuzz_messages(count: int, *, seed: int = 0, tell: Callable[[int], None] = lambda _done: None) -> FuzzedMessages:
    """Publishes many odd images and calibrations to a running node, then good ones.

    Args:
        count: how many.
        seed: of chance.
        tell: told how many are done.

    Returns:
        What came of them.

    Raises:
        BackendError: the node did not come up.
    """
    from benchmarks.asking import Asker, running_camera
    from benchmarks.endurance import FAULT
    from benchmarks.frames import bench_frames
    from benchmarks.mutated_messages import mutated_messages
    from n3d_ros.bench.process import resident_bytes
    from n3d_ros.cli.live_session import session_name, wait_until_ready
    from n3d_ros.cli.start import node_command, started
    from n3d_ros.ros.session import ros_node

    namespace, result = session_name("fuzzing"), FuzzedMessages()
    with tempfile.TemporaryDirectory() as folder, ros_node("bench_fuzzer") as node:
        images, log = Path(folder, "frames.npz"), Path(folder, "node.log")
        bench_frames().save(images)
        with (
            log.open("wb") as output,
            started(node_command(namespace=namespace), stdout=output, stderr=subprocess.STDOUT) as process,
        ):
            wait_until_ready(node, namespace, process, log)
            asker, publishers, half_mib = Asker(node, namespace), dict[str, Any](), math.nan
            for i, messages in enumerate(mutated_messages(seed)):
                for topic, message in messages.items():
                    if topic not in publishers:
                        publishers[topic] = node.create_publisher(type(message), f"/{namespace}/{topic}", 10)
                        asker.wait_for_subscriber(publishers[topic])
                    publishers[topic].publish(message)
                    result.sent += 1
                    asker.spin(0.001)
                if math.isnan(half_mib) and result.sent >= count / 2:
                    half_mib = resident_bytes(process.pid) / 2**20
                if i % 100 == 0:
                    tell(min(result.sent, count))
                if result.sent >= count or process.poll() is not None:
                    break
            result.growth_mib = resident_bytes(process.pid) / 2**20 - half_mib
            with running_camera(namespace, images, seconds=60.0, rate_hz=10.0):
                result.lived = process.poll() is None and asker.is_answered()
            result.dropped = asker.settled().dropped
        result.faults = [line for line in log.read_text(errors="replace").splitlines() if FAULT.search(line)]
    return result
