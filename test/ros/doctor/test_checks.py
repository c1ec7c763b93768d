"""Every check on snapshots that are well but for one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from n3d_ros.ros.camera_presets import load_camera_presets
from n3d_ros.ros.doctor.examination import examine
from n3d_ros.ros.doctor.findings import Finding, Level, to_document, worst
from n3d_ros.ros.doctor.machine import Process
from n3d_ros.ros.doctor.qos_match import incompatible_policies
from n3d_ros.ros.doctor.roles import choose_topics
from n3d_ros.ros.doctor.snapshot import Endpoint, NodeFacts, Report, Snapshot, Topic, Transforms
from n3d_ros.ros.doctor.timing import nearest_skews_s
from ros.doctor.systems import (
    CAMERA,
    FRAME,
    IMAGE,
    INFO,
    NAMES,
    NODE,
    STAMPS_NS,
    calibration,
    color_picture,
    depth_picture,
    heard,
    transforms,
    well,
)

PRESETS = load_camera_presets()
OK, WARNING, FAULT = Level.OK, Level.WARNING, Level.FAULT
Change = Callable[[Snapshot], Snapshot]


def trouble(snapshot: Snapshot) -> list[Finding]:
    return [one for one in examine(snapshot, PRESETS) if one.level]


def test_a_system_that_is_well_has_only_good_findings_of_every_group() -> None:
    findings = examine(well(), PRESETS)
    assert [one for one in findings if one.level] == []
    groups = {"install", "ros", "transport", "node", "color", "depth", "pair", "qos", "time", "tf", "load"}
    assert {one.group for one in findings} >= groups


def with_color(**changes: Any) -> Change:
    return lambda system: system.with_topic("color", heard=heard(picture=color_picture(**changes)))


def with_depth(**changes: Any) -> Change:
    return lambda system: system.with_topic("depth", heard=heard(picture=depth_picture(**changes)))


def with_calibration(**changes: Any) -> Change:
    return lambda system: system.with_topic("color_info", heard=heard(calibration=calibration(**changes)))


def with_node(**changes: Any) -> Change:
    return lambda system: replace(system, node=replace(system.node, **changes))


def with_parameters(**values: Any) -> Change:
    named = {name.replace("__", "."): value for name, value in values.items()}
    return lambda system: replace(system, node=replace(system.node, parameters={**system.node.parameters, **named}))


def with_host(**changes: Any) -> Change:
    return lambda system: replace(system, host=replace(system.host, **changes))


def with_installation(**changes: Any) -> Change:
    return lambda system: replace(system, installation=replace(system.installation, **changes))


def with_writer(**changes: Any) -> Change:
    return lambda system: system.with_topic("color", publishers=(replace(CAMERA, **changes),))


def with_other(name: str, **facts: Any) -> Change:
    return lambda system: replace(system, others={name: Topic(name=name, **facts)})


def moved(seconds: float) -> Change:
    stamps = tuple(stamp + round(seconds * 1e9) for stamp in STAMPS_NS)
    return lambda system: system.with_topic("depth", heard=heard(picture=depth_picture(), stamps_ns=stamps))


def report(**changes: Any) -> Report:
    return replace(Report(message_count=10), **changes)


CLOCK = Endpoint(node="/simulator")
SPOILT: list[tuple[str, Change, str, Level, str]] = [
    # what is wrong, the change, the check that names it, its level, words of the message or the mend
    ("no publisher", lambda s: s.with_topic("color", publishers=()), "color.published", FAULT, "Nobody publishes"),
    ("silence", lambda s: s.with_topic("depth", heard=heard(count=0)), "depth.published", FAULT, "sent nothing in 3"),
    ("slow", lambda s: s.with_topic("color_info", heard=heard(count=1)), "color_info.published", WARNING, "0.3 Hz"),
    ("rates", lambda s: s.with_topic("color", heard=heard(count=90)), "topics.rates", WARNING, "30.0 Hz and depth"),
    ("lost", lambda s: s.with_topic("color", heard=heard(lost=70)), "color.lost", WARNING, "70 of 100 messages"),
    (
        "two publishers",
        lambda s: s.with_topic("color", publishers=(CAMERA, replace(CAMERA, node="/bag", gid="020f"))),
        "color.publishers",
        WARNING,
        "/bag, /camera/camera",
    ),
    (
        "wrong type",
        lambda s: s.with_topic("color", publishers=(replace(CAMERA, type_name="sensor_msgs/msg/CompressedImage"),)),
        "color.published",
        FAULT,
        "expected sensor_msgs/msg/Image",
    ),
    (
        "reliable asked, best effort offered",
        lambda s: s.with_topic("color", subscriptions=(replace(NODE, reliability="reliable"),)),
        "qos.match",
        FAULT,
        f"qos_overrides.{NAMES['color']}.subscription.reliability of /n3d to best_effort",
    ),
    (
        "static tf that is not latched",
        with_other(
            "/tf_static",
            publishers=(Endpoint(node="/calibration"),),
            subscriptions=(Endpoint(node="/n3d", durability="transient_local"),),
        ),
        "qos.match",
        FAULT,
        "StaticTransformBroadcaster",
    ),
    (
        "a viewer that asks too much of our results",
        with_other(
            "/n3d/objects",
            publishers=(Endpoint(node="/n3d"),),
            subscriptions=(Endpoint(node="/viewer", durability="transient_local"),),
        ),
        "qos.match",
        WARNING,
        "Let /viewer ask for volatile",
    ),
    ("unknown encoding", with_color(error="Colour image: encoding 'x'"), "color.encoding", FAULT, "encoding 'x'"),
    ("swapped", with_color(encoding="32FC1", error="no picture"), "color.encoding", FAULT, "This is depth"),
    ("8-bit depth", with_depth(encoding="mono8", error="no depth"), "depth.encoding", FAULT, "a picture, not depth"),
    (
        "JPEG depth",
        with_depth(encoding="16UC1; jpeg compressed", is_compressed=True, error="lossy"),
        "depth.encoding",
        FAULT,
        "compressedDepth",
    ),
    ("no frame", with_color(frame_id=""), "color.frame_id", FAULT, "no frame_id"),
    ("slash", with_color(frame_id=f"/{FRAME}"), "color.frame_id", WARNING, "leading slash"),
    ("empty depth", with_depth(median_depth_m=None, depth_share=0.0), "depth.values", FAULT, "all are 0 or NaN"),
    ("millimetres as metres", with_depth(encoding="32FC1", median_depth_m=900.0), "depth.unit", FAULT, "to 0.001"),
    ("metres as millimetres", with_depth(median_depth_m=0.0009), "depth.unit", FAULT, "not millimetres"),
    ("little depth", with_depth(depth_share=0.02), "depth.values", WARNING, "2%"),
    ("too far", with_depth(median_depth_m=30.0), "depth.values", WARNING, "depth.max_m"),
    ("not aligned", with_depth(width=848), "pair.size", WARNING, "depth 848x480"),
    (
        "not aligned and not calibrated",
        lambda s: with_depth(width=848)(s).with_topic("depth_info", heard=heard(count=0)),
        "pair.size",
        FAULT,
        "no depth/camera_info",
    ),
    (
        "calibration of another mode",
        with_calibration(width=1280, height=720),
        "color.calibration_size",
        FAULT,
        "no even scaling",
    ),
    (
        "calibration of a larger image",
        with_calibration(width=1280, height=960),
        "color.calibration_size",
        WARNING,
        "the same shape",
    ),
    ("zero K", with_calibration(k=(0.0,) * 9), "color.calibration", FAULT, "all zeros"),
    ("bad lens", with_calibration(error="model 'x' is not known"), "color.calibration", FAULT, "model 'x'"),
    (
        "fx of another size",
        with_calibration(k=(5250.0, 0.0, 319.5, 0.0, 5250.0, 239.5, 0.0, 0.0, 1.0)),
        "color.calibration",
        WARNING,
        "field of view of 7 deg",
    ),
    (
        "centre of another size",
        with_calibration(k=(525.0, 0.0, 639.5, 0.0, 525.0, 479.5, 0.0, 0.0, 1.0)),
        "color.calibration",
        WARNING,
        "far off the middle",
    ),
    (
        "fx is not fy",
        with_calibration(k=(525.0, 0.0, 319.5, 0.0, 400.0, 239.5, 0.0, 0.0, 1.0)),
        "color.calibration",
        WARNING,
        "far apart",
    ),
    ("another camera's", with_calibration(frame_id="infra1"), "color.calibration_frame", WARNING, "'infra1'"),
    (
        "no stamps",
        lambda s: s.with_topic("color", heard=heard(picture=color_picture(), stamps_ns=(0, 0), ages_s=(1.0, 1.0))),
        "color.stamp",
        FAULT,
        "stamp 0",
    ),
    (
        "repeated images",
        lambda s: s.with_topic("depth", heard=heard(picture=depth_picture(), stamps_ns=(STAMPS_NS[0],) * 3)),
        "depth.stamp",
        WARNING,
        "same stamp twice",
    ),
    (
        "looping bag",
        lambda s: s.with_topic("depth", heard=heard(picture=depth_picture(), stamps_ns=STAMPS_NS + STAMPS_NS[:2])),
        "depth.stamp",
        WARNING,
        "jumped back 1 time.",
    ),
    ("skew", moved(0.045), "pair.skew", FAULT, "45.0 ms apart"),
    (
        "stale",
        lambda s: s.with_topic("color", heard=heard(picture=color_picture(), ages_s=(3.5,) * 30)),
        "time.age",
        FAULT,
        "3.50 s old",
    ),
    (
        "future",
        lambda s: s.with_topic("color", heard=heard(picture=color_picture(), ages_s=(-1.5,) * 30)),
        "time.age",
        WARNING,
        "1.50 s in the future",
    ),
    (
        "another clock",
        lambda s: s.with_topic("color", heard=heard(picture=color_picture(), ages_s=(1e8,) * 30)),
        "time.age",
        WARNING,
        "use_sim_time",
    ),
    ("no clock", with_parameters(use_sim_time=True), "time.clock", FAULT, "its time stands still"),
    (
        "clock not used",
        with_other("/clock", publishers=(CLOCK,), heard=heard()),
        "time.clock",
        WARNING,
        "published by /simulator, and /n3d does not use it",
    ),
    (
        "clock that stands",
        lambda s: with_parameters(use_sim_time=True)(
            with_other("/clock", publishers=(CLOCK,), heard=heard(count=0))(s)
        ),
        "time.clock",
        FAULT,
        "published and silent",
    ),
    (
        "two clocks",
        lambda s: with_parameters(use_sim_time=True)(with_other("/clock", publishers=(CLOCK, CLOCK), heard=heard())(s)),
        "time.clock",
        WARNING,
        "2 publishers",
    ),
    ("no tf", lambda s: replace(s, transforms=Transforms()), "tf.up", WARNING, "with none of map, odom, world"),
    ("output frame", with_parameters(output_frame="base"), "tf.connected", FAULT, "tf does not know 'base'; it knows"),
    ("gravity frame", with_parameters(gravity__frame="earth"), "tf.connected", FAULT, "gravity.frame is 'earth'"),
    (
        "depth in a frame of its own",
        with_depth(frame_id="camera_depth_optical_frame"),
        "pair.frame_id",
        FAULT,
        "tf does not connect them",
    ),
    (
        "depth in another frame that tf knows",
        lambda s: replace(
            with_depth(frame_id="depth_optical")(s), transforms=transforms(parent=FRAME, child="depth_optical")
        ),
        "pair.frame_id",
        WARNING,
        "registers depth with tf",
    ),
    (
        "body frame",
        lambda s: replace(with_color(frame_id="front_link")(s), transforms=transforms(child="front_optical_frame")),
        "tf.optical",
        WARNING,
        "tf has front_optical_frame",
    ),
    (
        "two parents",
        lambda s: replace(s, transforms=replace(s.transforms, parents={"base": frozenset(["odom", "map"])})),
        "tf.authority",
        FAULT,
        "2 parents: map, odom",
    ),
    (
        "two senders",
        lambda s: replace(s, transforms=replace(s.transforms, senders={FRAME: frozenset(["/a", "/b"])})),
        "tf.authority",
        WARNING,
        "/a and /b",
    ),
    (
        "static and moving",
        lambda s: replace(s, transforms=replace(s.transforms, moving=frozenset([FRAME]))),
        "tf.authority",
        WARNING,
        "/tf and on /tf_static",
    ),
    (
        "default transport",
        with_writer(process=Process(pid=10, segment_bytes=549_408)),
        "color.transport",
        FAULT,
        "do not fit and are lost",
    ),
    (
        "tight transport",
        with_writer(process=Process(pid=10, segment_bytes=1_200_000)),
        "color.transport",
        WARNING,
        "FASTDDS_DEFAULT_PROFILES_FILE",
    ),
    (
        "no shared memory",
        with_writer(process=Process(pid=10, segment_bytes=0)),
        "color.transport",
        WARNING,
        "--ipc=host",
    ),
    ("another machine", with_writer(process=None, is_local=False), "color.network", WARNING, "213 kB only"),
    (
        "our transport",
        lambda s: s.with_topic("color", subscriptions=(replace(NODE, process=Process(pid=11, segment_bytes=0)),)),
        "node.transport",
        WARNING,
        "/n3d (process 11)",
    ),
    ("full /dev/shm", with_host(shared_memory_free_bytes=10_000_000), "transport.shared_memory", FAULT, "--shm-size"),
    (
        "stale /dev/shm",
        with_host(stale_segments=3, stale_segment_bytes=10**9),
        "transport.stale_memory",
        WARNING,
        "1000 MB",
    ),
    ("profile file", with_installation(profile_exists=False), "transport.profile", FAULT, "cannot be read"),
    (
        "built-in transports",
        with_installation(environment={"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}),
        "transport.profile",
        WARNING,
        "LARGE_DATA",
    ),
    (
        "discovery off",
        with_installation(environment={"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}),
        "ros.domain",
        FAULT,
        "ROS_STATIC_PEERS",
    ),
    (
        "another domain",
        lambda s: replace(with_host(domains={7: (21, 22)})(s), graph={}),
        "ros.domain",
        WARNING,
        "export ROS_DOMAIN_ID=7",
    ),
    ("not running", with_node(count=0, others=("/left/n3d",)), "node.running", WARNING, "/left/n3d"),
    ("two nodes", with_node(count=2), "node.name", FAULT, "2 nodes are called /n3d"),
    ("two others", with_node(all_nodes=("/n3d", "/a", "/a")), "ros.node_names", WARNING, "/a"),
    ("inactive", with_node(state="inactive"), "node.state", FAULT, "ros2 lifecycle set /n3d activate"),
    ("unconfigured", with_node(state="unconfigured"), "node.state", FAULT, "set /n3d configure` and"),
    ("hangs", with_node(state=""), "node.state", FAULT, "does not answer"),
    ("silent parameters", with_node(untold=("model",)), "node.parameters", WARNING, "did not tell model"),
    ("no frames", with_node(report=None), "node.report", WARNING, "reported no frame"),
    (
        "drops",
        with_node(report=report(dropped={"no_transform": 20}, message="tf: no frame 'map'")),
        "node.drops",
        WARNING,
        "no frame 'map'",
    ),
    (
        "diagnostics",
        with_node(diagnostics=((2, "n3d: grounding", "It broke."),)),
        "node.diagnostics",
        FAULT,
        "It broke.",
    ),
    ("busy", with_host(busy_share=0.97), "load.processor", WARNING, "97%"),
    ("memory", with_host(memory_free_bytes=3 * 10**8), "load.memory", FAULT, "0.3 of 16.0 GB"),
    ("disk", with_host(disk_free_bytes=10**9), "load.disk", WARNING, "1.0 GB"),
    ("old python", with_installation(python="3.8.10"), "install.packages", FAULT, "3.10 or later"),
    ("missing", with_installation(versions={"numpy": None}), "install.packages", FAULT, "Missing: numpy"),
    (
        "stale interfaces",
        with_installation(interface_differences=("Object3D differs in score",)),
        "install.interfaces",
        FAULT,
        "Object3D differs in score",
    ),
    (
        "interfaces of another version",
        lambda s: with_installation(interface_hashes={"n3d_msgs/msg/FrameReport": "RIHS01_a"})(
            with_other(
                "/n3d/frame_report",
                publishers=(Endpoint(node="/n3d", type_name="n3d_msgs/msg/FrameReport", type_hash="RIHS01_b"),),
            )(s)
        ),
        "install.interfaces",
        FAULT,
        "both sides",
    ),
    (
        "model without torch",
        lambda s: with_parameters(model="/m")(with_installation(versions={"torch": None})(s)),
        "install.model",
        FAULT,
        "needs torch",
    ),
    (
        "model on the processor",
        lambda s: with_parameters(model="/m")(
            with_node(report=report(backend="language_model", device="cpu"))(with_installation(has_gpu=True)(s))
        ),
        "install.model",
        WARNING,
        "torch with CUDA",
    ),
    (
        "model folder that is not there",
        lambda s: with_parameters(model="/m")(with_installation(model_is_there=False)(s)),
        "install.model",
        WARNING,
        "/m is not on this machine",
    ),
    (
        "model that is not in use",
        lambda s: with_parameters(model="a/b")(with_node(report=report(backend="geometric", device="cpu"))(s)),
        "install.model",
        WARNING,
        "geometric finds the objects",
    ),
    (
        "refused pair",
        lambda s: replace(s, assembly="Depth is not registered.", assembly_reason="unregistered_depth"),
        "pair.frame",
        FAULT,
        "(unregistered_depth)",
    ),
]


@pytest.mark.parametrize(
    ("change", "check", "level", "words"), [one[1:] for one in SPOILT], ids=[one[0] for one in SPOILT]
)
def test_each_fault_is_named_with_its_mend(change: Change, check: str, level: Level, words: str) -> None:
    found = [one for one in trouble(change(well())) if one.check == check]
    assert found, "the check did not speak"
    assert found[0].level is level and found[0].mend
    assert words in f"{found[0].message} {found[0].mend}"


@pytest.mark.parametrize("change", [one[1] for one in SPOILT], ids=[one[0] for one in SPOILT])
def test_every_finding_can_be_told_in_json(change: Change) -> None:
    findings = examine(change(well()), PRESETS)
    document = to_document(findings, node="/n3d")
    assert document["level"] == worst(findings).word and sum(document["counts"].values()) == len(findings)
    assert all(set(one) == {"check", "level", "subject", "message", "mend"} for one in document["findings"])


def test_nothing_running_says_so_without_further_complaints() -> None:
    empty = Snapshot(node=NodeFacts(count=0), installation=well().installation)
    found = {one.check: one for one in trouble(empty)}
    assert set(found) == {"topics.published", "node.running"}
    assert "Nobody publishes anything" in found["topics.published"].message
    assert "n3d replay" in found["topics.published"].mend


def test_another_camera_is_recognised_by_its_topics() -> None:
    zed = PRESETS["zed"].remappings
    graph = {zed["rgb/image"]: (IMAGE,), zed["depth/image"]: (IMAGE,), "/rosout": ("rcl_interfaces/msg/Log",)}
    topics = {"color": Topic(name="/rgb/image"), "depth": Topic(name="/depth/image")}
    found = [one for one in trouble(Snapshot(graph=graph, topics=topics)) if one.check == "topics.published"]
    assert "n3d start --camera zed" in found[0].mend


@pytest.mark.parametrize(
    ("published", "suggested"),
    [
        ("/camera/color/image_raw", "/camera/color/image_raw"),
        (f"{NAMES['color']}/compressed", f"{NAMES['color']}/compressed"),
    ],
)
def test_near_names_are_suggested(published: str, suggested: str) -> None:
    system = well().with_topic("color", publishers=())
    kind = "sensor_msgs/msg/CompressedImage" if published.endswith("compressed") else IMAGE
    graph = {name: types for name, types in system.graph.items() if name != NAMES["color"]} | {published: (kind,)}
    found = [one for one in trouble(replace(system, graph=graph)) if one.check == "color.published"]
    assert f"-r rgb/image:={suggested}" in found[0].mend


def test_a_unit_that_was_set_is_no_fault() -> None:
    system = with_parameters(depth__unit_m=0.00025)(with_depth(median_depth_m=0.9)(well()))
    assert trouble(system) == []


@pytest.mark.parametrize(
    ("offered", "asked", "expected"),
    [
        ({}, {}, ()),
        ({"reliability": "reliable"}, {"reliability": "best_effort"}, ()),
        ({"reliability": "best_effort"}, {"reliability": "reliable"}, ("reliability",)),
        ({"durability": "transient_local"}, {"durability": "volatile"}, ()),
        ({"durability": "volatile"}, {"durability": "transient_local"}, ("durability",)),
        ({"deadline_ns": 2}, {"deadline_ns": 1}, ("deadline",)),
        ({"deadline_ns": 1}, {"deadline_ns": 2}, ()),
        ({"liveliness": "automatic"}, {"liveliness": "manual_by_topic"}, ("liveliness",)),
        ({"lease_ns": 2}, {"lease_ns": 1}, ("liveliness lease duration",)),
    ],
)
def test_qos_fits_when_no_more_is_asked_for_than_offered(
    offered: dict[str, Any], asked: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert incompatible_policies(Endpoint(node="/a", **offered), Endpoint(node="/b", **asked)) == expected


def test_skew_is_taken_to_the_nearest_stamp_of_the_faster_topic() -> None:
    assert nearest_skews_s([0, 100], [1, 50, 99, 150]) == [1e-9, 1e-9]


REALSENSE = {
    "/camera/camera/color/image_raw": (IMAGE,),
    "/camera/camera/color/camera_info": (INFO,),
    "/camera/camera/depth/image_rect_raw": (IMAGE,),
    "/camera/camera/depth/camera_info": (INFO,),
    "/camera/camera/aligned_depth_to_color/image_raw": (IMAGE,),
    "/camera/camera/aligned_depth_to_color/image_raw/compressedDepth": ("sensor_msgs/msg/CompressedImage",),
    "/camera/camera/aligned_depth_to_color/camera_info": (INFO,),
    "/camera/camera/infra1/image_rect_raw": (IMAGE,),
    "/camera/camera/infra1/camera_info": (INFO,),
    "/n3d/objects": ("n3d_msgs/msg/Object3DArray",),
}


def test_without_a_node_topics_are_told_by_their_names() -> None:
    chosen = choose_topics(published=REALSENSE, subscribed={}, wanted={})
    assert {role: topic.name for role, topic in chosen.items()} == NAMES


def test_the_nodes_own_subscriptions_go_before_names_and_the_users_before_both() -> None:
    subscribed = {"/a/rgb": (IMAGE,), "/a/camera_info": (INFO,), "/b/depth": (IMAGE,), "/b/camera_info": (INFO,)}
    chosen = choose_topics(published=REALSENSE, subscribed=subscribed, wanted={"depth": "/c/depth"})
    assert {role: topic.name for role, topic in chosen.items()} == {
        "color": "/a/rgb",
        "color_info": "/a/camera_info",
        "depth": "/c/depth",
        "depth_info": "/b/camera_info",
    }


def test_a_preset_names_topics_that_are_not_there() -> None:
    chosen = choose_topics(published={}, subscribed={}, wanted={}, preset=PRESETS["realsense"])
    assert {role: topic.name for role, topic in chosen.items()} == NAMES


def test_where_a_model_finds_the_depth_no_depth_image_is_missed() -> None:
    for chosen in (
        choose_topics(published=REALSENSE, subscribed={}, wanted={}, with_depth=False),
        choose_topics(published={}, subscribed={}, wanted={}, preset=PRESETS["webcam"]),
    ):
        assert set(chosen) == {"color", "color_info"}
    named = choose_topics(published=REALSENSE, subscribed={}, wanted={"depth": "/n3d/depth/image"}, with_depth=False)
    assert named["depth"].name == "/n3d/depth/image", "what the user names is looked at"


def test_a_colour_only_camera_is_recognised_by_its_topics() -> None:
    graph = {"/image_raw": (IMAGE,), "/camera_info": (INFO,)}
    topics = {"color": Topic(name="/rgb/image")}
    found = [one for one in trouble(Snapshot(graph=graph, topics=topics)) if one.check == "topics.published"]
    assert "n3d start --camera webcam" in found[0].mend


def test_images_of_our_own_are_no_camera() -> None:
    graph = {"/n3d/debug/image": (IMAGE,), "/left/n3d/debug/image": (IMAGE,)}
    system = Snapshot(graph=graph, node=NodeFacts(count=1, state="active", others=("/left/n3d",)))
    found = [one for one in trouble(system) if one.check == "topics.published"]
    assert "debug" not in found[0].mend and "No image topic" in found[0].mend


def test_an_unknown_camera_gets_the_command_that_starts_the_node_for_it() -> None:
    compressed = "sensor_msgs/msg/CompressedImage"
    graph = {
        "/front/rgb/image_raw/compressed": (compressed,),
        "/front/rgb/camera_info": (INFO,),
        "/front/depth/image": (IMAGE,),
        "/front/depth/camera_info": (INFO,),
        "/n3d/debug/image": (IMAGE,),
    }
    topics = {"color": Topic(name="/rgb/image")}
    found = [one for one in trouble(Snapshot(graph=graph, topics=topics)) if one.check == "topics.published"]
    assert (
        "`n3d start -r rgb/image/compressed:=/front/rgb/image_raw/compressed -p rgb.transport:=compressed "
        "-r rgb/camera_info:=/front/rgb/camera_info -r depth/image:=/front/depth/image "
        "-r depth/camera_info:=/front/depth/camera_info`" in found[0].mend
    )


def test_a_clock_setting_that_was_not_told_is_not_guessed() -> None:
    system = with_other("/clock", publishers=(CLOCK,), heard=heard())(well())
    silent = replace(system, node=replace(system.node, parameters={}, untold=("use_sim_time",)))
    assert "time.clock" not in {one.check for one in examine(silent, PRESETS)}
