"""Parameters as they are given at the start, checked before rcl takes them.

rcl merges the values of a parameter that is given twice, as in a file and with ``-p``. When the second has another type
than the first it is dropped without a word: ``-p memory.frames_s:=5`` after a file with ``10.0`` would change nothing.
Names that no node declares are dropped as well; a misspelt one is told here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from n3d_ros.errors import ConfigurationError
from n3d_ros.inference.depth_source import FUSED, MODEL

if TYPE_CHECKING:
    from n3d_ros.ros.parameters import ParameterSpec

RULES = ("-p", "--param")
FILES = ("--params-file",)
TRUE, FALSE = ("y", "yes", "true", "on"), ("n", "no", "false", "off")  # in any case, as rcl reads them
ALIKE = 0.8  # share of two names from which one may be meant for the other


def check_given(args: Sequence[str], specs: Iterable[ParameterSpec], node_name: str) -> None:
    """Checks the type and range of every parameter of ours on a command line and in the files that it names.

    Args:
        args: command line with ``--ros-args``.
        specs: the parameters there are.
        node_name: without namespace; sections of files for other nodes are left out.

    Raises:
        ConfigurationError: a value of another type or out of range; says where it stands.
    """
    known = {spec.name: spec for spec in specs}
    for name, value, place in _given(args, node_name):
        if name not in known or value is None:
            continue
        try:
            _check(known[name], value)
        except ConfigurationError as error:
            raise ConfigurationError(f"{place}: {error.message}") from error


def misspelt(given: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Sentences about names that are none of the node's, but nearly.

    Args:
        given: names that were given a value.
        known: names that the node has.

    Returns:
        One sentence per such name, with the nearest one; names unlike all of ours may be meant for other nodes.
    """
    names = tuple(known)
    near = {name: difflib.get_close_matches(name, names, n=1, cutoff=ALIKE) for name in given if name not in set(names)}
    return tuple(
        f"There is no parameter {name!r}, so its value has no effect; did you mean {found[0]!r}?"
        for name, found in near.items()
        if found
    )


def implied_depth_source(params_file: str | None, node_name: str = "n3d") -> str:
    """The source of depth that whoever names a depth model means, without saying which.

    Args:
        params_file: the user's parameter file; empty or None: there is none.
        node_name: without namespace.

    Returns:
        "fused" where the file says so, which uses the model as well; else "model".
    """
    in_file = dict(_in_file(Path(params_file).expanduser(), node_name)) if params_file else {}
    return FUSED if in_file.get("depth_source") == FUSED else MODEL


def _check(spec: ParameterSpec, value: Any) -> None:
    items = value if isinstance(value, list) else [value]
    if spec.kind is float and any(isinstance(item, int) and not isinstance(item, bool) for item in items):
        text = f"Parameter {spec.name}: expected {spec.allowed} (write 1.0, not 1), got {value!r}."
        raise ConfigurationError(text)
    spec.check(value)


def _given(args: Sequence[str], node_name: str) -> Iterator[tuple[str, Any, str]]:
    """Name, value and place of everything that is given."""
    for flag, word in pairwise(args):
        if flag in RULES:
            name, separator, text = word.partition(":=")
            node, _, name = name.rpartition(":")
            if separator and node in ("", node_name):
                with suppress(yaml.YAMLError):  # rcl says what is wrong with it
                    yield name, _value(yaml.compose(text)), f"{flag} {word}"
        elif flag in FILES:
            yield from ((name, value, word) for name, value in _in_file(Path(word), node_name))


def _in_file(path: Path, node_name: str) -> Iterator[tuple[str, Any]]:
    """The parameters of a file that are meant for the node."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return  # rcl says what is wrong with it
    for section, content in _flat(root).items():
        place, marker, name = section.partition("ros__parameters.")
        node = place.strip("./").replace(".", "/").rpartition("/")[2]
        if marker and node in ("*", "**", node_name):
            yield name, content


def _flat(node: yaml.Node | None, prefix: str = "") -> Mapping[str, Any]:
    """The values of a mapping and of those within it, by dotted name."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    values: dict[str, Any] = {}
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        values |= _flat(value, f"{name}.") if isinstance(value, yaml.MappingNode) else {name: _value(value)}
    return values


def _value(node: yaml.Node | None) -> Any:
    """What rcl makes of a value; None of nothing, and of what is no value."""
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    if not isinstance(node, yaml.ScalarNode):
        return None
    text = str(node.value)
    if node.style is not None:  # quoted: text
        return text
    if text.lower() in (*TRUE, *FALSE):
        return text.lower() in TRUE
    with suppress(ValueError):
        return int(text, 0)
    with suppress(ValueError):
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))
    return None if text in ("", "~", "null") else text
