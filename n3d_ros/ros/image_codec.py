"""Image messages to arrays and back, in numpy and OpenCV, the same on every distribution.

Messages are read by their fields alone, so those of rclpy and of a bag reader both do. Every refusal is an
``EncodingError`` that says what was expected, what came and what to change; its ``reason`` is a key to count by.

Raw data is read without a copy; arrays that share the message's memory are read-only.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import EncodingError
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.ros.rvl import decode_rvl

RgbArray = NDArray[np.uint8]
RawDepth = NDArray[np.uint16] | NDArray[np.float32]

MAX_IMAGE_PIXELS = 4096 * 3072  # pixels: the largest colour mode of depth cameras (Azure Kinect), above 3840x2160
MAX_IMAGE_SIDE = 16384  # pixels, as for calibrations
MILLIMETRE_M = 0.001  # REP-118: 16UC1 depth counts millimetres
MAX_COMPRESSED_BYTES = 64 * 1024 * 1024  # above any real compressed frame; the raw 4K image has 25 MB
JPEG_QUALITY = 85  # per cent; image_transport's default is 95, at twice the bytes for debug images
COMPRESSED_DEPTH_HEADER = struct.Struct("<iff")  # compressed_depth_image_transport: format, quantisation A and B

Swizzle = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ColorEncoding:
    """How the pixels of one colour encoding lie in memory and become red green blue.

    Args:
        dtype: of one channel, in the machine's byte order.
        channels: numbers per pixel.
        to_rgb: (H, W[, channels]) of that dtype to (H, W, 3) of that dtype.
        even_width: whether two neighbouring pixels share a number.
    """

    dtype: type[np.uint8] | type[np.uint16]
    channels: int
    to_rgb: Swizzle
    even_width: bool = False


def _converter(code: int) -> Swizzle:
    return lambda image: cv2.cvtColor(image, code)


def _identity(image: NDArray[Any]) -> NDArray[Any]:
    return image


# Encodings are named by the first two rows, OpenCV's constants by the second row's second and third pixel.
_BAYER = {
    "bayer_rggb": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg": cv2.COLOR_BayerGB2RGB,
}


def _color_encodings() -> dict[str, _ColorEncoding]:
    """The encodings of ``sensor_msgs/image_encodings`` that hold a picture; names in lower case."""
    plain = {
        "rgb": (3, _identity),
        "bgr": (3, _converter(cv2.COLOR_BGR2RGB)),
        "rgba": (4, _converter(cv2.COLOR_RGBA2RGB)),
        "bgra": (4, _converter(cv2.COLOR_BGRA2RGB)),
        "mono": (1, _converter(cv2.COLOR_GRAY2RGB)),
        **{name: (1, _converter(code)) for name, code in _BAYER.items()},
    }
    table: dict[str, _ColorEncoding] = {}
    for name, (channels, to_rgb) in plain.items():
        table[f"{name}8"] = _ColorEncoding(dtype=np.uint8, channels=channels, to_rgb=to_rgb)
        table[f"{name}16"] = _ColorEncoding(dtype=np.uint16, channels=channels, to_rgb=to_rgb)
    # OpenCV's type names carry no channel order; its own order, which drivers that use them mean, is blue first.
    table |= {"8uc1": table["mono8"], "8uc3": table["bgr8"], "8uc4": table["bgra8"], "16uc1": table["mono16"]}
    uyvy = _ColorEncoding(dtype=np.uint8, channels=2, to_rgb=_converter(cv2.COLOR_YUV2RGB_UYVY), even_width=True)
    yuyv = _ColorEncoding(dtype=np.uint8, channels=2, to_rgb=_converter(cv2.COLOR_YUV2RGB_YUYV), even_width=True)
    return table | {"yuv422": uyvy, "uyvy": uyvy, "yuv422_yuy2": yuyv, "yuyv": yuyv}


COLOR_ENCODINGS: Mapping[str, _ColorEncoding] = MappingProxyType(_color_encodings())
DEPTH_ENCODINGS: Mapping[str, type[np.uint16] | type[np.float32]] = MappingProxyType(
    {"16uc1": np.uint16, "mono16": np.uint16, "32fc1": np.float32}
)


# ------------------------------------------------------------------------------------------------------------- raw


def image_to_rgb(msg: Any, *, max_pixels: int = MAX_IMAGE_PIXELS) -> RgbArray:
    """The picture of a raw image message, (H, W, 3) uint8 red green blue.

    Sixteen-bit encodings are scaled so that 65535 becomes 255; grey becomes three equal channels; alpha is dropped.

    Args:
        msg: ``sensor_msgs/Image`` or anything with its fields.
        max_pixels: larger images are refused.

    Returns:
        (H, W, 3) uint8; for rgb8 a read-only view of the message's own memory.

    Raises:
        EncodingError: an encoding that is no picture, or data that does not fit width, height and step.
    """
    name = str(msg.encoding)
    encoding = COLOR_ENCODINGS.get(name.lower())
    if encoding is None:
        hint = " That is depth: is the colour topic remapped to a depth topic?" if name.lower() == "32fc1" else ""
        raise EncodingError(
            f"Colour image: encoding {name[:64]!r} is not known; expected one of {_names(COLOR_ENCODINGS)}.{hint}",
            reason="unknown_encoding",
        )
    pixels = _pixels(msg, encoding.dtype, encoding.channels, max_pixels=max_pixels, what="Colour image")
    height, width = pixels.shape[:2]
    if encoding.even_width and width % 2:
        raise EncodingError(
            f"Colour image: {name} stores pixels in pairs, so the width must be even; got {width}x{height}.",
            reason="odd_width",
        )
    if name.lower().startswith("bayer") and min(width, height) < 3:
        raise EncodingError(f"Colour image: {name} needs 3x3 px or more, got {width}x{height}.", reason="bad_size")
    rgb = encoding.to_rgb(pixels)
    return rgb if rgb.dtype == np.uint8 else _eight_bits(rgb)


def image_to_depth_m(
    msg: Any, unit_m_override: float | None = None, *, max_pixels: int = MAX_IMAGE_PIXELS
) -> Float32Array:
    """The depth of a raw image message, (H, W) float32 metres, NaN where there is none.

    By REP-118, 16UC1 counts millimetres with 0 for none, and 32FC1 metres. In both, zeros, negative numbers and
    infinities become NaN.

    Args:
        msg: ``sensor_msgs/Image`` or anything with its fields.
        unit_m_override: metres per unit when the camera does not keep to REP-118; None: by encoding.
        max_pixels: larger images are refused.

    Returns:
        A new array (H, W) float32.

    Raises:
        EncodingError: an encoding that holds no depth, or data that does not fit width, height and step.
    """
    return depth_in_metres(image_to_raw_depth(msg, max_pixels=max_pixels), unit_m_override)


def image_to_raw_depth(msg: Any, *, max_pixels: int = MAX_IMAGE_PIXELS) -> RawDepth:
    """The depth numbers of a raw image message as they are, for ``depth_in_metres``.

    Args:
        msg: ``sensor_msgs/Image`` or anything with its fields.
        max_pixels: larger images are refused.

    Returns:
        (H, W) uint16 or float32; where byte order allows, a read-only view of the message's own memory.

    Raises:
        EncodingError: an encoding that holds no depth, or data that does not fit width, height and step.
    """
    name = str(msg.encoding)
    dtype = DEPTH_ENCODINGS.get(name.lower())
    if dtype is None:
        hint = ""
        if name.lower() in ("mono8", "8uc1", "rgb8", "bgr8", "8uc3"):
            hint = " Eight bits cannot hold depth: is the topic a picture of depth meant for people?"
        raise EncodingError(
            f"Depth image: encoding {name[:64]!r} holds no depth; expected 16UC1 (millimetres) or 32FC1 (metres)."
            + hint,
            reason="unknown_encoding",
        )
    return _pixels(msg, dtype, 1, max_pixels=max_pixels, what="Depth image")


def _eight_bits(rgb: NDArray[Any]) -> RgbArray:
    return np.asarray(cv2.convertScaleAbs(rgb, alpha=1 / 257), dtype=np.uint8)  # 65535 = 255 * 257; rounds


def depth_in_metres(raw: RawDepth, unit_m_override: float | None = None) -> Float32Array:
    """Depth numbers as metres, (H, W) float32, NaN for none.

    Args:
        raw: (H, W) uint16, millimetres unless overridden, 0 none; or float32, metres unless overridden.
        unit_m_override: metres per unit; None: by dtype.

    Returns:
        A new (H, W) float32 array; zeros, negatives and infinities are NaN.
    """
    default = MILLIMETRE_M if raw.dtype.kind == "u" else 1.0
    unit = np.float32(default if unit_m_override is None else unit_m_override)
    depth = np.empty(raw.shape, dtype=np.float32)
    with np.errstate(invalid="ignore", over="ignore"):  # corrupt floats may be signalling NaN or overflow to infinity
        np.multiply(raw, unit, out=depth, casting="same_kind")
        if raw.dtype.kind == "u":
            np.copyto(depth, np.float32(np.nan), where=raw == 0)
        else:
            np.copyto(depth, np.float32(np.nan), where=~((depth > 0) & (depth < np.inf)))
    return depth


def _pixels(msg: Any, dtype: type[np.generic], channels: int, *, max_pixels: int, what: str) -> NDArray[Any]:
    """(H, W) or (H, W, channels) of ``dtype`` in the machine's byte order: a view of the message where possible."""
    width, height, row_step = int(msg.width), int(msg.height), int(msg.step)
    _check_size(width, height, max_pixels, what=what)
    data = as_bytes(msg.data)
    item = np.dtype(dtype).itemsize
    if row_step < width * channels * item:
        raise EncodingError(
            f"{what}: expected a step of {width * channels * item} bytes a row or more ({width} px {msg.encoding}), "
            f"got {row_step}; its driver fills width, encoding or step wrongly.",
            reason="wrong_step",
        )
    if data.size != row_step * height:
        reason = "truncated_image" if data.size < row_step * height else "wrong_step"
        raise EncodingError(
            f"{what}: expected step x height = {row_step} x {height} = {row_step * height} bytes, got {data.size}; "
            + ("the message was cut off." if reason == "truncated_image" else "the step or height is too small."),
            reason=reason,
        )
    stored = np.dtype(dtype).newbyteorder(">" if msg.is_bigendian else "<")
    shape, strides = (height, width), (row_step, channels * item)
    if channels > 1:
        shape, strides = (*shape, channels), (*strides, item)  # type: ignore[assignment]
    view: NDArray[Any] = np.ndarray(shape, dtype=stored, buffer=data, strides=strides)
    view.flags.writeable = False
    # OpenCV reads 16-bit rows at odd addresses wrongly, and says nothing.
    return view if stored.isnative and view.flags.aligned else view.astype(dtype)


