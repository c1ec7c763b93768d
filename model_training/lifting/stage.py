"""Lifting as a stage: annotations laid out in shards, then every shard lifted by whichever worker takes it."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_training.data.digest import plain_values
from model_training.data.folder import REPORTS, DatasetFolder
from model_training.data.records import FrameRecord
from model_training.data.reports import ShardReport
from model_training.lifting.annotations import AnnotatedImage, image_of, image_row
from model_training.lifting.config import LiftConfig
from model_training.lifting.depths import check_files_apart
from model_training.lifting.frames import read_photograph
from model_training.lifting.lift import Lifted, Tools, lift_image
from model_training.lifting.rejects import Reject, RejectTally
from model_training.lifting.sheets import PICTURES, accepted_tile, rejected_tile, write_tile
from model_training.lifting.statistics import LiftStatistics, shard_report_path
from n3d_ros.errors import ConfigurationError, InputError, N3dError
from n3d_ros.whole_files import json_bytes, write_json, write_whole

KIND = "lifted"
ANNOTATIONS = "annotations"
READING = "reading.json"
ACCEPTED_TILES = 3  # of each shard
SMALL_SHARD, SHARDS_WANTED = 10, 20  # images of a shard of a small data set, and shards that it should have


@dataclass(frozen=True, kw_only=True)
class LiftStage:
    """Makes shards of frames; picklable, so that workers anywhere run it.

    Args:
        folder: the data set, with its annotations laid out.
        images: folder of images.
        config: how they are lifted.
    """

    folder: DatasetFolder
    images: Path
    config: LiftConfig

    def run(self, number: int) -> ShardReport:
        """Makes one shard.

        Args:
            number: of the shard.

        Returns:
            Its report.
        """
        tools = Tools.of(self.images, self.config)
        annotated = read_annotations(self.folder.path, number)
        rules: Counter[str] = Counter()
        return self.folder.write_frames(number, self._frames(number, annotated, tools, rules), rules)

    def _frames(
        self, number: int, annotated: Sequence[AnnotatedImage], tools: Tools, rules: Counter[str]
    ) -> Iterator[FrameRecord]:
        """Frames one by one; the report is written when the last is drawn, before the shard has its name."""
        statistics, tally = LiftStatistics(), RejectTally(self.config.examples_per_rule)
        for image in annotated:
            lifted = lift_image(image, tools)
            statistics.images += 1
            self._count(number, image, lifted, statistics, tally)
            if lifted.record is not None:
                yield lifted.record
        rules.update(tally.by_rule)
        report = {"statistics": statistics.to_dict(), "rejects": tally.to_dict()}
        write_json(shard_report_path(self.folder.path, number), report)

    def _count(
        self, number: int, image: AnnotatedImage, lifted: Lifted, statistics: LiftStatistics, tally: RejectTally
    ) -> None:
        """Adds what became of an image, and keeps some pictures."""
        pictures = self.folder.path / REPORTS / PICTURES
        for reject in lifted.rejects:
            count = tally.by_rule[reject.rule]
            if tally.add(reject):
                self._keep(pictures / f"{number:05d}_{reject.rule}_{count}.jpg", image, lifted, reject)
        if lifted.record is not None:
            if statistics.frames < min(ACCEPTED_TILES, self.config.examples_per_rule):
                write_tile(pictures / f"{number:05d}_accepted_{statistics.frames}.jpg", accepted_tile(lifted.record))
            statistics.add(lifted.record, json.loads(lifted.record.provenance)["camera"])

    def _keep(self, path: Path, image: AnnotatedImage, lifted: Lifted, reject: Reject) -> None:
        """Keeps a rejected annotation as a picture, where there is an image of it."""
        try:
            rgb = read_photograph(image, self.images).rgb
        except N3dError:
            return
        words = ": ".join(filter(None, (reject.rule, reject.label)))
        write_tile(path, rejected_tile(rgb, lifted.rejected_boxes.get(reject.annotation), words))


def prepare(
    out: Path, images: Sequence[AnnotatedImage], reading: RejectTally, config: LiftConfig, source: dict[str, Any]
) -> DatasetFolder:
    """The data set to make, with its annotations laid out in shards; one that was begun is continued.

    Args:
        out: the folder.
        images: with their annotations.
        reading: what was left out as they were read.
        config: how they are lifted.
        source: what says which annotations they are, such as ``fingerprint`` of their files.

    Returns:
        The data set.

    Raises:
        ConfigurationError: no images, several that would take one depth file, or the folder holds another data set.
    """
    if not images:
        first = next((f" {one.rule}: {one.detail}" for kept in reading.examples.values() for one in kept), "")
        raise ConfigurationError(f"annotations: there is no image in them that could be lifted.{first}")
    check_files_apart((image.file_name for image in images), config.depth)
    size = _shard_size(len(images), config)
    shards = -(-len(images) // size)
    folder = DatasetFolder.create(out, KIND, {"lifting": plain_values(config), "annotations": source}, shards)
    for number in range(shards):
        path = _annotations_path(out, number)
        if not path.exists():
            part = images[number * size : (number + 1) * size]
            text = json.dumps([image_row(image) for image in part])
            write_whole(path, gzip.compress(text.encode(), compresslevel=3, mtime=0))
    write_whole(out / REPORTS / READING, json_bytes(reading.to_dict()))
    return folder


def read_annotations(out: Path, number: int) -> list[AnnotatedImage]:
    """The annotated images of a shard.

    Args:
        out: folder of the data set.
        number: of the shard.

    Returns:
        Images.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = _annotations_path(out, number)
    try:
        rows = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path}: expected annotations of shard {number} ({error}).") from error
    return [image_of(row) for row in rows]


def fingerprint(path: Path) -> dict[str, Any]:
    """What tells one file of annotations from another.

    Args:
        path: of the file.

    Returns:
        Its name, size and SHA-256.

    Raises:
        InputError: there is no such file.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
        return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest.hexdigest()}
    except OSError as error:
        raise InputError(f"{path}: expected a file of annotations ({error.strerror or error}).") from error


def _shard_size(images: int, config: LiftConfig) -> int:
    """How many images go into one shard: fewer of a small set, so that workers share it and the bar moves."""
    return min(config.images_per_shard, max(SMALL_SHARD, -(-images // SHARDS_WANTED)))


def _annotations_path(out: Path, number: int) -> Path:
    return out / ANNOTATIONS / f"{number:05d}.json.gz"
