"""A data set for each split, in folders of one: none can be trained on by mistake, and old ones do not stay behind."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_training.data.folder import CONTENTS, DATASET_FILE, QUESTIONS_FILE, REPORTS, DatasetFolder
from model_training.data.records import SPLITS
from model_training.robots.records import SOURCE
from n3d_ros.errors import ConfigurationError

KIND = SOURCE


def created(
    out: Path, values: Mapping[str, Any], shards: Mapping[str, int], *, force: bool = False
) -> dict[str, DatasetFolder]:
    """The data set of each split; those that were begun with the same values go on.

    Args:
        out: folder of the folders.
        values: what decides the content, plain.
        shards: of each split that has frames.
        force: replace data sets made here of other values.

    Returns:
        Data sets by split.

    Raises:
        ConfigurationError: the place is taken by other data sets or files.
    """
    if (out / DATASET_FILE).exists():
        raise ConfigurationError(f"{out} is a data set itself; choose another folder.")
    there = {split: DatasetFolder.open(out / split) for split in SPLITS if (out / split / DATASET_FILE).exists()}
    foreign = [str(one.path) for one in there.values() if one.kind != KIND]
    if foreign:
        raise ConfigurationError(f"{foreign[0]} is a data set of another kind; choose another folder.")
    if any(one.config != values or one.shards != shards.get(split) for split, one in there.items()):
        if not force:
            raise ConfigurationError(
                f"{out} was made from other labels or with other options. --force makes it anew, with these; or choose "
                "another folder."
            )
        _clear([one.path for one in there.values()])
    return {split: DatasetFolder.create(out / split, KIND, values, count) for split, count in shards.items()}


def _clear(folders: Sequence[Path]) -> None:
    """Removes data sets, what says that they are some last, so that a run that was killed here can be given again.

    Refuses folders that hold anything else.
    """
    ours = {DATASET_FILE, QUESTIONS_FILE, REPORTS, *CONTENTS}
    others = [str(entry) for folder in folders for entry in folder.iterdir() if entry.name not in ours]
    if others:
        raise ConfigurationError(f"There are other files, too ({', '.join(others[:5])}); move them, or choose another.")
    for folder in folders:
        for name in (*CONTENTS, REPORTS):
            if (folder / name).is_dir() and not (folder / name).is_symlink():
                shutil.rmtree(folder / name)
        for name in (QUESTIONS_FILE, DATASET_FILE):
            (folder / name).unlink(missing_ok=True)