def _check_size(width: int, height: int, max_pixels: int, *, what: str) -> None:
    if not (0 < width <= MAX_IMAGE_SIDE and 0 < height <= MAX_IMAGE_SIDE):
        raise EncodingError(
            f"{what}: expected 1 to {MAX_IMAGE_SIDE} px a side, got {width}x{height}.", reason="bad_size"
        )
    _check_pixels(width, height, max_pixels, what=what)


def _check_pixels(width: int, height: int, max_pixels: int, *, what: str) -> None:
    if width * height > max_pixels:
        raise EncodingError(
            f"{what}: {width}x{height} = {width * height} px exceed the limit of {max_pixels} px; choose a smaller "
            "camera mode, or raise the parameter image.max_pixels.",
            reason="image_too_large",
        )


def as_bytes(data: Any) -> NDArray[np.uint8]:
    """The bytes of a message's data field, (N,) uint8, read-only and without a copy.

    Args:
        data: array.array, bytes, bytearray, memoryview or ndarray.

    Returns:
        (N,) uint8 view.

    Raises:
        EncodingError: something that is no buffer of bytes.
    """
    try:
        buffer = memoryview(data)
        if buffer.nbytes > MAX_IMAGE_PIXELS * 16:
            raise EncodingError(f"Image data: {buffer.nbytes} bytes is more than any image.", reason="image_too_large")
        view = np.frombuffer(buffer, dtype=np.uint8) if buffer.nbytes else np.empty(0, dtype=np.uint8)
    except (TypeError, ValueError) as error:
        raise EncodingError(
            f"Image data: expected a buffer of bytes, got {type(data).__name__}.", reason="bad_data"
        ) from error
    view.flags.writeable = False
    return view


