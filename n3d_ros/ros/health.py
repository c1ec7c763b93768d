"""What ``/diagnostics`` says about the node: input and grounding, each with what to change when it is not well."""

from __future__ import annotations

from collections.abc import Callable

from n3d_ros.ros.compat.diagnostics import DiagnosticLevel, DiagnosticReport
from n3d_ros.ros.ledger import Ledger


def input_health(ledger: Ledger, explain: Callable[[], str], is_active: bool) -> DiagnosticReport:
    """Whether images come and can be used.

    Args:
        ledger: counts so far.
        explain: says who publishes what.
        is_active: whether the node subscribes at present.

    Returns:
        Rates, drops by reason, and what to change.
    """
    received_hz, used_hz = ledger.rates_hz()
    values = {"pairs received [Hz]": f"{received_hz:.1f}", "pairs processed [Hz]": f"{used_hz:.1f}"}
    values |= {"pairs received": str(ledger.received), "pairs processed": str(ledger.used)}
    values |= {f"dropped: {reason}": str(drop.count) for reason, drop in sorted(ledger.drops().items())}
    if not is_active:
        return DiagnosticReport(level=DiagnosticLevel.OK, message="The node is not active.", values=values)
    mend = ledger.newest_mend()
    if received_hz == 0:
        message = f"No pairs of images. {mend or explain()}"
        return DiagnosticReport(level=DiagnosticLevel.WARN, message=message, values=values)
    if mend:
        return DiagnosticReport(level=DiagnosticLevel.WARN, message=mend, values=values)
    return DiagnosticReport(level=DiagnosticLevel.OK, message=f"{received_hz:.1f} pairs per second.", values=values)


def grounding_health(ledger: Ledger, backend: str, device: str) -> DiagnosticReport:
    """How long each stage takes.

    Args:
        ledger: times so far.
        backend: name of the grounder; empty: none is loaded.
        device: where it runs.

    Returns:
        Median and 95th percentile per stage.
    """
    values = {"backend": backend or "none", "device": device or "unknown"}
    for stage, (p50, p95) in ledger.percentiles_ms().items():
        values[f"{stage} p50 / p95 [ms]"] = f"{p50:.1f} / {p95:.1f}"
    failed = ledger.drops().get("backend_failed")
    if failed is not None and failed.is_recent:
        return DiagnosticReport(level=DiagnosticLevel.ERROR, message=failed.sentence, values=values)
    return DiagnosticReport(level=DiagnosticLevel.OK, message=backend or "No grounder is loaded.", values=values)
