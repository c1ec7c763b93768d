"""Colour images alone, as pairs without depth: what a node takes in whose depth a model finds.

Stands where ``RgbdPairer`` stands with a depth camera, with the same reasons for images that are not used.
"""

from __future__ import annotations

from typing import Any

from n3d_ros.errors import InputError
from n3d_ros.ros.pairing import NANOSECONDS, DropReport, PairingConfig, RgbdPair


class ColorStream:
    """Passes images on, newest first served: none twice, none older than the one before. Used by one thread.

    Args:
        config: gives how far a stamp may lie back before it means that time jumped.
        on_drop: told of every drop.
    """

    def __init__(self, config: PairingConfig | None = None, *, on_drop: DropReport | None = None) -> None:
        self._tolerance_ns = round((config or PairingConfig()).jump_tolerance_s * NANOSECONDS)
        self._on_drop = on_drop or (lambda _reason, _sentence: None)
        self._newest_ns: int | None = None

    @property
    def newest_ns(self) -> int | None:
        """The latest stamp since the last jump; None when no image has come."""
        return self._newest_ns

    def add_color(self, stamp_ns: int, item: Any) -> RgbdPair | None:
        """Takes a colour image in.

        Args:
            stamp_ns: of its header, nanoseconds.
            item: the message.

        Returns:
            It, as a pair without depth; None when it is not to be used.

        Raises:
            InputError: it has no stamp.
        """
        if stamp_ns <= 0:
            raise InputError(
                f"The colour image has stamp {stamp_ns}: expected the time it was taken. Its driver must fill "
                "header.stamp.",
                reason="zero_stamp",
            )
        newest_ns = self._newest_ns
        if newest_ns is not None and stamp_ns < newest_ns - self._tolerance_ns:
            self._newest_ns = stamp_ns
            self._on_drop(
                "time_jumped_back",
                f"Stamps of colour images went back by {(newest_ns - stamp_ns) / 1e9:.1f} s (a bag that starts again, "
                "or a camera that restarted).",
            )
        elif newest_ns is not None and stamp_ns <= newest_ns:
            reason = "duplicate" if stamp_ns == newest_ns else "late"
            self._on_drop(f"{reason}_color", "Colour image: not newer than the one before.")
            return None
        self._newest_ns = stamp_ns
        return RgbdPair(color=item, depth=None, color_stamp_ns=stamp_ns, depth_stamp_ns=stamp_ns)

    def clear(self) -> None:
        """Forgets the newest stamp, for instance when time jumps back."""
        self._newest_ns = None

    def explain(self) -> str | None:
        """Why no images are passed on.

        Returns:
            None: each is.
        """
        return None