def _names(table: Mapping[str, Any]) -> str:
    return ", ".join(sorted(table))


# ------------------------------------------------------------------------------------------------------ compressed


def compressed_to_rgb(msg: Any, *, max_pixels: int = MAX_IMAGE_PIXELS) -> RgbArray:
    """The picture of a compressed image message (JPEG or PNG), (H, W, 3) uint8 red green blue.

    Orientation tags are ignored: the calibration belongs to the pixels as stored. A format that ends in
    "compressed rgb8" means that red was stored where decoders expect blue, as image_transport has it.

    Args:
        msg: ``sensor_msgs/CompressedImage`` or anything with its fields.
        max_pixels: larger images are refused from their header, before anything is decoded.

    Returns:
        A new (H, W, 3) uint8 array.

    Raises:
        EncodingError: neither JPEG nor PNG, cut off or corrupt, too large, or a depth image.
    """
    image_format = str(msg.format)[:256]
    if "compresseddepth" in image_format.lower():
        raise EncodingError(
            f"Compressed colour image: format {image_format!r} is depth; is the colour topic remapped to depth?",
            reason="unknown_encoding",
        )
    source = image_format.split(";")[0].strip().lower()
    if source.startswith("bayer_") and ";" in image_format:
        code = _BAYER.get(source.rstrip("0123456789"))
        if code is None:
            raise EncodingError(f"Compressed colour image: unknown format {image_format!r}.", reason="unknown_encoding")
        mosaic = _decode(as_bytes(msg.data), cv2.IMREAD_GRAYSCALE, max_pixels, what="colour")
        if min(mosaic.shape) < 3:
            raise EncodingError(f"Compressed colour image: {source} needs 3x3 px or more.", reason="bad_size")
        return _rgb(mosaic, code)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = _decode(as_bytes(msg.data), flags, max_pixels, what="colour")
    return decoded if "compressed rgb" in image_format.lower() else _rgb(decoded, cv2.COLOR_BGR2RGB)


