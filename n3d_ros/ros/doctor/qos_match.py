"""Checks of QoS: whether what publishers offer is what subscriptions ask for, pair by pair."""

from __future__ import annotations

from collections.abc import Iterator

from n3d_ros.ros.doctor.findings import Finding, fault, ok, warning
from n3d_ros.ros.doctor.snapshot import Endpoint, Snapshot, Topic


def incompatible_policies(publisher: Endpoint, subscription: Endpoint) -> tuple[str, ...]:
    """The policies for which a subscription asks more than a publisher offers; one is enough for silence.

    Args:
        publisher: offers.
        subscription: asks.

    Returns:
        Names of policies; empty: they fit.
    """
    found = []
    if publisher.reliability == "best_effort" and subscription.reliability == "reliable":
        found.append("reliability")
    if publisher.durability == "volatile" and subscription.durability == "transient_local":
        found.append("durability")
    if publisher.deadline_ns > subscription.deadline_ns:
        found.append("deadline")
    if publisher.liveliness == "automatic" and subscription.liveliness == "manual_by_topic":
        found.append("liveliness")
    if publisher.lease_ns > subscription.lease_ns:
        found.append("liveliness lease duration")
    return tuple(found)


def check_qos(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether publishers and subscriptions fit on the inputs, on tf and on the node's own topics.

    Args:
        snapshot: the facts.

    Yields:
        One finding a pair that does not fit, or one that all do.
    """
    pairs, bad = 0, 0
    for topic in (*snapshot.topics.values(), *snapshot.others.values()):
        for subscription in topic.subscriptions:
            for publisher in topic.publishers:
                pairs += 1
                policies = incompatible_policies(publisher, subscription)
                if policies:
                    bad += 1
                    yield _mismatch(topic, publisher, subscription, policies, snapshot)
    if pairs and not bad:
        yield ok("qos.match", f"{pairs} pairs of publisher and subscription fit.")


def _mismatch(
    topic: Topic, publisher: Endpoint, subscription: Endpoint, policies: tuple[str, ...], snapshot: Snapshot
) -> Finding:
    """One pair that does not fit."""
    parts = [_difference(policy, publisher, subscription) for policy in policies]
    text = f"{topic.name}: nothing passes from {publisher.node} to {subscription.node}: {'; '.join(parts)}."
    make = fault if subscription.node == snapshot.node.name else warning
    return make("qos.match", text, _mend(topic, publisher, subscription, policies[0], snapshot), subject=topic.name)


def _difference(policy: str, publisher: Endpoint, subscription: Endpoint) -> str:
    """What is offered and what is asked for."""
    values = {
        "reliability": (publisher.reliability, subscription.reliability),
        "durability": (publisher.durability, subscription.durability),
        "liveliness": (publisher.liveliness, subscription.liveliness),
        "deadline": (_seconds(publisher.deadline_ns), _seconds(subscription.deadline_ns)),
        "liveliness lease duration": (_seconds(publisher.lease_ns), _seconds(subscription.lease_ns)),
    }
    offered, asked = values[policy]
    return f"{policy} {offered} is offered, {asked} is asked for"


def _seconds(duration_ns: int) -> str:
    return "without end" if duration_ns >= 2**62 else f"{duration_ns / 1e9:g} s"


def _mend(topic: Topic, publisher: Endpoint, subscription: Endpoint, policy: str, snapshot: Snapshot) -> str:
    """Which side to change, and how."""
    ours = {"reliability": "best_effort", "durability": "volatile"}.get(policy)
    if topic.name == "/tf_static":
        return f"/tf_static must be transient_local: let {publisher.node} use StaticTransformBroadcaster."
    if subscription.node == snapshot.node.name and ours:
        return (
            f"Set the parameter qos_overrides.{topic.name}.subscription.{policy} of {subscription.node} to {ours}, or "
            f"let {publisher.node} offer {getattr(subscription, policy)}."
        )
    if publisher.node == snapshot.node.name and policy in ("reliability", "durability"):
        wanted = getattr(subscription, policy)
        return (
            f"Let {subscription.node} ask for {ours}, or set qos_overrides.{topic.name}.publisher.{policy} of "
            f"{publisher.node} to {wanted}."
        )
    return f"Let {subscription.node} ask for less {policy}, or {publisher.node} offer more."
