"""A small stand-in for the parts of launch and launch_ros that our launch files use: a test double, not the real thing.

It executes a launch file and records what would be started. Where launch is installed, ``test_launch_for_real.py``
starts the files with it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class LaunchContext:
    """Argument values and the environment."""

    launch_configurations: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


class LaunchDescriptionEntity:
    """Whatever a launch description holds."""


@dataclass
class LaunchDescription(LaunchDescriptionEntity):
    entities: list[Any]


@dataclass
class LaunchConfiguration:
    """The value of an argument."""

    name: str

    def perform(self, context: LaunchContext) -> str:
        return context.launch_configurations[self.name]


@dataclass
class DeclareLaunchArgument(LaunchDescriptionEntity):
    name: str
    default_value: str | None = None
    description: str = ""
    choices: list[str] | None = None

    def apply(self, context: LaunchContext) -> None:
        if self.name not in context.launch_configurations:
            if self.default_value is None:
                raise RuntimeError(f"required launch argument {self.name} was not provided")
            context.launch_configurations[self.name] = self.default_value
        value = context.launch_configurations[self.name]
        if self.choices is not None and value not in self.choices:
            raise RuntimeError(f"argument {self.name}: {value!r} is not one of {self.choices}")


class Recorded(LaunchDescriptionEntity):
    """An action that is only written down: its arguments by name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["kwargs"][name]
        except KeyError:
            raise AttributeError(name) from None


class Node(Recorded): ...


class ExecuteProcess(Recorded): ...


class LogInfo(Recorded): ...


class Shutdown(Recorded): ...


class RegisterEventHandler(Recorded): ...


class OnProcessExit(Recorded): ...


class SetEnvironmentVariable(Recorded): ...


class OpaqueFunction(Recorded): ...


class IncludeLaunchDescription(Recorded): ...


class PythonLaunchDescriptionSource(Recorded): ...


@dataclass
class Started:
    """What a launch file would start, in order."""

    arguments: dict[str, DeclareLaunchArgument] = field(default_factory=dict)
    actions: list[Any] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def all(self, kind: type) -> list[Any]:
        return [action for action in self.actions if isinstance(action, kind)]

    def node(self, executable: str) -> Any:
        (found,) = [action for action in self.all(Node) if action.executable == executable]
        return found

    @property
    def executables(self) -> list[str]:
        return [node.executable for node in self.all(Node)]


def modules() -> dict[str, types.ModuleType]:
    """The modules our launch files import, holding the stand-ins."""
    here = globals()
    names = {
        "launch": ("LaunchContext", "LaunchDescription", "LaunchDescriptionEntity"),
        "launch.actions": (
            *("DeclareLaunchArgument", "ExecuteProcess", "IncludeLaunchDescription", "LogInfo", "OpaqueFunction"),
            *("RegisterEventHandler", "SetEnvironmentVariable", "Shutdown"),
        ),
        "launch.substitutions": ("LaunchConfiguration",),
        "launch.event_handlers": ("OnProcessExit",),
        "launch.launch_description_sources": ("PythonLaunchDescriptionSource",),
        "launch_ros": (),
        "launch_ros.actions": ("Node",),
    }
    made = {}
    for name, members in names.items():
        made[name] = types.ModuleType(name)
        for member in members:
            setattr(made[name], member, here[member])
    return made


@contextmanager
def installed() -> Iterator[None]:
    """The stand-ins in place of launch and launch_ros, for a while."""
    ours = modules()
    before = {name: sys.modules.get(name) for name in ours}
    sys.modules.update(ours)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def execute(path: Path, environment: Mapping[str, str] | None = None, **arguments: str) -> Started:
    """What a launch file would start with these arguments; files it includes are executed too."""
    context = LaunchContext(dict(arguments), dict(os.environ if environment is None else environment))
    started = Started(environment=context.environment)
    with installed():
        _run_file(path, context, started)
    return started


def _run_file(path: Path, context: LaunchContext, started: Started) -> None:
    spec = importlib.util.spec_from_file_location(path.name.replace(".", "_"), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    _visit(module.generate_launch_description().entities, context, started)


def _visit(entities: Iterable[Any], context: LaunchContext, started: Started) -> None:
    for entity in entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.apply(context)
            started.arguments.setdefault(entity.name, entity)
        elif isinstance(entity, OpaqueFunction):
            _visit(entity.function(context), context, started)
        elif isinstance(entity, IncludeLaunchDescription):
            context.launch_configurations.update(dict(entity.launch_arguments))
            _run_file(Path(entity.args[0].args[0]), context, started)
        else:
            if isinstance(entity, SetEnvironmentVariable):
                context.environment[entity.args[0]] = entity.args[1]
            started.actions.append(entity)