def _rgb(image: NDArray[Any], code: int) -> RgbArray:
    return np.asarray(cv2.cvtColor(image, code), dtype=np.uint8)


def compressed_depth_to_depth_m(
    msg: Any, unit_m_override: float | None = None, *, max_pixels: int = MAX_IMAGE_PIXELS
) -> Float32Array:
    """The depth of a compressed message, (H, W) float32 metres, NaN where there is none.

    Args:
        msg: ``sensor_msgs/CompressedImage`` or anything with its fields; see ``compressed_to_raw_depth``.
        unit_m_override: metres per unit; None: by encoding.
        max_pixels: larger images are refused from their header, before anything is decoded.

    Returns:
        A new (H, W) float32 array.

    Raises:
        EncodingError: a lossy or 8-bit picture of depth, cut off or corrupt data, or an unknown format.
    """
    return depth_in_metres(compressed_to_raw_depth(msg, max_pixels=max_pixels), unit_m_override)


def compressed_to_raw_depth(msg: Any, *, max_pixels: int = MAX_IMAGE_PIXELS) -> RawDepth:
    """The depth numbers of a compressed message, for ``depth_in_metres``.

    Understood are the compressedDepth transport (16UC1 or 32FC1, PNG or RVL, after its 12-byte header; 32FC1 is
    inverse depth, quantised with the two numbers of that header) and a lossless 16-bit PNG of the plain transport.

    Args:
        msg: ``sensor_msgs/CompressedImage`` or anything with its fields.
        max_pixels: larger images are refused from their header, before anything is decoded.

    Returns:
        A new (H, W) array: uint16, or float32 for what was 32FC1; 0 where there is none.

    Raises:
        EncodingError: a lossy or 8-bit picture of depth, cut off or corrupt data, or an unknown format.
    """
    data, image_format = as_bytes(msg.data), str(msg.format)[:256]
    source, _, transport = image_format.lower().partition(";")
    if "compresseddepth" not in transport:
        return _plain_png_depth(data, image_format, max_pixels)
    dtype = DEPTH_ENCODINGS.get(source.strip())
    if dtype is None:
        raise EncodingError(
            f"Compressed depth: format {image_format!r} names no depth encoding; expected 16UC1 or 32FC1 first.",
            reason="unknown_encoding",
        )
    if data.size < COMPRESSED_DEPTH_HEADER.size:
        raise EncodingError(
            f"Compressed depth: expected a {COMPRESSED_DEPTH_HEADER.size}-byte header, got {data.size} bytes in all.",
            reason="truncated_image",
        )
    _, scale, offset = COMPRESSED_DEPTH_HEADER.unpack(data[: COMPRESSED_DEPTH_HEADER.size].tobytes())
    payload = data[COMPRESSED_DEPTH_HEADER.size :]
    if "rvl" in transport:
        coded = decode_rvl(
            payload, check_size=lambda width, height: _check_size(width, height, max_pixels, what="Compressed depth")
        )
    else:
        coded = _sixteen_bit_png(payload, max_pixels)
    return _from_inverse_depth(coded, scale, offset) if dtype is np.float32 else coded


