"""``n3d bag-from-images``: folders of colour and depth images become a rosbag2 recording."""

from __future__ import annotations

import argparse
import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from n3d_ros.cli.console import progress, size_text
from n3d_ros.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from n3d_ros.geometry.camera import CameraIntrinsics
    from n3d_ros.geometry.transforms import RigidTransform

SUMMARY = "Make a rosbag2 recording from folders of colour and depth images, as if a camera had published them."
EXAMPLES = """\
  n3d bag-from-images --color 'osd/*_color.png' --depth 'osd/*_depth.png' \\
      --intrinsics 525,525,319.5,239.5 --rate 2 -o osd_bag
  n3d bag-from-images --color 'rgb/*.jpg' --depth 'depth/*.png' --intrinsics camera_info.yaml \\
      --depth-unit 0.00025 --camera-height 0.9 --camera-pitch 35 -o kitchen
"""
NEEDS_ROS = True

Distortion = tuple[str, tuple[float, ...]]
NO_DISTORTION: Distortion = ("plumb_bob", (0.0, 0.0, 0.0, 0.0, 0.0))
MAP_FRAME = "map"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d bag-from-images``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("--color", required=True, metavar="GLOB", help="colour images, in quotes; sorted, 2 before 10")
    parser.add_argument("--depth", required=True, metavar="GLOB", help="depth images of the same size, as many")
    parser.add_argument(
        "--intrinsics", required=True, metavar="FX,FY,CX,CY|FILE", help="pixels, or the YAML of camera_calibration"
    )
    parser.add_argument("-o", "--output", required=True, metavar="BAG", help="folder to make")
    parser.add_argument("--rate", type=float, default=10.0, metavar="HZ", help="images per second (default 10)")
    parser.add_argument("--frame-id", default="camera_color_optical_frame", metavar="FRAME", help="of the images")
    parser.add_argument(
        "--depth-unit",
        type=float,
        metavar="M",
        help="metres per count of the depth images (default 0.001 for 16-bit images, 1 for floats)",
    )
    parser.add_argument("--camera-height", type=float, metavar="M", help="also write a static transform from map")
    parser.add_argument(
        "--camera-pitch", type=float, default=0.0, metavar="DEG", help="the camera looks down by (with --camera-height)"
    )
    parser.add_argument(
        "--start-time", type=float, default=1.0, metavar="S", help="stamp of the first image (default 1)"
    )
    parser.add_argument("--compressed", action="store_true", help="store JPEG and compressedDepth PNG instead of raw")
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap", help="file format (default mcap)")
    parser.add_argument("--force", action="store_true", help="replace a bag of that name")


def run(args: argparse.Namespace) -> int:
    """Makes the bag.

    Args:
        args: parsed arguments.

    Returns:
        Exit code 0.

    Raises:
        ConfigurationError: a rate, unit or start out of range.
    """
    from n3d_ros.ros.bag import BagWriter
    from n3d_ros.ros.rgbd_bag import RgbdBagWriter, read_color, read_depth, write_transform

    if not args.start_time > 0:
        raise ConfigurationError('--start-time: expected seconds above 0; a stamp of 0 means "not set" in ROS.')
    if not 0 < args.rate <= 1000 or not 0 < (1.0 if args.depth_unit is None else args.depth_unit) <= 1:
        raise ConfigurationError("--rate: expected above 0 to 1000 Hz; --depth-unit: expected above 0 to 1 m.")
    pairs = matched_files(args.color, args.depth)
    first = read_color(pairs[0][0])
    intrinsics, distortion = read_intrinsics(args.intrinsics, width=first.shape[1], height=first.shape[0])
    begin_ns = round(args.start_time * 1e9)
    with BagWriter(args.output, storage=args.storage, force=args.force) as writer:
        if args.camera_height is not None:
            pose = camera_pose(args.camera_height, args.camera_pitch)
            write_transform(writer, MAP_FRAME, args.frame_id, pose, begin_ns, static=True)
        frames = RgbdBagWriter(
            writer, intrinsics, frame_id=args.frame_id, compressed=args.compressed, distortion=distortion
        )
        for i, (color_path, depth_path) in enumerate(progress_over(pairs)):
            color, depth = read_color(color_path), read_depth(depth_path, args.depth_unit)
            _check_sizes(color_path, color, depth_path, depth, intrinsics)
            frames.write_frame(color, depth, begin_ns + round(i * 1e9 / args.rate))
    size = sum(path.stat().st_size for path in Path(args.output).iterdir())
    print(f"{args.output}: {len(pairs)} frames of {intrinsics.width}x{intrinsics.height}, {size_text(size)}.")
    return 0


def progress_over(items: Sequence[Any]) -> Iterator[Any]:
    """The items, with a progress bar beside them.

    Args:
        items: what to go through.

    Yields:
        Each item.
    """
    with progress(len(items), "frames") as bar:
        for item in items:
            yield item
            bar.update(1)


