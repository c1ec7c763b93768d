"""A run for people: Markdown with curves and with frames, true boxes beside those that the model finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from model_training.curves import curves
from model_training.data.records import FrameRecord
from model_training.run_log import read_log
from model_training.training.config import TrainConfig
from model_training.training.release import Facts, figures_table
from n3d_ros.whole_files import write_whole

REPORT_FILE, CURVES_FILE, SAMPLES_FILE = "report.md", "curves.png", "samples.png"
CURVES: Mapping[str, Sequence[str]] = {
    "train": (
        "total", "answer", "dense_object", "dense_class", "dense_box", "gradient_norm", "rate", "tokens_per_s",
        "frames_per_s", "waiting", "mfu",
    ),
    "validation": (
        "answer", "class_error", "u_error", "v_error", "depth_error", "angle_error", "size_x_error", "size_y_error",
        "size_z_error", "dense_class_error", "dense_box_error",
    ),
}  # fmt: skip
"""What of a log is drawn."""

TEXT = """\
# {name}, {stage}

{state} after {step} of {steps} steps. Data: {data}. Left out: {skipped}.

![curves]({curves})
{samples}
## Errors on validation frames

Teacher-forced: each number is said after the true text before it. Numbers in bins of 1000, classes as a share of
tokens.

{figures}

## Speed

{speed}

`waiting` is the share of the time in which no batch was ready; `mfu` the share of the device's peak that the model's
own multiplications take, where that peak is known.

## Configuration

```json
{config}
```
"""


def write_report(folder: Path, config: TrainConfig, facts: Facts, config_text: str, *, complete: bool) -> None:
    """Writes curves.png and report.md.

    Args:
        folder: of the run.
        config: of the run.
        facts: of the run.
        config_text: the configuration as JSON.
        complete: whether the run is over.
    """
    lines = read_log(folder, until=facts.steps)
    write_picture(folder / CURVES_FILE, curves(lines, CURVES))
    has_samples = (folder / SAMPLES_FILE).is_file()
    text = TEXT.format(
        name=config.name,
        stage=facts.stage,
        state="Complete" if complete else "Stopped",
        step=facts.steps,
        steps=config.optimizer.steps,
        data=facts.data,
        skipped=facts.skipped,
        curves=CURVES_FILE,
        samples=f"\n![true boxes and those found]({SAMPLES_FILE})\n" if has_samples else "",
        figures=figures_table(facts.figures),
        speed=_speed_table(lines),
        config=config_text,
    )
    write_whole(folder / REPORT_FILE, text.encode())


def write_picture(path: Path, picture: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    """Writes a PNG whole or not at all.

    Args:
        path: ends in .png.
        picture: (H, W, 3) BGR.
    """
    write_whole(path, bytes(cv2.imencode(".png", picture)[1].tobytes()))


def write_samples(folder: Path, model: Path, records: Sequence[FrameRecord], config: TrainConfig, device: str) -> int:
    """Writes samples.png: frames with true boxes and those that the node's own grounder finds with the model.

    Args:
        folder: of the run.
        model: folder of the release.
        records: frames of validation.
        config: of the run.
        device: where the model runs.

    Returns:
        Objects found in all frames together.
    """
    from model_training.evaluation.found import FoundObject
    from model_training.evaluation.overlap import hull
    from model_training.evaluation.pictures import case_picture
    from model_training.scenes.export import contact_sheet
    from n3d_ros.inference.grounder import GroundingRequest
    from n3d_ros.inference.language_model.config import LanguageModelConfig
    from n3d_ros.inference.language_model.grounder import LanguageModelGrounder

    grounder = LanguageModelGrounder(LanguageModelConfig(model=str(model), device=device, refine=False))
    pictures, count = [], 0
    try:
        for record in records:
            result = grounder.ground(record.frame(), GroundingRequest())
            found = [
                FoundObject(label=one.label, box=one.box, visible_box=hull(one.box), score=one.score)
                for one in result.raw_detections
            ]
            count += len(found)
            title = f"{record.id}: {len(record.objects)} objects, {len(found)} found"
            measure = "visible" if config.examples.target_box == "visible" else "oriented"
            pictures.append(case_picture(record, found, record.objects, (), title, measure))
    finally:
        grounder.close()
    if pictures:
        write_picture(folder / SAMPLES_FILE, contact_sheet(pictures))
    return count


def _speed_table(lines: Sequence[Mapping[str, Any]]) -> str:
    """Medians over the run of what was measured."""
    names = ("tokens_per_s", "frames_per_s", "samples_per_s", "waiting", "mfu")
    rows = [line for line in lines if line["kind"] == "train"][1:]  # the first one has the start in it
    medians = {name: [row[name] for row in rows if name in row] for name in names}
    return figures_table({"median": {name: float(np.median(values)) for name, values in medians.items() if values}})