def _from_inverse_depth(coded: NDArray[np.uint16], scale: float, offset: float) -> Float32Array:
    """(H, W) float32: depth = scale / (coded - offset), the inverse of the transport's quantisation; 0 stays 0."""
    if not (np.isfinite(scale) and np.isfinite(offset) and scale > 0):
        raise EncodingError(
            f"Compressed depth: expected finite quantisation numbers in the header, got {scale} and {offset}.",
            reason="corrupt_depth_header",
        )
    with np.errstate(divide="ignore", over="ignore"):
        depth: Float32Array = np.float32(scale) / (coded.astype(np.float32) - np.float32(offset))
    depth[coded == 0] = 0
    return depth


def _plain_png_depth(data: NDArray[np.uint8], image_format: str, max_pixels: int) -> NDArray[np.uint16]:
    if bytes(data[:2]) == JPEG_START:
        raise EncodingError(
            f"Compressed depth: got a JPEG (format {image_format!r}), which is lossy and has 8 bits; "
            "subscribe to the topic that ends in /compressedDepth instead of /compressed.",
            reason="lossy_depth",
        )
    if bytes(data[:8]) != PNG_SIGNATURE:
        raise EncodingError(
            f"Compressed depth: format {image_format!r} is not known; expected '<encoding>; compressedDepth png' or "
            "'... rvl'. Subscribe to the topic that ends in /compressedDepth.",
            reason="unknown_encoding",
        )
    return _sixteen_bit_png(data, max_pixels)


def _sixteen_bit_png(payload: NDArray[np.uint8], max_pixels: int) -> NDArray[np.uint16]:
    if bytes(payload[:8]) != PNG_SIGNATURE:
        raise EncodingError(
            "Compressed depth: expected a PNG after the 12-byte header; the data is corrupt, or in another codec than "
            "its format says (png and rvl are understood).",
            reason="corrupt_png",
        )
    depth = _decode(payload, cv2.IMREAD_UNCHANGED, max_pixels, what="depth")
    if depth.dtype != np.uint16 or depth.ndim != 2:
        raise EncodingError(
            f"Compressed depth: expected one channel of 16 bits, got {depth.dtype} {depth.shape}; "
            "subscribe to the topic that ends in /compressedDepth.",
            reason="lossy_depth",
        )
    return depth


# ------------------------------------------------------------------------------- headers of JPEG and PNG, read first

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8"
JPEG_END = b"\xff\xd9"
JPEG_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOFn; the others are DHT, JPG and DAC
JPEG_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RSTn, SOI: markers without a length


def _decode(data: NDArray[np.uint8], flags: int, max_pixels: int, *, what: str) -> NDArray[Any]:
    """The decoded image as OpenCV gives it, after its header and completeness have been checked."""
    if data.size > MAX_COMPRESSED_BYTES:
        raise EncodingError(
            f"Compressed {what} image: {data.size} bytes exceed the limit of {MAX_COMPRESSED_BYTES}.",
            reason="image_too_large",
        )
    content = data.tobytes()
    if content.startswith(JPEG_START):
        kind, size = "jpeg", _jpeg_size(content)
    elif content.startswith(PNG_SIGNATURE):
        kind, size = "png", _png_size(content)
    else:
        raise EncodingError(
            f"Compressed {what} image: expected JPEG or PNG data, got {content[:8].hex(' ') or 'nothing'} ...; "
            "set the transport's format parameter to jpeg or png.",
            reason="unknown_encoding",
        )
    _check_size(*size, max_pixels, what=f"Compressed {what} image")
    try:
        decoded = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise _corrupt(kind, "the decoder gave up") from error
    if decoded is None or decoded.size == 0:
        raise _corrupt(kind, "the decoder gave up")
    if (decoded.shape[1], decoded.shape[0]) != size:
        raise _corrupt(kind, f"the header says {size[0]}x{size[1]}, the content {decoded.shape[1]}x{decoded.shape[0]}")
    return decoded


