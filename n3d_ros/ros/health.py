"""What ``/diagnostics`` says about the node: input and grounding, each with what to change when it is not well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from n3d_ros.inference.depth_source import CAMERA, FUSED, MODEL, DepthSource
from n3d_ros.ros.compat.diagnostics import DiagnosticLevel, DiagnosticReport
from n3d_ros.ros.depth_step import DEPTH_FAILED
from n3d_ros.ros.ledger import Ledger

MAX_NOTES = 8  # about the depth of an image; more are variations of the same for further cameras
NEWEST_PAIR = "newest pair [s]"
FAILURES = ("backend_failed", "out_of_memory")  # reasons of drops for which the grounder itself is to blame
DEPTH_SAYS = {CAMERA: "Depth as the camera measures it.", MODEL: "Depth from a model.", FUSED: "Camera and model."}


def input_health(
    ledger: Ledger, explain: Callable[[], str], is_active: bool, newest_ns: int | None = None
) -> DiagnosticReport:
    """Whether images come and can be used.

    Args:
        ledger: counts so far.
        explain: says who publishes what.
        is_active: whether the node subscribes at present.
        newest_ns: stamp of the newest pair; None when none has come. Clients that come late learn from it which time
            it is for the node.

    Returns:
        Rates, drops by reason, and what to change.
    """
    received_hz, used_hz = ledger.rates_hz()
    values = {"pairs received [Hz]": f"{received_hz:.1f}", "pairs processed [Hz]": f"{used_hz:.1f}"}
    values |= {"pairs received": str(ledger.received), "pairs processed": str(ledger.used)}
    values |= {f"dropped: {reason}": str(drop.count) for reason, drop in sorted(ledger.drops().items())}
    if newest_ns is not None:
        values[NEWEST_PAIR] = f"{newest_ns // 10**9}.{newest_ns % 10**9:09d}"
    if not is_active:
        return DiagnosticReport(level=DiagnosticLevel.OK, message="The node is not active.", values=values)
    mend = ledger.newest_mend()
    if received_hz == 0:
        message = f"No pairs of images. {mend or explain()}"
        return DiagnosticReport(level=DiagnosticLevel.WARN, message=message, values=values)
    if mend:
        return DiagnosticReport(level=DiagnosticLevel.WARN, message=mend, values=values)
    return DiagnosticReport(level=DiagnosticLevel.OK, message=f"{received_hz:.1f} pairs per second.", values=values)


def pointing_health(said: str | None) -> DiagnosticReport:
    """What the latest point that was clicked came to.

    Args:
        said: in words; empty before the first, None while the node is not active.

    Returns:
        A report that is always well: a click beside everything is no fault.
    """
    idle = "The node is not active." if said is None else "No point was clicked yet (clicked_point)."
    return DiagnosticReport(level=DiagnosticLevel.OK, message=said or idle, values={})


def grounding_health(
    ledger: Ledger,
    backend: str,
    device: str,
    *,
    loading: str = "",
    trouble: str = "",
    facts: Sequence[str] = (),
    counts: Mapping[str, float] | None = None,
) -> DiagnosticReport:
    """What finds the objects, whether it is well, and how long each stage takes.

    Args:
        ledger: times so far.
        backend: name of the grounder; empty: none is loaded.
        device: where it runs.
        loading: how far a model is loaded; empty: none is being loaded.
        trouble: why another grounder than the one asked for is in use; empty: it is the one.
        facts: what is known of the model.
        counts: numbers about the latest look, by name.

    Returns:
        Median and 95th percentile per stage.
    """
    values = {"backend": backend or "none", "device": device or "unknown"}
    values |= {"loading": loading} if loading else {}
    values |= {f"model {number}": fact for number, fact in enumerate(facts, start=1)}
    for stage, (p50, p95) in ledger.percentiles_ms().items():
        values[f"{stage} p50 / p95 [ms]"] = f"{p50:.1f} / {p95:.1f}"
    values |= {f"{name} (latest)": f"{value:g}" for name, value in (counts or {}).items()}
    if loading:
        return DiagnosticReport(level=DiagnosticLevel.WARN, message=loading, values=values)
    failed = [drop for reason, drop in ledger.drops().items() if reason in FAILURES and drop.is_recent]
    if failed:
        newest = max(failed, key=lambda drop: drop.at_s)
        message = f"{newest.sentence} {trouble}".strip()
        return DiagnosticReport(level=DiagnosticLevel.ERROR, message=message, values=values)
    if trouble:
        return DiagnosticReport(level=DiagnosticLevel.WARN, message=trouble, values=values)
    return DiagnosticReport(level=DiagnosticLevel.OK, message=backend or "No grounder is loaded.", values=values)


def depth_health(
    ledger: Ledger,
    kind: str,
    source: DepthSource | None,
    *,
    loading: str = "",
    trouble: str = "",
    cameras: str = "",
    notes: Sequence[str] = (),
) -> DiagnosticReport:
    """Where depth comes from, and whether that is well.

    Args:
        ledger: counts so far.
        kind: of ``DEPTH_SOURCES``, as asked for.
        source: the model in use; None: none is loaded.
        loading: how far one is loaded; empty: none is being loaded.
        trouble: why the one asked for is not in use; empty: it is, or none was asked for.
        cameras: what keeps further cameras from being used as they could; empty: nothing does.
        notes: what is to be known of the depth of the newest image.

    Returns:
        With the facts about the model; an error where there is no depth at all.
    """
    values = {"source": kind}
    if source is not None:
        values |= {"model": source.name, "device": source.device}
        values |= {f"fact {number}": fact for number, fact in enumerate(source.facts(), start=1)}
        values |= {f"note {number}": note for number, note in enumerate(notes[:MAX_NOTES], start=1)}
    if loading:
        return DiagnosticReport(level=DiagnosticLevel.WARN, message=loading, values={**values, "loading": loading})
    if trouble:
        level = DiagnosticLevel.ERROR if kind == MODEL else DiagnosticLevel.WARN
        return DiagnosticReport(level=level, message=trouble, values=values)
    failed = ledger.drops().get(DEPTH_FAILED)
    if failed is not None and failed.is_recent:
        return DiagnosticReport(level=DiagnosticLevel.ERROR, message=failed.sentence, values=values)
    if cameras:
        return DiagnosticReport(level=DiagnosticLevel.WARN, message=cameras, values=values)
    message = DEPTH_SAYS[kind] if source is None else f"{DEPTH_SAYS[kind]} {source.name}."
    return DiagnosticReport(level=DiagnosticLevel.OK, message=message, values=values)
