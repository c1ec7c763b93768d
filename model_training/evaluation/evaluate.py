"""``evaluate``: run, score and report in one call; an interrupted call goes on where it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from model_training.evaluation.cases import CaseSource
from model_training.evaluation.journal import Journal
from model_training.evaluation.looking import Looker
from model_training.evaluation.report import REPORT_FILES, write_report
from model_training.evaluation.running import EvaluationConfig, case_result, config_values, limited, run_cases
from model_training.evaluation.scoring import Evaluation, score_run
from n3d_ros.errors import InputError


def evaluate(
    looker: Looker,
    source: CaseSource,
    config: EvaluationConfig | None = None,
    folder: Path | None = None,
    *,
    about: Mapping[str, Any] | None = None,
    against: Mapping[str, Any] | None = None,
    force: bool = False,
    on_case: Callable[[str], None] | None = None,
) -> Evaluation:
    """How good boxes and answers are.

    Args:
        looker: finds the boxes: ``GrounderLooker(grounder)`` for any grounder of the node.
        source: of the frames and questions.
        config: how; None: the defaults.
        folder: for the journal and the report, with an earlier interrupted run of the same; None: neither is kept.
        about: what identifies the run besides who finds the boxes, as ``identity_of`` gives it; None: only the source
            and the settings do.
        against: document of an earlier evaluation to compare with.
        force: whether another run's results in the folder may be replaced.
        on_case: told the id of each case that is done.

    Returns:
        The figures.

    Raises:
        InputError: not a single frame could be read.
        ConfigurationError: the folder holds another run, or cannot be written.
    """
    settings = config or EvaluationConfig()
    if folder is None:
        lines: Mapping[str, Mapping[str, Any]] = _in_memory(source, looker, settings, on_case)
        return _checked(score_run(source, settings, lines), source)
    known = {"boxes by": looker.name, **(about or identity_of(source, settings))}
    journal = Journal(folder, known, force=force, stale=REPORT_FILES)
    run_cases(source, looker, settings, journal, on_case=on_case)
    result = _checked(score_run(source, settings, journal.lines), source)
    told = {"evaluated on": source.name, "model": list(looker.facts), **known}
    write_report(folder, result, source, settings, journal.lines, told, against=against)
    return result


def identity_of(source: CaseSource, config: EvaluationConfig, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What identifies a run, as far as it is known before what finds the boxes is loaded.

    Args:
        source: of the frames and questions; what it holds is looked at.
        config: of the run.
        more: what else does: the model's folder, the grounder's settings.

    Returns:
        Plain values.
    """
    return {"data": dict(source.identity()), "settings": config_values(config), **(more or {})}


def _in_memory(
    source: CaseSource, looker: Looker, config: EvaluationConfig, on_case: Callable[[str], None] | None
) -> dict[str, dict[str, Any]]:
    """The lines of a run that nothing is kept of."""
    lines = {}
    for case in limited(source, config):
        lines[case.record.id] = case_result(case, looker, config, everything=bool(source.measures))
        if on_case is not None:
            on_case(case.record.id)
    return lines


def _checked(evaluation: Evaluation, source: CaseSource) -> Evaluation:
    """The same; refuses to tell figures of no frames at all."""
    if not evaluation.frames:
        reasons = "; ".join(f"{count}: {why}" for why, count in source.skipped().items())
        raise InputError(f"{source.name}: expected at least one frame that can be read, got none. {reasons}".strip())
    return evaluation
