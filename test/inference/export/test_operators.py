"""Which graphs which TensorRT reads."""

from __future__ import annotations

import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [model] is not installed")

from n3d_ros.errors import BackendError, ConfigurationError  # noqa: E402
from n3d_ros.inference.export.operators import CHECKED, SINCE, check_operators, parse_version  # noqa: E402


def node(operator: str, domain: str = "") -> ir.Node:
    return ir.Node(domain, operator, [ir.val("x")])


@pytest.mark.parametrize(("text", "version"), [("10.3", (10, 3)), ("10.16.2.10", (10, 16)), ("11.4", (11, 4))])
def test_a_version_is_its_first_two_numbers(text: str, version: tuple[int, int]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["", "ten", "10", "8.6", "10.0", "v10.3", "10.3rc1"])
def test_what_is_no_supported_version_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="TensorRT"):
        parse_version(text)


@pytest.mark.parametrize("version", [".".join(map(str, each)) for each in CHECKED])
@pytest.mark.parametrize("operator", sorted(SINCE))
def test_a_newer_operator_is_refused_by_name_before_the_version_that_has_it(version: str, operator: str) -> None:
    nodes = [node("MatMul"), node(operator)]
    if parse_version(version) >= SINCE[operator]:
        check_operators(nodes, version)
        return
    wanted = ".".join(map(str, SINCE[operator]))
    with pytest.raises(BackendError, match=rf"TensorRT {version}: {operator} needs TensorRT {wanted} or newer"):
        check_operators(nodes, version)


def test_an_operator_that_no_version_has_is_refused_with_its_domain() -> None:
    with pytest.raises(BackendError, match="com.microsoft::MatMulNBits needs no version that is known"):
        check_operators([node("MatMulNBits", "com.microsoft")], "11.4")
    with pytest.raises(BackendError, match="StringNormalizer"):
        check_operators([node("StringNormalizer")], "11.4")
