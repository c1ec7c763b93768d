"""Image messages: every encoding, byte order and padding, compressed transports, and refusals that help."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from n3d_ros.errors import EncodingError, StatusCode
from n3d_ros.ros import image_codec
from n3d_ros.ros.image_codec import (
    compressed_depth_to_depth_m,
    compressed_to_rgb,
    image_to_depth_m,
    image_to_rgb,
)

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def raw_message(pixels: np.ndarray, encoding: str, *, padding: int = 0, big_endian: bool = False) -> SimpleNamespace:
    """A message of ``pixels`` (H, W[, C]) whose rows end in ``padding`` bytes of rubbish."""
    height, width = pixels.shape[:2]
    stored = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<")))
    rows = stored.view(np.uint8).reshape(height, -1)
    padded = np.hstack([rows, np.full((height, padding), 0xAB, np.uint8)])
    return SimpleNamespace(
        width=width,
        height=height,
        encoding=encoding,
        is_bigendian=int(big_endian),
        step=padded.shape[1],
        data=padded.tobytes(),
    )


def compressed_message(content: bytes, image_format: str) -> SimpleNamespace:
    return SimpleNamespace(format=image_format, data=content)


def encoded(image: np.ndarray, suffix: str) -> bytes:
    done, content = cv2.imencode(suffix, image)
    assert done
    return content.tobytes()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def rvl_encode(depth: np.ndarray) -> bytes:
    """A straightforward encoder after the paper, one nibble at a time, to check the decoder against."""
    nibbles: list[int] = []

    def put(number: int) -> None:
        while True:
            number, low = number >> 3, number & 7
            nibbles.append(low | (8 if number else 0))
            if not number:
                return

    flat, at, previous = depth.reshape(-1).astype(int).tolist(), 0, 0
    while at < len(flat):
        start = at
        while at < len(flat) and flat[at] == 0:
            at += 1
        put(at - start)
        start = at
        while at < len(flat) and flat[at] != 0:
            at += 1
        put(at - start)
        for value in flat[start:at]:
            delta, previous = value - previous, value
            put((delta << 1) ^ (delta >> 31))
    nibbles += [0] * (-len(nibbles) % 8)
    words = [int("".join(f"{n:x}" for n in nibbles[i : i + 8]), 16) for i in range(0, len(nibbles), 8)]
    return struct.pack("<ii", depth.shape[1], depth.shape[0]) + struct.pack(f"<{len(words)}I", *words)


# ------------------------------------------------------------------------------------------------------------- colour


@pytest.mark.parametrize(
    ("encoding", "pixel"),
    [
        ("rgb8", (10, 20, 30)),
        ("bgr8", (30, 20, 10)),
        ("rgba8", (10, 20, 30, 99)),
        ("bgra8", (30, 20, 10, 99)),
        ("8UC3", (30, 20, 10)),
        ("8UC4", (30, 20, 10, 99)),
    ],
)
def test_eight_bit_colour_arrives_as_red_green_blue(encoding: str, pixel: tuple[int, ...]) -> None:
    pixels = np.full((4, 6, len(pixel)), pixel, np.uint8)
    rgb = image_to_rgb(raw_message(pixels, encoding, padding=5))
    assert rgb.shape == (4, 6, 3) and rgb.dtype == np.uint8
    assert (rgb == (10, 20, 30)).all()


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_becomes_three_equal_channels(encoding: str) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(image_to_rgb(raw_message(grey, encoding)), np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("big_endian", [False, True])
def test_sixteen_bit_grey_is_scaled_so_that_full_white_stays_white(big_endian: bool) -> None:
    grey = np.array([[0, 257, 32896, 65535]], np.uint16)
    rgb = image_to_rgb(raw_message(grey, "mono16", padding=3, big_endian=big_endian))
    assert rgb[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("big_endian", [False, True])
def test_sixteen_bit_colour_is_scaled(big_endian: bool) -> None:
    pixels = np.full((2, 2, 3), (65535, 257, 0), np.uint16)
    assert image_to_rgb(raw_message(pixels, "bgr16", big_endian=big_endian))[0, 0].tolist() == [0, 1, 255]


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_yuv_pairs_are_decoded_in_their_own_order(encoding: str) -> None:
    luma, chroma_u, chroma_v = 81, 90, 240  # BT.601 studio range for pure red
    first, second = (chroma_u, luma), (chroma_v, luma)
    if encoding in ("yuv422_yuy2", "yuyv"):
        first, second = (luma, chroma_u), (luma, chroma_v)
    pixels = np.tile(np.array([first, second], np.uint8), (2, 3, 1))
    rgb = image_to_rgb(raw_message(pixels, encoding, padding=2)).astype(int)
    assert np.abs(rgb - RED).max() <= 3


def test_yuv_of_odd_width_is_refused() -> None:
    with pytest.raises(EncodingError, match="even") as raised:
        image_to_rgb(raw_message(np.zeros((2, 3, 2), np.uint8), "yuyv"))
    assert raised.value.reason == "odd_width"


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("color", [RED, GREEN, BLUE])
def test_a_mosaic_of_one_colour_becomes_that_colour(pattern: str, bits: int, color: tuple[int, int, int]) -> None:
    lit = {"r": color[0], "g": color[1], "b": color[2]}
    tile = np.array([[lit[pattern[0]], lit[pattern[1]]], [lit[pattern[2]], lit[pattern[3]]]])
    mosaic = np.tile(tile, (4, 4)).astype(np.uint8 if bits == 8 else np.uint16) * (1 if bits == 8 else 257)
    rgb = image_to_rgb(raw_message(mosaic, f"bayer_{pattern}{bits}", padding=1))
    assert (rgb[2:-2, 2:-2] == color).all()


def test_rgb8_is_a_read_only_view_of_the_message() -> None:
    data = bytearray(range(12))
    message = SimpleNamespace(width=2, height=2, encoding="rgb8", is_bigendian=0, step=6, data=data)
    rgb = image_to_rgb(message)
    data[0] = 99
    assert rgb[0, 0, 0] == 99
    assert not rgb.flags.writeable


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    padding=st.integers(0, 7),
    big_endian=st.booleans(),
    encoding=st.sampled_from(["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "mono16", "rgb16", "bgra16"]),
    seed=st.integers(0, 2**16),
)
def test_padding_and_byte_order_never_change_the_picture(
    height: int, width: int, padding: int, big_endian: bool, encoding: str, seed: int
) -> None:
    channels = {"mono": 1, "rgba": 4, "bgra": 4}.get(encoding.rstrip("0123456789"), 3)
    dtype = np.uint16 if encoding.endswith("16") else np.uint8
    shape = (height, width, channels) if channels > 1 else (height, width)
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    plain = image_to_rgb(raw_message(pixels, encoding))
    assert plain.shape == (height, width, 3)
    assert np.array_equal(image_to_rgb(raw_message(pixels, encoding, padding=padding, big_endian=big_endian)), plain)


# -------------------------------------------------------------------------------------------------------------- depth


@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
@pytest.mark.parametrize("big_endian", [False, True])
def test_depth_16uc1_is_converted_from_millimetres(encoding: str, big_endian: bool) -> None:
    millimetres = np.array([[0, 1, 1000], [1234, 10_000, 65535]], np.uint16)
    depth = image_to_depth_m(raw_message(millimetres, encoding, padding=6, big_endian=big_endian))
    assert depth.dtype == np.float32
    assert np.isnan(depth[0, 0])
    assert depth.reshape(-1)[1:].tolist() == pytest.approx([0.001, 1.0, 1.234, 10.0, 65.535], rel=1e-6)


@pytest.mark.parametrize("big_endian", [False, True])
def test_depth_32fc1_keeps_metres_and_turns_what_is_no_distance_into_nan(big_endian: bool) -> None:
    metres = np.array([[0.5, 0.0, -1.0, np.inf, -np.inf, np.nan, 7.25]], np.float32)
    depth = image_to_depth_m(raw_message(metres, "32FC1", padding=3, big_endian=big_endian))
    assert np.array_equal(depth, np.array([[0.5, *[np.nan] * 5, 7.25]], np.float32), equal_nan=True)


def test_a_unit_override_replaces_the_unit_of_the_encoding() -> None:
    assert image_to_depth_m(raw_message(np.array([[4000]], np.uint16), "16UC1"), 0.00025)[0, 0] == pytest.approx(1.0)
    assert image_to_depth_m(raw_message(np.array([[1500]], np.float32), "32FC1"), 0.001)[0, 0] == pytest.approx(1.5)


@given(
    values=st.lists(st.floats(width=32), min_size=1, max_size=20),
    padding=st.integers(0, 5),
    big_endian=st.booleans(),
)
def test_depth_is_positive_and_finite_or_nan_for_every_float(
    values: list[float], padding: int, big_endian: bool
) -> None:
    message = raw_message(np.array([values], np.float32), "32FC1", padding=padding, big_endian=big_endian)
    depth = image_to_depth_m(message)[0]
    for got, given_value in zip(depth.tolist(), values, strict=True):
        if 0 < given_value < np.inf:
            assert got == np.float32(given_value)
        else:
            assert np.isnan(got)


@pytest.mark.parametrize(
    ("encoding", "hint"), [("8UC1", "Eight bits"), ("64FC1", "32FC1"), ("", "32FC1"), ("rgb8", "Eight bits")]
)
def test_what_holds_no_depth_is_refused_with_what_would(encoding: str, hint: str) -> None:
    with pytest.raises(EncodingError, match=hint) as raised:
        image_to_depth_m(raw_message(np.zeros((2, 2), np.uint8), encoding))
    assert raised.value.reason == "unknown_encoding"
    assert raised.value.code == StatusCode.BAD_INPUT


# ----------------------------------------------------------------------------------------------------------- refusals


def test_an_unknown_colour_encoding_is_named_with_those_that_are_known() -> None:
    with pytest.raises(EncodingError, match=r"'rgb10'.*bgr8") as raised:
        image_to_rgb(raw_message(np.zeros((2, 2, 3), np.uint8), "rgb10"))
    assert raised.value.reason == "unknown_encoding"


def test_depth_on_the_colour_topic_is_recognised() -> None:
    with pytest.raises(EncodingError, match="remapped"):
        image_to_rgb(raw_message(np.zeros((2, 2), np.float32), "32FC1"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": b"\0" * 23}, "truncated_image"),
        ({"data": b""}, "truncated_image"),
        ({"data": b"\0" * 25}, "wrong_step"),
        ({"step": 11}, "wrong_step"),
        ({"step": 0}, "wrong_step"),
        ({"width": 0}, "bad_size"),
        ({"height": 2**31}, "bad_size"),
        ({"data": None}, "bad_data"),
        ({"data": [1, 2, 3]}, "bad_data"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(change: dict[str, object], reason: str) -> None:
    message = raw_message(np.zeros((2, 4, 3), np.uint8), "rgb8")
    vars(message).update(change)
    with pytest.raises(EncodingError) as raised:
        image_to_rgb(message)
    assert raised.value.reason == reason


def test_images_above_the_limit_are_refused_by_the_parameter_name() -> None:
    message = raw_message(np.zeros((10, 10), np.uint8), "mono8")
    with pytest.raises(EncodingError, match=r"image\.max_pixels") as raised:
        image_to_rgb(message, max_pixels=99)
    assert raised.value.reason == "image_too_large"
    assert image_to_rgb(message, max_pixels=100).shape == (10, 10, 3)


def test_a_4k_image_is_within_the_default_limit() -> None:
    assert image_to_rgb(raw_message(np.zeros((2160, 3840), np.uint8), "mono8")).shape == (2160, 3840, 3)


# --------------------------------------------------------------------------------------------------------- compressed


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """(48, 64, 3) uint8 red green blue: smooth, so that JPEG keeps it, with different channels."""
    rows, columns = np.mgrid[0:48, 0:64]
    return np.stack([columns * 4 % 256, rows * 5 % 256, np.full_like(rows, 40)], axis=-1).astype(np.uint8)


def test_a_jpeg_arrives_as_red_green_blue(picture: np.ndarray) -> None:
    content = encoded(np.full((16, 16, 3), (0, 0, 255), np.uint8), ".jpg")  # OpenCV writes blue first: this is red
    rgb = compressed_to_rgb(compressed_message(content, "rgb8; jpeg compressed bgr8"))
    assert np.abs(rgb.astype(int) - RED).max() <= 3


def test_a_png_arrives_exactly(picture: np.ndarray) -> None:
    content = encoded(picture[..., ::-1], ".png")
    assert np.array_equal(compressed_to_rgb(compressed_message(content, "png")), picture)


def test_a_format_that_says_compressed_rgb8_has_its_channels_as_stored(picture: np.ndarray) -> None:
    content = encoded(picture, ".png")
    assert np.array_equal(compressed_to_rgb(compressed_message(content, "rgb8; png compressed rgb8")), picture)


def test_a_grey_jpeg_becomes_three_equal_channels() -> None:
    rgb = compressed_to_rgb(
        compressed_message(encoded(np.full((9, 9), 77, np.uint8), ".jpg"), "mono8; jpeg compressed")
    )
    assert rgb.shape == (9, 9, 3) and np.abs(rgb.astype(int) - 77).max() <= 1


def test_a_compressed_mosaic_is_decoded_to_colour() -> None:
    mosaic = np.tile(np.array([[255, 0], [0, 0]], np.uint8), (8, 8))
    message = compressed_message(encoded(mosaic, ".png"), "bayer_rggb8; png compressed")
    assert (compressed_to_rgb(message)[2:-2, 2:-2] == RED).all()


def test_orientation_tags_do_not_turn_the_image() -> None:
    jpeg = encoded(np.zeros((8, 20, 3), np.uint8), ".jpg")
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + b"\0" * 4
    exif = b"Exif\0\0" + tiff
    tagged = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    assert compressed_to_rgb(compressed_message(tagged, "jpeg")).shape == (8, 20, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("keep", [0.02, 0.3, 0.9, 0.999])
def test_a_cut_off_image_is_refused_as_corrupt(picture: np.ndarray, suffix: str, keep: float) -> None:
    content = encoded(picture, suffix)
    with pytest.raises(EncodingError, match="cut off or corrupt|expected JPEG or PNG") as raised:
        compressed_to_rgb(compressed_message(content[: max(4, int(len(content) * keep))], ""))
    assert raised.value.reason in ("corrupt_jpeg", "corrupt_png", "unknown_encoding")


def test_a_flipped_bit_in_a_png_is_noticed(picture: np.ndarray) -> None:
    content = bytearray(encoded(picture, ".png"))
    content[len(content) // 2] ^= 1
    with pytest.raises(EncodingError, match="checksum") as raised:
        compressed_to_rgb(compressed_message(bytes(content), "png"))
    assert raised.value.reason == "corrupt_png"


def test_zeros_after_the_end_of_a_jpeg_are_allowed(picture: np.ndarray) -> None:
    content = encoded(picture, ".jpg") + b"\0" * 37
    assert compressed_to_rgb(compressed_message(content, "jpeg")).shape == picture.shape


def test_a_giant_is_refused_from_its_header_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(image_codec.cv2, "imdecode", forbidden)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 16000, 16000, 8, 2, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(b"")) + png_chunk(b"IEND", b"")
    jpeg = b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 17, 8, 16000, 16000, 3) + b"\0" * 9 + b"\xff\xd9"
    for content in (png, jpeg):
        with pytest.raises(EncodingError, match="16000x16000") as raised:
            compressed_to_rgb(compressed_message(content, ""))
        assert raised.value.reason == "image_too_large"


def test_other_codecs_are_refused_with_what_to_set() -> None:
    with pytest.raises(EncodingError, match="set the transport's format parameter") as raised:
        compressed_to_rgb(compressed_message(b"RIFF....WEBP", "webp"))
    assert raised.value.reason == "unknown_encoding"


# --------------------------------------------------------------------------------------------------- compressed depth


@pytest.fixture(scope="module")
def millimetres() -> np.ndarray:
    """(24, 40) uint16 with holes, edges and the extreme values."""
    rng = np.random.default_rng(7)
    depth = rng.integers(1, 65535, (24, 40)).astype(np.uint16)
    depth[:, 20:] = 1500
    depth[rng.random(depth.shape) < 0.3] = 0
    depth[0, :3] = 65535, 0, 1
    return depth


def test_compressed_depth_png_equals_raw_depth(millimetres: np.ndarray) -> None:
    content = struct.pack("<iff", 0, 0, 0) + encoded(millimetres, ".png")
    for image_format in ("16UC1; compressedDepth png", "16UC1; compressedDepth", "16UC1; compressedDepth "):
        depth = compressed_depth_to_depth_m(compressed_message(content, image_format))
        assert np.array_equal(depth, image_to_depth_m(raw_message(millimetres, "16UC1")), equal_nan=True)


@pytest.mark.parametrize("kind", ["holes", "full", "empty", "one"])
def test_compressed_depth_rvl_equals_raw_depth(millimetres: np.ndarray, kind: str) -> None:
    image = {
        "holes": millimetres,
        "full": np.maximum(millimetres, 1),
        "empty": np.zeros((5, 7), np.uint16),
        "one": np.array([[1234]], np.uint16),
    }[kind]
    content = struct.pack("<iff", 1, 0, 0) + rvl_encode(image)
    depth = compressed_depth_to_depth_m(compressed_message(content, "16UC1; compressedDepth rvl"))
    assert np.array_equal(depth, image_to_depth_m(raw_message(image, "16UC1")), equal_nan=True)


@pytest.mark.parametrize("codec", ["png", "rvl"])
def test_compressed_float_depth_is_restored_from_quantised_inverse_depth(codec: str) -> None:
    # depth_quantization 100 and depth_max 10, image_transport's defaults: A = q (q + 1), B = 1 - A / max.
    scale = 100.0 * 101.0
    offset = 1.0 - scale / 10.0
    metres = np.linspace(0.3, 10, 60, dtype=np.float32).reshape(6, 10)
    coded = (scale / metres + offset).astype(np.uint16)
    coded[0, 0] = 0
    body = encoded(coded, ".png") if codec == "png" else rvl_encode(coded)
    message = compressed_message(struct.pack("<iff", 0, scale, offset) + body, f"32FC1; compressedDepth {codec}")
    depth = compressed_depth_to_depth_m(message)
    assert np.isnan(depth[0, 0])
    error = np.abs(depth - metres).reshape(-1)[1:]
    assert (error <= metres.reshape(-1)[1:] ** 2 / scale * 1.01).all()  # one step of 1/z is z^2/A of z


def test_a_lossless_png_of_the_plain_transport_is_depth_too(millimetres: np.ndarray) -> None:
    message = compressed_message(encoded(millimetres, ".png"), "16UC1; png compressed ")
    assert np.array_equal(
        compressed_depth_to_depth_m(message), image_to_depth_m(raw_message(millimetres, "16UC1")), equal_nan=True
    )


def test_depth_as_jpeg_is_refused_and_the_right_topic_named() -> None:
    content = encoded(np.zeros((8, 8), np.uint8), ".jpg")
    with pytest.raises(EncodingError, match="/compressedDepth") as raised:
        compressed_depth_to_depth_m(compressed_message(content, "16UC1; jpeg compressed "))
    assert raised.value.reason == "lossy_depth"


def test_an_eight_bit_png_of_depth_is_refused() -> None:
    content = struct.pack("<iff", 0, 0, 0) + encoded(np.zeros((8, 8), np.uint8), ".png")
    with pytest.raises(EncodingError, match="16 bits") as raised:
        compressed_depth_to_depth_m(compressed_message(content, "16UC1; compressedDepth png"))
    assert raised.value.reason == "lossy_depth"


@pytest.mark.parametrize("codec", ["png", "rvl"])
@pytest.mark.parametrize("keep", [0, 3, 11, 12, 15, 21, 60, -1])
def test_cut_off_compressed_depth_is_refused(millimetres: np.ndarray, codec: str, keep: int) -> None:
    body = encoded(millimetres, ".png") if codec == "png" else rvl_encode(millimetres)
    content = (struct.pack("<iff", 0, 0, 0) + body)[: keep if keep >= 0 else -9]
    with pytest.raises(EncodingError) as raised:
        compressed_depth_to_depth_m(compressed_message(content, f"16UC1; compressedDepth {codec}"))
    assert raised.value.reason in ("truncated_image", f"corrupt_{codec}")


def test_rvl_of_a_giant_is_refused_before_memory_is_taken() -> None:
    content = struct.pack("<iff", 0, 0, 0) + struct.pack("<ii", 16000, 16000)
    with pytest.raises(EncodingError) as raised:
        compressed_depth_to_depth_m(compressed_message(content, "16UC1; compressedDepth rvl"))
    assert raised.value.reason == "image_too_large"


# --------------------------------------------------------------------------------------------------------------- fuzz

FORMATS = [
    "",
    "jpeg",
    "rgb8; jpeg compressed bgr8",
    "png",
    "bayer_rggb8; png compressed",
    "bayer_what8; png compressed",
]
DEPTH_FORMATS = [f"{e}; compressedDepth {c}" for e in ("16UC1", "32FC1", "8UC1") for c in ("png", "rvl", "")] + FORMATS


def only_typed_errors(decode: Callable[[Any], object], message: SimpleNamespace) -> None:
    """Decodes; anything raised but our own error, with a reason of its own, fails the test."""
    reason = "decoded"
    try:
        decode(message)
    except EncodingError as error:
        reason = error.reason
    assert reason not in ("", EncodingError.default_reason)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
@given(content=st.binary(max_size=200), image_format=st.sampled_from(DEPTH_FORMATS), head=st.sampled_from(range(6)))
def test_random_compressed_bytes_raise_nothing_but_our_own_errors(content: bytes, image_format: str, head: int) -> None:
    heads = [b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"\0" * 12, b"\0" * 12 + b"\x89PNG\r\n\x1a\n"]
    heads.append(b"\0" * 12 + struct.pack("<ii", 8, 6))
    message = compressed_message(heads[head] + content, image_format)
    only_typed_errors(compressed_to_rgb, message)
    only_typed_errors(compressed_depth_to_depth_m, message)


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 2**20), flips=st.integers(1, 20), kind=st.sampled_from(["jpg", "png", "depth", "rvl"]))
def test_damaged_images_raise_nothing_but_our_own_errors(
    picture: np.ndarray, millimetres: np.ndarray, seed: int, flips: int, kind: str
) -> None:
    rng = np.random.default_rng(seed)
    content = {
        "jpg": lambda: encoded(picture, ".jpg"),
        "png": lambda: encoded(picture, ".png"),
        "depth": lambda: b"\0" * 12 + encoded(millimetres, ".png"),
        "rvl": lambda: b"\0" * 12 + rvl_encode(millimetres[:8]),
    }[kind]()
    damaged = np.frombuffer(content, np.uint8).copy()
    damaged[rng.integers(0, damaged.size, flips)] = rng.integers(0, 256, flips)
    cut = damaged[: rng.integers(1, damaged.size + 1)].tobytes()
    image_format = "16UC1; compressedDepth " + ("rvl" if kind == "rvl" else "png")
    for data in (damaged.tobytes(), cut):
        only_typed_errors(compressed_to_rgb, compressed_message(data, "jpeg"))
        only_typed_errors(compressed_depth_to_depth_m, compressed_message(data, image_format))


@given(
    width=st.integers(0, 40),
    height=st.integers(0, 40),
    step=st.integers(0, 200),
    encoding=st.sampled_from([*image_codec.COLOR_ENCODINGS, *image_codec.DEPTH_ENCODINGS, "", "8UC2", "🙂"]),
    big_endian=st.integers(0, 1),
    data=st.binary(max_size=400),
)
def test_random_raw_messages_raise_nothing_but_our_own_errors(
    width: int, height: int, step: int, encoding: str, big_endian: int, data: bytes
) -> None:
    fitted = data[: step * height] if step * height <= len(data) else data
    message = SimpleNamespace(
        width=width, height=height, step=step, encoding=encoding, is_bigendian=big_endian, data=fitted
    )
    only_typed_errors(image_to_rgb, message)
    only_typed_errors(image_to_depth_m, message)


# ------------------------------------------------------------------------------------------------------------ writing


@pytest.mark.ros
def test_written_images_are_read_back_exactly(picture: np.ndarray) -> None:
    message = image_codec.rgb_to_image_msg(picture[:, ::2], stamp_ns=1_500_000_002, frame_id="cam")
    assert (message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id) == (1, 500_000_002, "cam")
    assert (message.width, message.height, message.step, message.encoding) == (32, 48, 96, "rgb8")
    assert np.array_equal(image_to_rgb(message), picture[:, ::2])


@pytest.mark.ros
def test_written_depth_is_read_back_to_half_a_millimetre() -> None:
    depth = np.array([[np.nan, 0.0004, 0.5004, 1.2345, 65.535, 70.0]], np.float32)
    message = image_codec.depth_to_image_msg(depth, stamp_ns=1, frame_id="cam")
    back = image_to_depth_m(message)
    assert np.array_equal(np.isnan(back), [[True, True, False, False, False, True]])
    assert np.abs(back - depth)[0, 2:5].max() <= 0.0005 + 1e-5
    exact = image_to_depth_m(image_codec.depth_to_image_msg(depth, encoding="32FC1", stamp_ns=1, frame_id="cam"))
    assert np.array_equal(exact, depth, equal_nan=True)
    packed = compressed_depth_to_depth_m(image_codec.depth_to_compressed_msg(depth, stamp_ns=1, frame_id="cam"))
    assert np.array_equal(packed, back, equal_nan=True)


@pytest.mark.ros
def test_written_jpegs_are_read_back_nearly(picture: np.ndarray) -> None:
    message = image_codec.rgb_to_compressed_msg(picture, stamp_ns=1, frame_id="cam", quality=95)
    assert message.format == "rgb8; jpeg compressed bgr8"
    difference = compressed_to_rgb(message).astype(int) - picture
    assert np.abs(difference).mean() < 6


@pytest.mark.ros
@pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")  # lark, which rosidl loads
def test_messages_survive_the_wire(picture: np.ndarray) -> None:
    from rclpy.serialization import deserialize_message, serialize_message
    from sensor_msgs.msg import Image

    message = image_codec.rgb_to_image_msg(picture, stamp_ns=1, frame_id="cam")
    assert np.array_equal(image_to_rgb(deserialize_message(serialize_message(message), Image)), picture)


def test_messages_of_a_bag_reader_are_read_without_ros(picture: np.ndarray) -> None:
    typesys = pytest.importorskip("rosbags.typesys", reason="rosbags is not installed")
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    image = store.types["sensor_msgs/msg/Image"]
    header = store.types["std_msgs/msg/Header"](
        stamp=store.types["builtin_interfaces/msg/Time"](sec=1, nanosec=2), frame_id="cam"
    )
    message = image(
        header=header, height=48, width=64, encoding="rgb8", is_bigendian=0, step=192, data=picture.reshape(-1)
    )
    raw = store.serialize_cdr(message, "sensor_msgs/msg/Image")
    assert np.array_equal(image_to_rgb(store.deserialize_cdr(raw, "sensor_msgs/msg/Image")), picture)
    assert io.BytesIO(raw).read(2) == b"\0\1"
