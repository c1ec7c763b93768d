"""Whole networks against tensors of the public reference: every run of every case in the golden folder."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

from safetensors.torch import load_file  # noqa: E402

from depth_golden import GOLDEN, TOLERANCE, deviation, golden_config, golden_runs  # noqa: E402
from n3d_ros.depth.network import DepthNetwork, NetworkOutput, build_network  # noqa: E402
from n3d_ros.depth.network.pose_encoding import decode_pose  # noqa: E402
from n3d_ros.depth.network.reference_view import input_order  # noqa: E402

torch.set_num_threads(1)

RUNS = golden_runs()
RULES = {"first": "first", "middle": "middle", "range": "saddle_sim_range"}
SKY = 0.3  # from here on a pixel is sky, whose final depth is filled in elsewhere


class Run:
    """One golden run: its tensors, its network, what the network says, and what its modules gave on the way."""

    def __init__(self, name: str) -> None:
        case, run = name.split("/")
        self.golden = load_file(GOLDEN / case / f"{run}.safetensors")
        self.network = build_network(golden_config(case)).eval()
        self.network.load_state_dict(load_file(GOLDEN / case / "state_dict.safetensors"))
        self.config = self.network.config
        self.images = self.golden["input.images"]
        self.posed = "input.extrinsics" in self.golden
        self.rule = next((rule for word, rule in RULES.items() if word in run), "saddle_balanced")
        self.seen: dict[str, Any] = {}
        self._watch(self.network)
        self.output = self._run()

    def _run(self) -> NetworkOutput:
        cameras = (
            {"extrinsics_w2c": self.golden["input.extrinsics"], "intrinsics": self.golden["input.intrinsics"]}
            if self.posed
            else {}
        )
        with torch.inference_mode():
            output = self.network(
                self.images,
                reference_view=self.rule,
                rays=self.config.head == "dual",
                keep_features=(1, self.config.depth - 2),
                **cameras,
            )
        assert isinstance(output, NetworkOutput)
        return output

    def _watch(self, network: DepthNetwork) -> None:
        scratch = network.head.scratch
        watched = {
            **{f"block_{i}_out_flat": block for i, block in enumerate(network.backbone.pretrained.blocks)},
            "head_refinenet1": scratch.refinenet1,
            "head_refinenet4": scratch.refinenet4,
            "head_output_conv1": scratch.output_conv1,
            "head_main_logits": scratch.output_conv2,
        }
        if self.config.head == "dual":
            watched["head_refinenet1_aux"] = scratch.refinenet1_aux
            watched["head_aux_logits"] = scratch.output_conv2_aux[-1]["5"]
            watched["cam_enc_tokens"] = network.cam_enc
        for name, module in watched.items():
            module.register_forward_hook(lambda _m, _i, value, name=name: self.seen.update({f"inter.{name}": value}))
        network.backbone.register_forward_hook(lambda _m, _i, value: self.seen.update(backbone=value))

    def outputs(self) -> dict[str, Any]:
        """What comes out, by its golden name."""
        out = self.output
        found = {
            "out.head_depth": out.depth,
            "out.depth_conf": out.confidence,
            "out.head_depth_conf": out.confidence,
            "out.head_ray": out.rays,
            "out.head_ray_conf": out.ray_confidence,
            "out.sky": out.sky,
            "out.head_sky": out.sky,
            "out.pose_enc": out.pose_encoding,
        }
        if out.pose_encoding is not None:
            found["out.extrinsics"], found["out.intrinsics"] = decode_pose(out.pose_encoding, self.images.shape[-2:])
        if out.sky is None:
            found["out.depth"] = out.depth
        return {name: value for name, value in found.items() if value is not None and name in self.golden}


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest) -> Run:
    return Run(request.param)


@pytest.mark.skipif(bool(RUNS), reason="they are here")
def test_the_golden_tensors_are_beside_the_checkout() -> None:
    pytest.skip("the golden tensors (a folder 'shared' beside the checkout) are not here")


def test_what_comes_out_is_that_of_the_reference(run: Run) -> None:
    found = run.outputs()
    assert len(found) >= 2
    assert {name: value for name, value in found.items() if deviation(value, run.golden[name]) > TOLERANCE} == {}


def test_depth_outside_the_sky_is_that_of_the_reference(run: Run) -> None:
    golden, ours = run.golden["out.depth"], run.output.depth
    ground = torch.ones_like(ours, dtype=torch.bool) if run.output.sky is None else run.output.sky < SKY
    assert float((ours - golden)[ground].abs().max()) <= TOLERANCE * float(ours.max())


def test_features_and_camera_features_are_those_of_the_reference(run: Run) -> None:
    features = run.seen["backbone"]
    compared = 0
    for level, patches in enumerate(features.levels):
        if f"feat.{level}_patch" in run.golden:
            assert deviation(patches, run.golden[f"feat.{level}_patch"]) < TOLERANCE
            compared += 1
    if "feat.3_cam" in run.golden:
        assert deviation(features.camera, run.golden["feat.3_cam"]) < TOLERANCE
        compared += 1
    if not compared:
        pytest.skip("this run has none")


def test_what_modules_give_on_the_way_is_that_of_the_reference(run: Run) -> None:
    known = {name: value for name, value in run.seen.items() if name in run.golden}
    if not known:
        pytest.skip("this run has none")
    for name, value in known.items():
        golden = run.golden[name]
        ours = value.reshape(golden.shape)
        if name == f"inter.block_{run.config.alt_start - 1}_out_flat":
            ours, golden = ours[:, 1:], golden[:, 1:]  # the reference then writes the camera token into this tensor
        assert deviation(ours, golden) < TOLERANCE, name


def test_features_that_are_asked_for_come_in_the_order_of_the_input(run: Run) -> None:
    golden = [run.golden.get(f"feat.aux_{number}") for number in range(2)]
    if golden[0] is None:
        pytest.skip("this run has none")
    kept = list(run.output.features)
    if "inter.ref_view_index" in run.golden:  # the reference leaves those after the choice in its own order
        back = input_order(run.golden["inter.ref_view_index"], run.images.shape[1])[0]
        chosen_at = run.config.alt_start - 1
        golden = [
            value[:, back] if layer >= chosen_at else value
            for value, layer in zip(golden, (1, run.config.depth - 2), strict=True)
        ]
    for ours, theirs in zip(kept, golden, strict=True):
        assert deviation(ours, theirs) < TOLERANCE
