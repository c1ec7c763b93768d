"""The errors of n3d_ros: one small tree, each with a status code and a sentence that helps.

::

    N3dError
    ├── InputError              a value that does not have the promised form
    │   ├── EncodingError       image encodings and compressed payloads
    │   └── CalibrationError    camera matrices and distortion
    ├── TransformError          no transform between two frames at a time
    ├── GroundingError          a frame from which nothing can be grounded
    ├── QueryError              a phrase or question that is not understood or not allowed
    ├── CancelledError          the caller asked to stop
    ├── BackendError            an inference backend that failed
    ├── BagError                a recording that cannot be read or written
    └── ConfigurationError      parameters, files or the installation itself

The core raises; ``n3d_ros.ros`` alone decides whether to drop a frame, warn or stop. A message says what was expected,
what came and what to change.
"""

from __future__ import annotations

from enum import IntEnum


class StatusCode(IntEnum):
    """Why a request or a frame ended as it did; the same numbers as the constants of ``n3d_msgs/Status``."""

    OK = 0
    NOT_FOUND = 1
    AMBIGUOUS = 2
    NOT_UNDERSTOOD = 3
    NO_FRAME = 4
    STALE_FRAME = 5
    NO_DEPTH = 6
    NO_TRANSFORM = 7
    TIMEOUT = 8
    CANCELLED = 9
    INVALID_REQUEST = 10
    NOT_ACTIVE = 11
    SHUTTING_DOWN = 12
    BAD_INPUT = 13
    BACKEND_FAILED = 14
    NO_SUCH_MOMENT = 15


class N3dError(Exception):
    """Root of every error this package raises on purpose.

    Args:
        message: what was expected, what came, what to change.
        code: status to report to a caller; the class's own default when None.
        reason: short snake_case key under which drops of this kind are counted; the class's own default when None.
    """

    default_code = StatusCode.BACKEND_FAILED
    default_reason = "internal_error"

    def __init__(self, message: str, *, code: StatusCode | None = None, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = self.default_code if code is None else code
        self.reason = self.default_reason if reason is None else reason


class InputError(N3dError, ValueError):
    """A value given from outside does not have the promised form (shape, dtype, range, size)."""

    default_code = StatusCode.BAD_INPUT
    default_reason = "bad_input"


class EncodingError(InputError):
    """An image's encoding or payload cannot be read."""

    default_reason = "bad_encoding"


class CalibrationError(InputError):
    """A camera matrix, distortion or image size that no pinhole camera can have."""

    default_reason = "bad_calibration"


class TransformError(N3dError):
    """There is no transform between two frames at the asked time."""

    default_code = StatusCode.NO_TRANSFORM
    default_reason = "no_transform"


class GroundingError(N3dError):
    """A frame holds too little to ground anything in it, for instance no valid depth."""

    default_code = StatusCode.NO_DEPTH
    default_reason = "no_depth"


class QueryError(N3dError):
    """A phrase or question is not understood, or exceeds what is allowed."""

    default_code = StatusCode.NOT_UNDERSTOOD
    default_reason = "not_understood"


class CancelledError(N3dError):
    """The caller asked to stop before the result was complete."""

    default_code = StatusCode.CANCELLED
    default_reason = "cancelled"


class BackendError(N3dError):
    """An inference backend failed or cannot be made."""


class BagError(N3dError):
    """A recording cannot be read or written."""

    default_code = StatusCode.BAD_INPUT
    default_reason = "bad_bag"


class ConfigurationError(N3dError):
    """A parameter, a file or the installation itself is not usable as it is."""

    default_code = StatusCode.INVALID_REQUEST
    default_reason = "bad_configuration"
