"""The file ``config/n3d.yaml``, written from the config dataclasses; see its heading for the command."""

from __future__ import annotations

import sys
import textwrap
from typing import Any

from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.parameters import ParameterSpec, parameter_specs

HEADING = """\
# Every parameter of the n3d node with its default. [what is allowed] follows each description; "Live." parameters may
# change while the node is active, the others take effect when it is configured.
# Written by `python -m n3d_ros.ros.parameter_file > config/n3d.yaml`; a test holds it to the code.
# The QoS of every topic can be set too, for instance
#   qos_overrides./camera/color/image_raw.subscription.reliability: reliable
"""


def yaml_text(specs: tuple[ParameterSpec, ...], node_name: str = "/**") -> str:
    """A parameter file with every parameter, its default and its description as a comment.

    Args:
        specs: the parameters.
        node_name: key the file is for.

    Returns:
        YAML, with dotted names as nested keys.
    """
    lines = [f"{node_name}:", "  ros__parameters:"]
    open_groups: list[str] = []
    for spec in _grouped(specs):
        *groups, leaf = spec.name.split(".")
        shared = 0
        while shared < min(len(groups), len(open_groups)) and groups[shared] == open_groups[shared]:
            shared += 1
        lines += [f"{'  ' * (depth + 2)}{groups[depth]}:" for depth in range(shared, len(groups))]
        open_groups = groups
        indent = "  " * (len(groups) + 2)
        live = " Live." if spec.live else ""
        lines += [f"{indent}# {line}" for line in _wrapped(f"{spec.description} [{spec.allowed}]{live}", len(indent))]
        lines.append(f"{indent}{leaf}: {_yaml_value(spec.default)}")
    return "\n".join(lines) + "\n"


def _grouped(specs: tuple[ParameterSpec, ...]) -> list[ParameterSpec]:
    """Parameters without a group first, then group by group in the order of their first parameter: keys are unique."""
    groups = [""]
    for spec in specs:
        group = spec.name.rpartition(".")[0]
        groups += [] if group in groups else [group]
    return sorted(specs, key=lambda spec: groups.index(spec.name.rpartition(".")[0]))


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, width=118 - indent, break_on_hyphens=False)  # names hold hyphens


def _yaml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(_yaml_value(item) for item in value) + "]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    text = repr(value)
    # YAML 1.1 reads 1e-05 as text: it wants a point in the mantissa
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def main() -> int:
    """Writes the file to standard output.

    Returns:
        Exit code 0.
    """
    sys.stdout.write(HEADING + yaml_text(parameter_specs(NodeConfig())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
