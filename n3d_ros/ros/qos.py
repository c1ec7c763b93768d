"""QoS of every topic, in one place, each policy overridable from the parameter file.

A best-effort subscription receives from reliable and from best-effort publishers; a reliable one gets nothing from a
best-effort camera. So sensors are best effort with the newest kept; results are reliable, as RViz and recorders expect.
"""

from __future__ import annotations

from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSPolicyKind, QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

# Colour and depth of one moment reach their callbacks one after the other; two of each bridge a short busy spell of the
# executor without holding anything old: pairs that are late are replaced in the worker's slot anyway.
SENSOR_DEPTH = 2

SENSOR = QoSProfile(
    reliability=QoSReliabilityPolicy.BEST_EFFORT,
    durability=QoSDurabilityPolicy.VOLATILE,
    history=QoSHistoryPolicy.KEEP_LAST,
    depth=SENSOR_DEPTH,
)

RESULT = QoSProfile(
    reliability=QoSReliabilityPolicy.RELIABLE,
    durability=QoSDurabilityPolicy.VOLATILE,
    history=QoSHistoryPolicy.KEEP_LAST,
    depth=10,
)

# Images and point clouds that the node makes: reliable like all results, and only as many kept as bridge a short busy
# spell of a listener; ten clouds of 5 MB would only be old.
PICTURE = QoSProfile(
    reliability=QoSReliabilityPolicy.RELIABLE,
    durability=QoSDurabilityPolicy.VOLATILE,
    history=QoSHistoryPolicy.KEEP_LAST,
    depth=2,
)

# Requests that arrive in one burst must all reach the node, so that those beyond request.queue_size are refused in
# words; what the middleware's default depth of ten drops is never answered. Clients need it, too: each is brought the
# answers to all of them, and one that is busy while eleven arrive would drop its own.
REQUEST = QoSProfile(
    reliability=QoSReliabilityPolicy.RELIABLE,
    durability=QoSDurabilityPolicy.VOLATILE,
    history=QoSHistoryPolicy.KEEP_LAST,
    depth=5000,
)

OVERRIDABLE = (
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
)


def overridable() -> QoSOverridingOptions:
    """Lets ``qos_overrides.<topic>.<publisher or subscription>.<policy>`` in the parameter file replace the default.

    Returns:
        Options for ``create_subscription`` and ``create_publisher``.
    """
    return QoSOverridingOptions(OVERRIDABLE)


def copy_of(profile: QoSProfile) -> QoSProfile:
    """A profile of its own: overrides are written into the profile that is given.

    Args:
        profile: the profile to copy.

    Returns:
        A new one with the same policies.
    """
    return QoSProfile(
        reliability=profile.reliability, durability=profile.durability, history=profile.history, depth=profile.depth
    )


def mend_for(policy: str, topic: str) -> str:
    """What to change when a publisher and our subscription do not fit.

    Args:
        policy: name of the policy, such as "RELIABILITY".
        topic: full name of the topic.

    Returns:
        One sentence.
    """
    name = policy.lower()
    ours = {"reliability": "best_effort", "durability": "volatile"}.get(name, "what the other side offers")
    return (
        f"No messages pass on {topic}: publisher and subscription do not agree on {name}. Set the parameter "
        f"qos_overrides.{topic}.subscription.{name} to {ours}, or change the publisher."
    )
