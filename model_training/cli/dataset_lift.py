"""``n3d dataset lift``: annotated photographs as a data set of frames with 3-D boxes."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_training.cli.stage_options import (
    add_engine_arguments,
    config_file,
    finish,
    shard_numbers,
    shipped_configs,
    workers_of,
)

if TYPE_CHECKING:
    from model_training.data.folder import DatasetFolder
    from model_training.lifting.annotations import AnnotatedImage
    from model_training.lifting.config import LiftConfig
    from model_training.lifting.rejects import Reject, RejectTally

SUMMARY = "lift 2-D annotations of photographs to 3-D boxes"
EXAMPLES = """\
  n3d dataset lift --format coco --annotations instances_val2017.json --images val2017 --out data/coco \\
      --depth-model depth-anything/DA3-SMALL --metric-model depth-anything/DA3METRIC-LARGE
  n3d dataset lift --format coco --annotations mine.json --images color --depth depth --out data/mine \\
      --camera 615,615,319.5,239.5,640,480           # a depth camera's 16-bit images in millimetres
  n3d dataset lift --format objects365 --annotations zhiyuan_objv2_val.json --images val --segmenter sam2_folder \\
      --depth npz --out data/objects365              # boxes only: SAM 2 finds the masks; npz as `n3d depth` wrote them
  n3d dataset lift --format openimages --annotations validation-annotations-bbox.csv --images validation \\
      --mask-boxes validation-annotations-object-segmentation.csv --masks masks --fov 60 --depth depth --out data/oi
  n3d dataset lift --config household --format coco --annotations a.json --images a --out data/a --max-images 100
"""
NEEDS_ROS = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d dataset lift``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("--annotations", required=True, metavar="FILE", help="JSON, or the CSV of boxes of Open Images")
    parser.add_argument("--images", required=True, metavar="DIR", help="folder of the images that it names")
    parser.add_argument("--format", required=True, choices=("coco", "objects365", "openimages"), help="of FILE")
    parser.add_argument("--out", required=True, metavar="OUT", help="folder of the data set; one begun there goes on")
    parser.add_argument(
        "--config",
        metavar="YAML",
        help="thresholds, names, sizes by class: a file, or "
        f"one that comes with the package ({', '.join(shipped_configs('lifting'))}); options here go first",
    )
    parser.add_argument("--classes", metavar="CSV", help="Open Images: names of classes (default: beside FILE)")
    parser.add_argument("--split", choices=("train", "validation", "held_out"), help="of all frames (default train)")
    parser.add_argument("--licence", metavar="TEXT", help="of images whose file states none")
    parser.add_argument("--max-images", type=int, metavar="N", help="the first N images only")
    depth = parser.add_argument_group("depth, in metres")
    depth.add_argument("--depth", metavar="DIR", help="16-bit PNG, npz or npy files named like the images")
    depth.add_argument("--depth-units", type=float, metavar="N", help="counts per metre of 16-bit PNG (default 1000)")
    depth.add_argument("--depth-model", metavar="MODEL", help="or Depth Anything 3: a folder or a hub id")
    depth.add_argument("--metric-model", metavar="MODEL", help="beside an any-view model: the one that knows metres")
    camera = parser.add_argument_group("the camera; never guessed")
    camera.add_argument("--camera", metavar="FX,FY,CX,CY,W,H", help="of all images, pixels")
    camera.add_argument("--fov", type=float, metavar="DEG", help="horizontal field of view of all images")
    camera.add_argument("--cameras", metavar="JSON", help='{file name: {"fx", "fy", "cx", "cy", "width", "height"}}')
    masks = parser.add_argument_group("masks, where annotations are boxes only")
    masks.add_argument("--segmenter", metavar="MODEL", help="SAM 2 in transformers' layout: a folder or a hub id")
    masks.add_argument("--masks", metavar="DIR", help="Open Images: folder of mask images")
    masks.add_argument("--mask-boxes", metavar="CSV", help="Open Images: which mask belongs to which box")
    parser.add_argument("--device", metavar="NAME", help="of models: auto, cpu, cuda, cuda:1 (default auto)")
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Lifts.

    Args:
        args: parsed arguments.

    Returns:
        0; 1 where shards could not be made, or nothing was lifted.
    """
    from model_training.data.stages import run_stage
    from model_training.lifting.lift import Tools, check_sources, forget_models
    from model_training.lifting.stage import LiftStage, prepare

    config = lift_config(args)
    images = Path(args.images).expanduser()
    check_sources(images, config)
    if not args.ray_address:  # a cluster's machines have models and devices of their own
        Tools.of(images, config)  # a wrong model ends here, before OUT is bound to it; a hub is asked once
        if workers_of(args) > 1:
            forget_models()
    annotated, reading, source = _read(args, config)
    folder = prepare(Path(args.out).expanduser(), annotated, reading, config, source)
    made = run_stage(
        LiftStage(folder=folder, images=images, config=config),
        folder,
        "frames",
        engine=args.engine,
        workers=workers_of(args),
        ray_address=args.ray_address,
        only=shard_numbers(args.shards, folder.shards),
        description="lifting",
    )
    code = finish(folder, "frames", made)
    return _tell(folder, reading) or code


