"""Whole networks: what depends on what, order of views, input that does not fit, gradients, export."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

from model_training.models.random_depth_model import TINY_ANY_VIEW, TINY_MONOCULAR, random_values  # noqa: E402
from n3d_ros.depth.config import NetworkConfig  # noqa: E402
from n3d_ros.depth.network import DepthNetwork, NetworkOutput, build_network, depth_network  # noqa: E402
from n3d_ros.errors import InputError  # noqa: E402

torch.set_num_threads(1)

HW = (56, 70)
SWIGLU = replace(TINY_ANY_VIEW, ffn="swiglu", alt_start=3, qknorm_start=3, rope_start=3)


def make(config: NetworkConfig = TINY_ANY_VIEW, seed: int = 0) -> DepthNetwork:
    """A network with random weights of some spread."""
    network = build_network(config).eval()
    for name, parameter in network.named_parameters():
        parameter.data = torch.from_numpy(random_values(name, tuple(parameter.shape), seed))
    return network


def pictures(*shape: int, seed: int = 0) -> Any:
    return torch.randn(*shape, 3, *HW, generator=torch.Generator().manual_seed(seed))


def cameras(views: int) -> dict[str, Any]:
    """Cameras side by side."""
    w2c = torch.eye(4).repeat(1, views, 1, 1)
    w2c[0, :, 0, 3] = torch.arange(views) * -0.3
    k = torch.tensor([[60.0, 0, 35], [0, 60, 28], [0, 0, 1]])
    return {"extrinsics_w2c": w2c, "intrinsics": k.expand(1, views, 3, 3)}


def look(network: DepthNetwork, images: Any, **options: Any) -> NetworkOutput:
    with torch.inference_mode():
        output = network(images, **options)
    assert isinstance(output, NetworkOutput)
    return output


def test_an_any_view_network_gives_depth_confidence_and_cameras_and_rays_when_asked() -> None:
    network = make()
    plain = look(network, pictures(2, 2))
    assert plain.depth.shape == plain.confidence.shape == (2, 2, *HW)
    assert plain.pose_encoding.shape == (2, 2, 9)
    assert (plain.sky, plain.rays, plain.ray_confidence, plain.features) == (None, None, None, ())
    asked = look(network, pictures(2, 2), rays=True, keep_features=(1, 4))
    assert asked.rays.shape == (2, 2, 32, 40, 6)
    assert asked.ray_confidence.shape == (2, 2, 32, 40)
    assert [each.shape for each in asked.features] == [(2, 2, 20, 48)] * 2
    assert torch.equal(asked.depth, plain.depth)  # rays change nothing else
    assert float(plain.depth.min()) > 0
    assert float(plain.confidence.min()) > 1


def test_a_monocular_network_gives_depth_and_sky_and_sees_each_view_alone() -> None:
    network = make(TINY_MONOCULAR)
    images = pictures(1, 3)
    together = look(network, images)
    assert together.sky.shape == together.depth.shape == (1, 3, *HW)
    assert (together.confidence, together.pose_encoding, together.rays) == (None, None, None)
    for view in range(3):
        alone = look(network, images[:, view : view + 1])
        assert torch.allclose(alone.depth, together.depth[:, view : view + 1], atol=1e-5)


@pytest.mark.parametrize("views", [1, 2, 4])
@pytest.mark.parametrize("config", [TINY_ANY_VIEW, SWIGLU], ids=["mlp", "swiglu"])
def test_scenes_of_a_batch_do_not_see_each_other(config: NetworkConfig, views: int) -> None:
    network = make(config)
    images = pictures(3, views)
    together = look(network, images)
    for scene in range(3):
        alone = look(network, images[scene : scene + 1])
        assert torch.allclose(alone.depth[0], together.depth[scene], atol=1e-4)
        assert torch.allclose(alone.pose_encoding[0], together.pose_encoding[scene], atol=1e-4)


def test_views_of_a_scene_see_each_other() -> None:
    network, images = make(), pictures(1, 2)
    changed = images.clone()
    changed[:, 1] += 1
    assert not torch.allclose(look(network, images).depth[:, 0], look(network, changed).depth[:, 0], atol=1e-6)


def test_with_poses_or_few_views_the_order_of_views_is_kept_and_the_rule_is_not_asked() -> None:
    network = make()
    for images, given in ((pictures(1, 4), cameras(4)), (pictures(1, 2), {}), (pictures(1, 1), {})):
        first, middle = (look(network, images, reference_view=rule, **given) for rule in ("first", "middle"))
        assert torch.equal(first.depth, middle.depth)


def test_from_three_views_on_the_rule_decides() -> None:
    network, images = make(), pictures(1, 3)
    first, middle = (look(network, images, reference_view=rule) for rule in ("first", "middle"))
    assert not torch.allclose(first.depth, middle.depth, atol=1e-6)


def test_moving_the_reference_view_moves_what_comes_out_with_it() -> None:
    network, images = make(), pictures(1, 5)
    plain = look(network, images, reference_view="first")
    rolled = look(network, images[:, [1, 2, 0, 3, 4]], reference_view="middle")  # the same view is the reference
    assert torch.allclose(rolled.depth[:, 2], plain.depth[:, 0], atol=1e-4)
    assert torch.allclose(rolled.pose_encoding[:, [2, 0, 1, 3, 4]], plain.pose_encoding, atol=1e-4)


def test_given_poses_change_what_is_seen() -> None:
    network, images = make(), pictures(1, 2)
    given = cameras(2)
    moved = {**given, "extrinsics_w2c": given["extrinsics_w2c"] * torch.tensor([1.0, 1, 1, 3])}
    outputs = [look(network, images, **each).depth for each in ({}, given, moved)]
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-5)
    assert not torch.allclose(outputs[1], outputs[2], atol=1e-6)


def test_kept_features_are_those_of_the_levels_in_the_order_of_the_input() -> None:
    network, images = make(), pictures(1, 4)
    layer = TINY_ANY_VIEW.out_layers[-1]
    with torch.inference_mode():
        features = network.backbone(images, reference_view="middle", keep=(layer,))
    assert torch.equal(features.kept[0], features.levels[-1][..., TINY_ANY_VIEW.embed_dim :])


def test_the_head_in_parts_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    network, images = make(), pictures(1, 5)
    whole = look(network, images, rays=True)
    monkeypatch.setattr(depth_network, "HEAD_VIEWS", 2)
    parts = look(network, images, rays=True)
    for name in ("depth", "confidence", "rays", "ray_confidence"):
        assert torch.allclose(getattr(whole, name), getattr(parts, name), atol=1e-5)


@pytest.mark.parametrize(
    ("images", "options", "sentence"),
    [
        (torch.zeros(1, 1, 3, 56, 71), {}, "sides of a multiple of 14"),
        (torch.zeros(1, 3, 56, 70), {}, "expected images of"),
        (torch.zeros(1, 1, 4, 56, 70), {}, "expected images of"),
        (torch.zeros(1, 0, 3, 56, 70), {}, "at least one view"),
        (torch.zeros(1, 1, 3, 0, 70), {}, "at least one view with pixels"),
        (torch.zeros(1, 2, 3, 56, 70), {"intrinsics": torch.eye(3).expand(1, 2, 3, 3)}, "given together"),
        (torch.zeros(1, 2, 3, 56, 70), cameras(3), r"extrinsics_w2c: expected \(1, 2, 4, 4\), got \(1, 3, 4, 4\)"),
        (torch.zeros(1, 1, 3, 56, 70), {"keep_features": (6,)}, "keep_features: expected blocks 0 to 5"),
        (torch.zeros(1, 3, 3, 56, 70), {"reference_view": "last"}, "Reference view: expected one of"),
    ],
)
def test_input_that_does_not_fit_is_refused(images: Any, options: dict[str, Any], sentence: str) -> None:
    from n3d_ros.errors import N3dError

    with pytest.raises(N3dError, match=sentence):
        look(make(), images, **options)


def test_a_monocular_network_refuses_poses_and_rays() -> None:
    network = make(TINY_MONOCULAR)
    with pytest.raises(InputError, match="takes no camera poses"):
        look(network, pictures(1, 2), **cameras(2))
    with pytest.raises(InputError, match="gives no rays"):
        look(network, pictures(1, 1), rays=True)


def test_every_parameter_that_is_used_gets_a_gradient() -> None:
    network = make()
    network.train()
    given = network(pictures(1, 3), rays=True, **cameras(3))
    free = network(pictures(1, 3, seed=1), rays=True, reference_view="first")
    total = sum(
        (each.depth.log().mean() + each.confidence.log().mean() + each.rays.square().mean()
         + each.ray_confidence.log().mean() + each.pose_encoding.square().mean())
        for each in (given, free)
    )  # fmt: skip
    total.backward()
    without = {name for name, value in network.named_parameters() if value.grad is None}
    unused = tuple(f"output_conv{step}_aux.{level}." for step in (1, 2) for level in range(3))
    assert {name for name in without if not any(part in name for part in unused)} == set()
    assert network.head.scratch.output_conv2_aux[3]["2"].weight.grad is not None
    assert float(network.backbone.pretrained.pos_embed.grad.abs().max()) > 0


def test_positions_follow_weights_that_change_and_learning_follows_looking() -> None:
    network, images = make(), pictures(1, 1)
    before = look(network, images).depth
    with torch.no_grad():
        network.backbone.pretrained.pos_embed += 1
    assert not torch.allclose(look(network, images).depth, before, atol=1e-6)
    network(images).depth.mean().backward()  # tables made while looking must serve learning too
    assert network.backbone.pretrained.cls_token.grad is not None


def test_positions_follow_weights_made_in_inference_mode_too() -> None:
    images = pictures(1, 1)
    with torch.inference_mode():  # torch counts no changes of such weights
        network = make()
        before = look(network, images).depth
        network.backbone.pretrained.pos_embed += 1
    assert torch.equal(before, look(make(), images).depth)
    assert not torch.allclose(look(network, images).depth, before, atol=1e-6)


def test_a_copy_has_tables_of_its_own() -> None:
    network, images = make(), pictures(1, 1)
    expected = look(network, images).depth
    twin = copy.deepcopy(network)
    assert torch.equal(look(twin, images).depth, expected)
    assert twin.head.tables is not network.head.tables


SHALLOW = replace(TINY_ANY_VIEW, depth=4, out_layers=(0, 1, 2, 3))  # every kind of block, one after the choice


@pytest.mark.parametrize(("views", "looked_before"), [(1, False), (3, True)])
def test_a_network_is_exported_whole(views: int, looked_before: bool) -> None:
    class Outputs(torch.nn.Module):
        def __init__(self, network: DepthNetwork) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: Any) -> tuple[Any, ...]:
            output = self.network(images)
            return output.depth, output.confidence, output.pose_encoding

    module, images = Outputs(make(SHALLOW).requires_grad_(False)), pictures(1, views)
    if looked_before:
        look(module.network, images)
    graph = torch.export.export(module, (images,))
    for ours, theirs in zip(graph.module()(images), module(images), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    parts = [part for part in graph.graph_module.modules() if isinstance(part, torch.fx.GraphModule)]
    names = {str(node.target) for part in parts for node in part.graph.nodes if node.op == "call_function"}
    made = {"aten.upsample_bicubic2d.vec", "aten.sin.default", "aten.linspace.default"}
    assert bool(names & made) is not looked_before  # after a look tables are constants of the graph
