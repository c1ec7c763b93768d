"""Rows of the benchmark table about asking, endurance and odd input."""

from __future__ import annotations

import sys

from tqdm import tqdm

from benchmarks.asking import STREAM_HZ, measure_asking
from benchmarks.endurance import RATE_HZ, measure_endurance
from benchmarks.figure import Figure
from benchmarks.fuzzing import SLOW_MS, fuzz_messages, fuzz_questions
from n3d_ros.bench.table import percentiles

QUESTIONS, MESSAGES = 100_000, 10_000


def asking_figures(seconds: float) -> list[Figure]:
    """Time to an answer, and how many answers a second.

    Args:
        seconds: of each part.

    Returns:
        Figures.
    """
    asked = measure_asking(seconds=seconds)
    per_second = len(asked.stream_ms) / asked.stream_s if asked.stream_s else 0.0
    codes = ", ".join(f"{count} {name}" for name, count in asked.answered.items())
    return [
        Figure(
            name="question to answer, p50",
            value=percentiles(asked.alone_ms)[0],
            unit="ms",
            promise=10,
            note=f"client to client, {len(asked.alone_ms)} questions one at a time, images at 30 Hz",
        ),
        Figure(name="question to answer, p95", value=percentiles(asked.alone_ms)[1], unit="ms", promise=30),
        Figure(
            name=f"{STREAM_HZ:g} questions a second: answered",
            value=per_second,
            unit="1/s",
            promise=0.98 * STREAM_HZ,
            at_most=False,
            note=f"{asked.sent} sent: {codes}",
        ),
        Figure(
            name=f"{STREAM_HZ:g} questions a second: not answered or refused", value=asked.failed, unit="", promise=0
        ),
        Figure(
            name=f"{STREAM_HZ:g} questions a second: p50",
            value=percentiles(asked.stream_ms)[0],
            unit="ms",
            note=f"p95 {percentiles(asked.stream_ms)[1]:.0f} ms",
        ),
        Figure(
            name="meanwhile: pairs received that no report accounts for",
            value=max(0, asked.frames.unreported - 1),  # one may be at work
            promise=0,
            note=asked.frames.text,
        ),
    ]


def endurance_figures(minutes: float) -> list[Figure]:
    """Memory, account of frames and log of a long session.

    Args:
        minutes: how long.

    Returns:
        Figures.
    """
    seen = measure_endurance(minutes=minutes, tell=lambda text: print(text, file=sys.stderr, flush=True))
    how = (
        f"{seen.seconds / 60:.1f} min at {RATE_HZ:g} Hz, {seen.asked} questions, {seen.camera_starts} cameras killed, "
        f"{seen.bag_loops} looped bags killed"
    )
    codes = ", ".join(f"{count} {name}" for name, count in seen.answers.items())
    lowest, highest = min(mib for _, mib in seen.memory_mib), max(mib for _, mib in seen.memory_mib)
    return [
        Figure(
            name="growth of resident memory",
            value=seen.growth_mib,
            unit="MiB",
            promise=20,
            note=f"{how}; {lowest:.0f} to {highest:.0f} MiB",
        ),
        Figure(
            name="pairs received that no report accounts for",
            value=max(0, abs(seen.frames.unreported) - 1),  # one may be at work
            promise=0,
            note=seen.frames.text,
        ),
        Figure(
            name="unhandled exceptions", value=len(seen.faults), promise=0, note=f"the node ended with {seen.exit_code}"
        ),
        Figure(
            name="questions without an answer",
            value=seen.asked - sum(seen.answers.values()),
            promise=0,
            note=codes,
        ),
    ]


def fuzzing_figures() -> list[Figure]:
    """What odd questions and odd messages bring about.

    Returns:
        Figures.
    """
    with tqdm(total=QUESTIONS, desc="odd questions", mininterval=1.0) as bar:
        questions = fuzz_questions(QUESTIONS, tell=lambda done: bar.update(done - bar.n))
    with tqdm(total=MESSAGES, desc="odd messages", mininterval=1.0) as bar:
        messages = fuzz_messages(MESSAGES, tell=lambda done: bar.update(done - bar.n))
    codes = ", ".join(f"{count} {name}" for name, count in questions.statuses.most_common())
    drops = ", ".join(f"{count} {name}" for name, count in messages.dropped.items())
    first = "; ".join(f"{text!r}: {error}" for text, error in questions.raised[:2])
    return [
        Figure(
            name=f"{questions.count} odd questions: raised", value=len(questions.raised), promise=0, note=first or codes
        ),
        Figure(
            name=f"{questions.count} odd questions: longest",
            value=questions.slowest_ms,
            unit="ms",
            promise=500,
            note=f"{questions.slow} over {SLOW_MS:g} ms; {1e3 * questions.seconds / questions.count:.2f} ms on average",
        ),
        Figure(
            name=f"{messages.sent} odd messages: the node is gone or silent",
            value=float(not messages.lived),
            promise=0,
            note=f"dropped: {drops}",
        ),
        Figure(name=f"{messages.sent} odd messages: unhandled exceptions", value=len(messages.faults), promise=0),
        Figure(
            name=f"{messages.sent} odd messages: growth of memory",
            value=messages.growth_mib,
            unit="MiB",
            note="second half",
        ),
    ]