def matched_files(color_glob: str, depth_glob: str) -> list[tuple[str, str]]:
    """Colour and depth files in pairs, in the order of the numbers in their names.

    Args:
        color_glob: pattern of colour files.
        depth_glob: pattern of depth files.

    Returns:
        (colour, depth) paths.

    Raises:
        InputError: a pattern matches nothing, or not as many.
    """
    # Path.glob takes no absolute patterns.
    found = [glob.glob(pattern) for pattern in (color_glob, depth_glob)]  # noqa: PTH207
    colors, depths = (sorted(files, key=natural_key) for files in found)
    for name, pattern, files in (("--color", color_glob, colors), ("--depth", depth_glob, depths)):
        if not files:
            raise InputError(f"{name}: no file matches {pattern!r}.")
    if len(colors) != len(depths):
        raise InputError(
            f"Expected as many depth as colour images, got {len(colors)} for --color ({colors[0]} ...) and "
            f"{len(depths)} for --depth ({depths[0]} ...)."
        )
    for color, depth in zip(colors, depths, strict=True):
        numbers = [re.findall(r"\d+", Path(path).stem) for path in (color, depth)]
        if len(numbers[0]) == len(numbers[1]) == 1 and int(numbers[0][0]) != int(numbers[1][0]):
            raise InputError(f"Colour and depth do not belong together: {color} would be paired with {depth}.")
    return list(zip(colors, depths, strict=True))


def natural_key(path: str) -> list[tuple[int, int | str]]:
    """A key that sorts image2 before image10.

    Args:
        path: of a file.

    Returns:
        Text and numbers in turn.
    """
    parts = re.split(r"(\d+)", path)
    return [(1, int(part)) if part.isdigit() else (0, part) for part in parts]


def read_intrinsics(text: str, *, width: int, height: int) -> tuple[CameraIntrinsics, Distortion]:
    """The camera, from four numbers or from a calibration file.

    Args:
        text: ``fx,fy,cx,cy`` in pixels, or the path of a YAML file as ``camera_calibration`` writes it.
        width: of the images, pixels.
        height: of the images, pixels.

    Returns:
        The intrinsics and the lens model.

    Raises:
        ConfigurationError: neither form, or a calibration for another image size.
    """
    from n3d_ros.geometry.camera import CameraIntrinsics

    words = text.split(",")
    if len(words) == 4:
        try:
            fx, fy, cx, cy = (float(word) for word in words)
        except ValueError as error:
            raise ConfigurationError(f"--intrinsics: expected four numbers fx,fy,cx,cy, got {text!r}.") from error
        return CameraIntrinsics(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height), NO_DISTORTION
    if not Path(text).is_file():
        raise ConfigurationError(f"--intrinsics: expected fx,fy,cx,cy or a calibration file, got {text!r}.")
    return _intrinsics_of_file(Path(text), width=width, height=height)


def _intrinsics_of_file(path: Path, *, width: int, height: int) -> tuple[CameraIntrinsics, Distortion]:
    """The camera of a calibration file."""
    import yaml

    from n3d_ros.geometry.camera import CameraIntrinsics

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        size = (int(content["image_width"]), int(content["image_height"]))
        matrix = [float(value) for value in content["camera_matrix"]["data"]]
        model = str(content.get("distortion_model", "plumb_bob"))
        coefficients = tuple(float(v) for v in content.get("distortion_coefficients", {}).get("data", NO_DISTORTION[1]))
        fx, _, cx, _, fy, cy = matrix[:6]
    except (yaml.YAMLError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"{path}: expected a camera calibration with image_width, image_height and camera_matrix ({error})."
        ) from error
    if size != (width, height):
        raise ConfigurationError(f"{path} is for images of {size[0]}x{size[1]}, the images have {width}x{height}.")
    return CameraIntrinsics(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height), (model, coefficients)


def camera_pose(height_m: float, pitch_deg: float) -> RigidTransform:
    """Where the camera is over the ground.

    Args:
        height_m: metres above the origin of map.
        pitch_deg: how far it looks down, degrees.

    Returns:
        ``map_T_optical``: it looks along the x axis of map.
    """
    import numpy as np

    from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis

    map_R_optical = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # level, z forward along x of map
    down = rotation_about_axis([0.0, 1.0, 0.0], np.deg2rad(pitch_deg))  # about y (left): the nose goes down
    return RigidTransform(rotation=down @ map_R_optical, translation=np.array([0.0, 0.0, height_m]))


def _check_sizes(
    color_path: str, color: NDArray[np.uint8], depth_path: str, depth: NDArray[Any], intrinsics: CameraIntrinsics
) -> None:
    """Refuses images of another size than the first, and depth that is not registered."""
    size = (intrinsics.height, intrinsics.width)
    for path, image in ((color_path, color), (depth_path, depth)):
        if image.shape[:2] != size:
            raise InputError(
                f"{path}: expected {size[1]}x{size[0]} as the first colour image, got "
                f"{image.shape[1]}x{image.shape[0]}; depth must be registered to colour."
            )