def lift_config(args: argparse.Namespace) -> LiftConfig:
    """The configuration of a file with what the command line says put over it.

    Args:
        args: parsed arguments.

    Returns:
        The configuration.
    """
    from model_training.lifting.config import LiftConfig
    from model_training.yaml_config import read_yaml

    config = read_yaml(config_file(args.config, "lifting"), LiftConfig) if args.config else LiftConfig()
    camera = None if args.camera is None else _numbers(args.camera)
    depth = {"folder": args.depth, "units_per_m": args.depth_units, "model": args.depth_model}
    return replace(
        config,
        depth=_over(config.depth, **depth, metric_model=args.metric_model, device=args.device),
        camera=_over(config.camera, intrinsics=camera, horizontal_fov_deg=args.fov, file=args.cameras),
        masks=_over(config.masks, folder=args.masks, segmenter=args.segmenter, device=args.device),
        **{name: value for name in ("split", "licence", "max_images") if (value := getattr(args, name)) is not None},
    )


def _over(config: Any, **values: Any) -> Any:
    """The configuration with the values that were given."""
    return replace(config, **{name: value for name, value in values.items() if value is not None})


def _numbers(text: str) -> tuple[float, ...]:
    """Numbers between commas."""
    from n3d_ros.errors import ConfigurationError

    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise ConfigurationError(f"--camera: expected FX,FY,CX,CY,WIDTH,HEIGHT in pixels, got {text!r}.") from None


def _read(args: argparse.Namespace, config: LiftConfig) -> tuple[list[AnnotatedImage], RejectTally, dict[str, Any]]:
    """The images of the files named, what was left out of them, and what tells these files from others."""
    from model_training.lifting.coco import read_coco
    from model_training.lifting.openimages import OpenImagesFiles, read_openimages
    from model_training.lifting.stage import fingerprint

    path = Path(args.annotations).expanduser()
    print(f"Reading {path} ...", flush=True)
    source = {"format": args.format, **fingerprint(path)}
    if config.camera.file:
        source["cameras"] = fingerprint(Path(config.camera.file).expanduser())
    if args.format != "openimages":
        return *read_coco(path, rename=config.rename, max_images=config.max_images), source
    files = OpenImagesFiles(
        boxes=path,
        classes=None if args.classes is None else Path(args.classes).expanduser(),
        masks=None if args.mask_boxes is None else Path(args.mask_boxes).expanduser(),
    )
    source["classes"] = fingerprint(files.names)
    if files.masks is not None:
        source["masks"] = fingerprint(files.masks)
    return *read_openimages(files, rename=config.rename, max_images=config.max_images), source


def _commonest(tally: RejectTally) -> Reject | None:
    """An example of the rule that left out most and says more than its name."""
    examples = (one for rule, _ in tally.by_rule.most_common() for one in tally.examples.get(rule, ()))
    return next((one for one in examples if one.detail and one.rule != "nothing_lifted"), None)


def _tell(folder: DatasetFolder, reading: RejectTally) -> int:
    """Prints the table of classes and rules, writes the sheet of rejected ones; 1 where nothing was lifted."""
    from model_training.data.folder import REPORTS
    from model_training.lifting.sheets import PICTURES, spread, write_sheet
    from model_training.lifting.statistics import SUMMARY, merged_report, table

    statistics, tally = merged_report(folder.path, folder.frame_shards, reading)
    print(f"\n{table(statistics, tally)}\n")
    if not statistics.frames and (example := _commonest(tally)) is not None:
        print(f"such as {example.image}: {example.detail}\n")
    reports = folder.path / REPORTS
    tiles = sorted((reports / PICTURES).glob("*.jpg"))
    accepted = [tile for tile in tiles if "_accepted_" in tile.name]
    rejected = sorted(set(tiles) - set(accepted), key=lambda tile: tile.name.partition("_")[2])
    for name, chosen in (("lifted", accepted), ("rejected", rejected)):
        sheet = reports / f"contact_sheet_{name}.jpg"
        if write_sheet(sheet, spread(chosen)):
            print(f"{name}: {sheet}")
    print(f"all numbers: {reports / SUMMARY}")
    return 0 if statistics.frames else 1
