"""What serialised messages tell without being unpacked."""

from __future__ import annotations

from n3d_ros.errors import InputError

CDR_LITTLE_ENDIAN = 1  # lowest bit of the second byte of a serialised message
CDR_STAMP = slice(4, 12)  # of a message that begins with a header: seconds and nanoseconds, four bytes each
NANOSECONDS = 1_000_000_000


def stamp_of_bytes(data: bytes) -> int:
    """The stamp of a serialised message that begins with a ``std_msgs/Header``, without unpacking it.

    Args:
        data: as the middleware gives it: four bytes about the encoding, then the header.

    Returns:
        Nanoseconds.

    Raises:
        InputError: too short to hold a stamp.
    """
    if len(data) < CDR_STAMP.stop:
        raise InputError(f"Serialised message: expected at least {CDR_STAMP.stop} bytes, got {len(data)}.")
    order = "little" if data[1] & CDR_LITTLE_ENDIAN else "big"
    stamp = data[CDR_STAMP]
    seconds = int.from_bytes(stamp[:4], order, signed=True)  # type: ignore[arg-type]
    return seconds * NANOSECONDS + int.from_bytes(stamp[4:], order)  # type: ignore[arg-type]
