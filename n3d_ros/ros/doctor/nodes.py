"""Checks of the node: does it run, once, is it active, and what does it report of its frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from n3d_ros.ros.doctor.findings import Finding, fault, ok, warning
from n3d_ros.ros.doctor.snapshot import Report, Snapshot
from n3d_ros.ros.ledger import DEFAULT_MEND, MENDS, NORMAL

NEXT_STEP = {"unconfigured": "configure", "inactive": "activate"}
MANY_DROPPED = 0.2  # share of the images that came while we looked
DIAGNOSTIC_ERROR = 2


def check_node(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether the node is there and well.

    Args:
        snapshot: the facts.

    Yields:
        Findings.
    """
    node = snapshot.node
    doubles = sorted(name for name, count in Counter(node.all_nodes).items() if count > 1 and name != node.name)
    if doubles:
        yield warning(
            "ros.node_names",
            f"Several nodes have one name: {', '.join(doubles)}.",
            "Give each a name or namespace of its own; parameters and services reach only one of them.",
        )
    if not node.is_there:
        there = f" These run: {', '.join(node.others)}; name one with --node." if node.others else ""
        yield warning(
            "node.running",
            f"No node {node.name} runs.{there}",
            "Start it: `n3d start --camera NAME`. The rest is checked against the node's defaults.",
            subject=node.name,
        )
        return
    if node.count > 1:
        yield fault(
            "node.name",
            f"{node.count} nodes are called {node.name}.",
            "Stop one, or start it with another name (`n3d start --name`, --namespace): requests reach either of them.",
            subject=node.name,
        )
    yield _state(snapshot)
    if node.untold:
        yield warning(
            "node.parameters",
            f"{node.name} did not tell {', '.join(node.untold)}; the defaults are taken for them here.",
            "It is too busy to answer, or of another version: look again, or see its log.",
            subject=node.name,
        )
    yield from _diagnostics(snapshot)
    if node.report is not None:
        yield from _report(snapshot, node.report)
    elif node.state == "active" and snapshot.parameter("continuous", default=True):
        yield warning(
            "node.report",
            f"{node.name} reported no frame in {snapshot.seconds:.1f} s.",
            "It gets no pairs (see the checks of color and depth), or works on one for longer.",
            subject=node.name,
        )


def _state(snapshot: Snapshot) -> Finding:
    """The lifecycle state."""
    node = snapshot.node
    if node.state == "active":
        return ok("node.state", f"{node.name} is active.", subject=node.name)
    if not node.state:
        return fault(
            "node.state",
            f"{node.name} does not answer.",
            "It hangs, is busy starting, or cannot be reached by services: see its log.",
            subject=node.name,
        )
    step = NEXT_STEP.get(node.state)
    if step is None:
        return warning("node.state", f"{node.name} is {node.state}.", "Wait, and look again.", subject=node.name)
    also = f" and `ros2 lifecycle set {node.name} activate`" if step == "configure" else ""
    return fault(
        "node.state",
        f"{node.name} is {node.state}, not active: it takes no images and refuses requests.",
        f"`ros2 lifecycle set {node.name} {step}`{also}, or start it with autostart:=true; its log says why a step "
        "failed.",
        subject=node.name,
    )


def _diagnostics(snapshot: Snapshot) -> Iterator[Finding]:
    """What the node itself says on /diagnostics."""
    for level, name, message in snapshot.node.diagnostics:
        if not level:
            continue
        make = fault if level == DIAGNOSTIC_ERROR else warning
        mend = "As the node says; /diagnostics has the numbers."
        yield make("node.diagnostics", f"{name}: {message}", mend, subject=snapshot.node.name)


def _report(snapshot: Snapshot, report: Report) -> Iterator[Finding]:
    """Speed and drops of the frames."""
    took = f", {report.total_ms:.0f} ms each" if report.total_ms is not None else ""
    device = f" ({report.backend} on {report.device})" if report.backend else ""
    text = f"{report.message_count} frames in {snapshot.seconds:.1f} s{took}{device}."
    yield ok("node.report", text, subject=snapshot.node.name)
    since = {
        reason: count - report.dropped_before.get(reason, 0)
        for reason, count in report.dropped.items()
        if count > report.dropped_before.get(reason, 0)
    }
    come = max(1, report.message_count + sum(since.values()))
    for reason, count in sorted(since.items()):
        said = f"{count} of {come} pairs or images were dropped: {reason}."
        if reason in NORMAL or count < MANY_DROPPED * come:
            yield ok("node.drops", f"{said} {MENDS.get(reason, '')}".strip(), subject=snapshot.node.name)
        else:
            mend = MENDS.get(reason, DEFAULT_MEND)
            message = f"{said} {report.message}".strip()
            yield warning("node.drops", message, mend, subject=snapshot.node.name)
