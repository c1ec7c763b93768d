"""Whether the images of a frame to correct are whole: told before anything is written, with the file's name."""

from __future__ import annotations

from model_training.robots.work_folder import FRAMES, FoundFrame, WorkFolder
from n3d_ros.errors import InputError

JPEG_END, JPEG_TAIL = b"\xff\xd9", 64  # its last bytes, and where they are looked for


def check_images(work: WorkFolder, frame: FoundFrame) -> None:
    """Refuses a frame of which an image is damaged.

    Args:
        work: its folder.
        frame: with its images.

    Raises:
        InputError: an image is cut off, or cannot be decoded; it names the files and what to do.
    """
    base, record = work.path / FRAMES / frame.name, frame.record()
    why = ""
    try:
        record.frame()
        _ = record.labels
        if JPEG_END not in frame.image[-JPEG_TAIL:]:
            why = "the JPEG is cut off"  # which decoders fill with grey
    except InputError as error:
        why = error.message
    if why:
        raise InputError(
            f"{base}.jpg and the images beside it: expected what the first step wrote ({why.rstrip('.')}). Delete "
            f"{base}.* and give the first step's command again, which finds the frame anew, or delete its lines "
            f"and their heading in {work.labels.name}."
        )