def _corrupt(kind: str, why: str) -> EncodingError:
    return EncodingError(
        f"Compressed image: the {kind.upper()} is cut off or corrupt ({why}); the message was damaged on its way.",
        reason=f"corrupt_{kind}",
    )


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """Width and height from the frame header (ISO/IEC 10918-1, B.2.2), once the end marker has been seen."""
    # Decoders fill what is missing with grey and say nothing, so the end must be there; some cameras append zeros.
    if not content.rstrip(b"\0").endswith(JPEG_END):
        raise _corrupt("jpeg", "its end is missing")
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            raise _corrupt("jpeg", f"no marker at byte {at}")
        marker = content[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in JPEG_BARE_MARKERS:
            at += 2
        elif marker in JPEG_FRAME_MARKERS and at + 9 <= len(content):
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        else:
            at += 2 + max(2, struct.unpack_from(">H", content, at + 2)[0])
    raise _corrupt("jpeg", "no frame header")


def _png_size(content: bytes) -> tuple[int, int]:
    """Width and height from IHDR, once every chunk's checksum has been verified up to IEND."""
    at, size = len(PNG_SIGNATURE), None
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if end > len(content):
            break
        if zlib.crc32(memoryview(content)[at + 4 : end - 4]) != struct.unpack_from(">I", content, end - 4)[0]:
            raise _corrupt("png", f"checksum of chunk {kind!r}")
        if size is None:
            if kind != b"IHDR" or length != 13:
                raise _corrupt("png", "the first chunk is not IHDR")
            size = struct.unpack_from(">II", content, at + 8)
        elif kind == b"IEND":
            return size
        at = end
    raise _corrupt("png", "its end is missing")


# --------------------------------------------------------------------------------------------------------- writing


def fill_data(msg: Any, content: NDArray[Any] | bytes | memoryview) -> None:
    """Puts bytes into ``msg.data`` by the one way that is fast on every distribution.

    Assigning to the field checks or copies byte by byte (40 ms for a VGA image on Humble); appending to its fresh,
    empty array does not.

    Args:
        msg: a new message whose ``data`` is still empty.
        content: array of any dtype, or a buffer of bytes.
    """
    if isinstance(content, np.ndarray):
        content = np.ascontiguousarray(content).reshape(-1).view(np.uint8).data
    msg.data.frombytes(content)


def rgb_to_image_msg(rgb: RgbArray, *, stamp_ns: int, frame_id: str) -> Any:
    """A ``sensor_msgs/Image`` with encoding rgb8.

    Args:
        rgb: (H, W, 3) uint8.
        stamp_ns: when it was taken, nanoseconds.
        frame_id: the camera's optical frame.

    Returns:
        The message.

    Raises:
        EncodingError: another shape or dtype.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise EncodingError(f"rgb: expected (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}.")
    return _image_msg(rgb, "rgb8", stamp_ns, frame_id)


def depth_to_image_msg(
    depth_m: NDArray[Any], *, encoding: Literal["16UC1", "32FC1"] = "16UC1", stamp_ns: int, frame_id: str
) -> Any:
    """A ``sensor_msgs/Image`` with depth by REP-118.

    Args:
        depth_m: (H, W) float metres, NaN for none.
        encoding: "16UC1": whole millimetres, 0 for none and for what 16 bits cannot hold (65.535 m); "32FC1": as is.
        stamp_ns: when it was taken, nanoseconds.
        frame_id: the camera's optical frame.

    Returns:
        The message.

    Raises:
        EncodingError: another shape, or an encoding that is not one of the two.
    """
    if depth_m.ndim != 2:
        raise EncodingError(f"depth_m: expected (H, W), got {depth_m.shape}.")
    if encoding not in ("16UC1", "32FC1"):
        raise EncodingError(f"Depth encoding: expected 16UC1 or 32FC1, got {encoding!r}.", reason="unknown_encoding")
    stored = _millimetres(depth_m) if encoding == "16UC1" else depth_m.astype("<f4", copy=False)
    return _image_msg(stored, encoding, stamp_ns, frame_id)


def mono_to_image_msg(values: NDArray[np.uint8], *, stamp_ns: int, frame_id: str) -> Any:
    """A ``sensor_msgs/Image`` with encoding mono8.

    Args:
        values: (H, W) uint8.
        stamp_ns: when it was taken, nanoseconds.
        frame_id: the camera's optical frame.

    Returns:
        The message.

    Raises:
        EncodingError: another shape or dtype.
    """
    if values.ndim != 2 or values.dtype != np.uint8:
        raise EncodingError(f"mono8: expected (H, W) uint8, got {values.shape} {values.dtype}.")
    return _image_msg(values, "mono8", stamp_ns, frame_id)


def rgb_to_compressed_msg(rgb: RgbArray, *, stamp_ns: int, frame_id: str, quality: int = JPEG_QUALITY) -> Any:
    """A ``sensor_msgs/CompressedImage`` with a JPEG, as image_transport would publish it.

    Args:
        rgb: (H, W, 3) uint8.
        stamp_ns: when it was taken, nanoseconds.
        frame_id: the camera's optical frame.
        quality: JPEG quality, 1 to 100.

    Returns:
        The message.

    Raises:
        EncodingError: another shape or dtype, or the encoder failed.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise EncodingError(f"rgb: expected (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}.")
    done, content = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise EncodingError(f"JPEG: the encoder failed for an image of {rgb.shape}.")
    return _compressed_msg("rgb8; jpeg compressed bgr8", content.tobytes(), stamp_ns, frame_id)


def depth_to_compressed_msg(depth_m: NDArray[Any], *, stamp_ns: int, frame_id: str) -> Any:
    """A ``sensor_msgs/CompressedImage`` with 16UC1 depth as PNG in the compressedDepth transport.

    Args:
        depth_m: (H, W) float metres, NaN for none; stored as whole millimetres.
        stamp_ns: when it was taken, nanoseconds.
        frame_id: the camera's optical frame.

    Returns:
        The message.

    Raises:
        EncodingError: another shape, or the encoder failed.
    """
    if depth_m.ndim != 2:
        raise EncodingError(f"depth_m: expected (H, W), got {depth_m.shape}.")
    done, content = cv2.imencode(".png", _millimetres(depth_m).astype(np.uint16, copy=False))
    if not done:
        raise EncodingError(f"PNG: the encoder failed for depth of {depth_m.shape}.")
    header = COMPRESSED_DEPTH_HEADER.pack(0, 0.0, 0.0)
    return _compressed_msg("16UC1; compressedDepth png", header + content.tobytes(), stamp_ns, frame_id)


def _millimetres(depth_m: NDArray[Any]) -> NDArray[np.uint16]:
    with np.errstate(invalid="ignore"):
        millimetres = np.rint(np.asarray(depth_m, dtype=np.float64) / MILLIMETRE_M)
        known = (millimetres >= 1) & (millimetres <= 65535)
    return np.where(known, millimetres, 0).astype("<u2")


def _image_msg(pixels: NDArray[Any], encoding: str, stamp_ns: int, frame_id: str) -> Any:
    from sensor_msgs.msg import Image  # messages are read without ROS; only writing needs their classes

    from n3d_ros.ros.conversions import fill_header

    msg = Image()
    fill_header(msg.header, stamp_ns, frame_id)
    msg.height, msg.width = int(pixels.shape[0]), int(pixels.shape[1])
    msg.encoding, msg.is_bigendian = encoding, 0
    msg.step = int(pixels.nbytes // pixels.shape[0]) if pixels.shape[0] else 0
    fill_data(msg, pixels)
    return msg


def _compressed_msg(image_format: str, content: bytes, stamp_ns: int, frame_id: str) -> Any:
    from sensor_msgs.msg import CompressedImage  # as above

    from n3d_ros.ros.conversions import fill_header

    msg = CompressedImage()
    fill_header(msg.header, stamp_ns, frame_id)
    msg.format = image_format
    fill_data(msg, content)
    return msg
