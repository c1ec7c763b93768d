"""The network's parts against single functions of the public reference."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

from safetensors.torch import load_file  # noqa: E402

from depth_golden import GOLDEN, TOLERANCE, deviation  # noqa: E402
from n3d_ros.depth.network.dpt import enlarged  # noqa: E402
from n3d_ros.depth.network.pose_encoding import decode_pose, encode_pose, quaternion_of, rotation_of  # noqa: E402
from n3d_ros.depth.network.reference_view import (  # noqa: E402
    REFERENCE_VIEWS,
    choose_reference,
    input_order,
    reference_first,
    take_views,
)
from n3d_ros.depth.network.rotary import rotation  # noqa: E402
from n3d_ros.depth.network.tables import positional_table, uv_table  # noqa: E402

torch.set_num_threads(1)

FILE = GOLDEN / "case_units" / "run.safetensors"
HW = (70, 98)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    if not FILE.is_file():
        pytest.skip("the golden tensors (a folder 'shared' beside the checkout) are not here")
    return load_file(FILE)


def test_quaternions_are_those_of_the_reference(golden: dict[str, Any]) -> None:
    assert deviation(rotation_of(golden["quat.in_xyzw"]), golden["quat.R"]) < TOLERANCE
    assert deviation(quaternion_of(golden["quat.R"]), golden["quat.back_xyzw"]) < TOLERANCE


def test_cameras_are_encoded_as_by_the_reference(golden: dict[str, Any]) -> None:
    encoding = encode_pose(golden["enc.ext_w2c"], golden["enc.K"], HW)
    assert deviation(encoding, golden["enc.pose_encoding"]) < TOLERANCE
    _, intrinsics = decode_pose(encoding, HW)
    assert deviation(intrinsics, golden["enc.back_K"]) < TOLERANCE


def test_cameras_are_decoded_as_by_the_reference_also_where_it_sees_no_width(golden: dict[str, Any]) -> None:
    w2c, intrinsics = decode_pose(golden["dec.pose_encoding"], HW)
    assert deviation(w2c, golden["dec.w2c_3x4"]) < TOLERANCE
    assert deviation(intrinsics, golden["dec.K"]) < TOLERANCE
    assert float(golden["dec.pose_encoding"][..., 7:].min()) == 0  # one of them


@pytest.mark.parametrize("rule", REFERENCE_VIEWS)
def test_reference_views_are_those_of_the_reference(golden: dict[str, Any], rule: Any) -> None:
    assert choose_reference(golden["refview.tokens"][:, :, 0], rule).tolist() == golden[f"refview.{rule}"].tolist()


def test_views_are_put_in_order_and_back_as_by_the_reference(golden: dict[str, Any]) -> None:
    tokens, index = golden["refview.tokens"], golden["refview.forced_idx"]
    ordered = take_views(tokens, reference_first(index, tokens.shape[1]))
    assert torch.equal(ordered, golden["refview.reordered"])
    assert torch.equal(take_views(ordered, input_order(index, tokens.shape[1])), golden["refview.restored"])


@pytest.mark.parametrize("size", [(40, 56, 16), (5, 7, 24)])
def test_the_code_of_pixels_is_that_of_the_reference(golden: dict[str, Any], size: tuple[int, int, int]) -> None:
    height, width, channels = size
    name = next(
        name for name in (f"uvpe.{width}x{height}x{channels}", f"uvpe.{height}x{width}x{channels}") if name in golden
    )
    ours = uv_table((height, width), channels, HW[1] / HW[0], torch.device("cpu"))[0].permute(1, 2, 0)
    assert deviation(ours, golden[name]) < TOLERANCE


def test_rotation_is_that_of_the_reference(golden: dict[str, Any]) -> None:
    for scene in range(2):
        tokens = golden["rope.tokens"][scene].transpose(0, 1)  # (tokens, heads, channels)
        turned = rotation(golden["rope.pos"][scene], tokens.shape[-1]).apply(tokens)
        assert deviation(turned.transpose(0, 1), golden["rope.out"][scene]) < TOLERANCE


def test_turning_class_tokens_back_scores_as_turning_every_patch(golden: dict[str, Any]) -> None:
    tokens, turned = golden["rope.tokens"], golden["rope.out_nodiff"]  # (scenes, heads, tokens, channels)
    channels = tokens.shape[-1]
    is_class = (golden["rope.pos"] == 0).all(-1)
    back = rotation(torch.full((1, 2), -1), channels)
    ours = torch.where(is_class[:, None, :, None], back.apply(tokens.transpose(1, 2)).transpose(1, 2), tokens)
    assert int(is_class.sum())
    assert deviation(ours @ ours.transpose(-1, -2), turned @ turned.transpose(-1, -2)) < TOLERANCE


@pytest.mark.parametrize(("name", "size"), [("interp.size_11x9", (11, 9)), ("interp.x2", (10, 14))])
def test_maps_are_enlarged_as_by_the_reference(golden: dict[str, Any], name: str, size: tuple[int, int]) -> None:
    shape = tuple(golden[name].shape[-2:])
    assert shape in (size, size[::-1])
    assert deviation(enlarged(golden["interp.in"], shape), golden[name]) < TOLERANCE


@pytest.mark.parametrize("size", [(280, 504), (378, 504), (504, 378), (518, 518), (70, 98)])
def test_the_positional_table_is_that_of_the_reference(golden: dict[str, Any], size: tuple[int, int]) -> None:
    ours = positional_table(golden["posembed.table"], size)
    assert deviation(ours, golden[f"posembed.{size[0]}x{size[1]}"]) < TOLERANCE
