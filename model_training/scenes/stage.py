"""The stage that generates scenes: a shard of the data set is a range of seeds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from model_training.data.folder import DatasetFolder
from model_training.data.reports import ShardReport
from model_training.scenes.dataset import SceneDatasetConfig, scene_records


@dataclass(frozen=True, kw_only=True)
class GenerateScenes:
    """Makes shards of generated scenes.

    Args:
        config: what is generated.
        folder: where the shards go.
    """

    config: SceneDatasetConfig
    folder: DatasetFolder

    def run(self, number: int) -> ShardReport:
        """Makes one shard.

        Args:
            number: of the shard.

        Returns:
            Frames written, and frames left out by reason.
        """
        left_out: Counter[str] = Counter()
        return self.folder.write_frames(number, scene_records(self.config, number, left_out), left_out)
