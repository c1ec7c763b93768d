"""What the commands that make shards share: where the work runs, and how its result is told."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from n3d_ros.cli.console import plain, size_text, table
from n3d_ros.whole_files import write_json

if TYPE_CHECKING:
    from model_training.data.folder import DatasetFolder
    from model_training.data.reports import StageReport

PICTURES = 9
REASONS_TOLD = 3
RULES_TOLD = 20


def add_engine_arguments(parser: argparse.ArgumentParser, *, workers: int | None = None) -> None:
    """Adds --workers, --engine, --ray-address and --shards.

    Args:
        parser: of the subcommand.
        workers: by default; None: one per core.
    """
    group = parser.add_argument_group("where it runs")
    group.add_argument(
        "--workers",
        type=int,
        default=workers,
        metavar="N",
        help=f"processes (default {'one per core' if workers is None else '%(default)s'})",
    )
    group.add_argument(
        "--engine",
        choices=("auto", "ray", "processes", "inline"),
        default="auto",
        help="auto: Ray where it is installed and N > 1, else processes (default auto)",
    )
    group.add_argument("--ray-address", metavar="HOST:PORT", help="a running Ray cluster; all its machines see OUT")
    group.add_argument(
        "--shards", metavar="A-B", help="make only these here, such as 0-9 or 3,7; other machines make the others"
    )


def workers_of(args: argparse.Namespace) -> int:
    """How many processes to use.

    Args:
        args: parsed arguments.

    Returns:
        What was given, else one per core.
    """
    return default_workers() if args.workers is None else int(args.workers)


def shipped_configs(package: str) -> dict[str, Path]:
    """The configurations that come with a part of model_training, by name.

    Args:
        package: such as "scenes".

    Returns:
        YAML files.
    """
    folder = Path(__file__).resolve().parents[1] / package / "configs"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def config_file(text: str, package: str) -> Path:
    """The file that --config names: one of the user's, or a shipped one.

    Args:
        text: a path, or the name of a shipped configuration.
        package: whose configurations are meant.

    Returns:
        A path; one that is not there is told by whoever reads it.
    """
    path = Path(text)
    return path if path.exists() else shipped_configs(package).get(text, path)


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shard_numbers(text: str | None, shards: int) -> list[int] | None:
    """Numbers that a text such as "0-3,7" names.

    Args:
        text: of ``--shards``; None: all.
        shards: how many there are.

    Returns:
        Ascending numbers; None: all.

    Raises:
        ConfigurationError: another form, or a number that is not there.
    """
    from n3d_ros.errors import ConfigurationError

    if text is None:
        return None
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ConfigurationError(f"--shards: expected numbers such as 0-9 or 3,7, got {text!r}.")
        if int(last or first) >= shards or int(last or first) < int(first):
            raise ConfigurationError(
                f"--shards: expected numbers from 0 to {shards - 1}, ascending, got {part.strip()!r}."
            )
        found |= set(range(int(first), int(last or first) + 1))
    return sorted(found)


def finish(folder: DatasetFolder, content: str, made: StageReport) -> int:
    """Tells what was made, and writes reports and a contact sheet beside the shards.

    Args:
        folder: the data set.
        content: "frames" or "questions".
        made: of the stage.

    Returns:
        The exit code: 1 where shards could not be made.
    """
    from model_training.data.drawing import write_sheet
    from model_training.data.folder import DatasetFolder
    from model_training.data.statistics import statistics_of

    folder = DatasetFolder.open(folder.path)
    write_report(folder, content, made)
    found = statistics_of(folder).to_dict()
    write_json(folder.reports / "statistics.json", found)
    sheet = folder.reports / f"contact_sheet_{content}.jpg"
    pictures = write_sheet(folder, sheet, PICTURES)
    print_statistics(found)
    tell(folder, content, made)
    print(f"Reports in {folder.reports}{f', a look at it in {sheet}' if pictures else ''}.")
    return 1 if made.failures else 0


def print_statistics(found: Mapping[str, Any]) -> None:
    """Prints the numbers of a data set in a few lines.

    Args:
        found: of ``Statistics.to_dict``.
    """
    from model_training.data.statistics import lines_of, question_rows

    lines = lines_of(found)
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        print(f"{name:<{width}}  {plain(text)}")
    if found["questions_by_class"]:
        print("\n" + table(["question", "n", "commonest answer", "share"], question_rows(found)))


def write_report(folder: DatasetFolder, content: str, made: StageReport) -> Path:
    """Writes reports/CONTENT.json: rows, bytes and rejects by rule, of each shard and of all.

    Args:
        folder: the data set.
        content: "frames" or "questions".
        made: of the stage: what failed is in no shard.

    Returns:
        The file.
    """
    from model_training.data.reports import StageReport

    there = [report for number in range(folder.shards) if (report := folder.report(content, number)) is not None]
    whole = StageReport(shards=tuple(there))
    path = folder.reports / f"{content}.json"
    document = {
        "shards_wanted": folder.shards,
        "shards_there": len(there),
        "rows": whole.rows,
        "bytes": whole.bytes,
        "worker_seconds": round(sum(one.seconds for one in there), 1),
        "rejects": dict(whole.rejects.most_common()),
        "failures": {str(one.number): one.failure for one in made.failures},
        "shards": [
            {"number": one.number, "rows": one.rows, "bytes": one.bytes, "seconds": one.seconds}
            | {"rejects": dict(one.rejects), "notes": list(one.notes)}
            for one in there
        ],
    }
    write_json(path, document)
    return path


def tell(folder: DatasetFolder, content: str, made: StageReport) -> None:
    """Prints what was made now, what was rejected by which rule, what failed and what is missing.

    Args:
        folder: the data set.
        content: "frames" or "questions".
        made: of the stage.
    """
    done = len(made.shards) - len(made.failures)
    before = f"; {made.there_before} were there" if made.there_before else ""
    print(f"\n{made.rows} {content} in {done} shards made now, {size_text(made.bytes)}{before}.")
    if made.rejects:
        print(table(["left out", "because"], [[str(n), rule] for rule, n in made.rejects.most_common(RULES_TOLD)]))
    for one in made.failures[:REASONS_TOLD]:
        print(f"Shard {one.number} could not be made: {one.failure}")
    if len(made.failures) > REASONS_TOLD:
        print(f"... and {len(made.failures) - REASONS_TOLD} more.")
    missing = folder.missing(content)
    if missing:
        print(f"{len(missing)} of {folder.shards} shards are missing; the same command makes them.")
