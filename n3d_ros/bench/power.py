"""Power and energy, where this machine says them: Intel's and AMD's RAPL, INA sensors of Jetsons, NVIDIA's driver.

Counters of energy are differenced and sensors of power are integrated, a few times a second, in a thread of their own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from n3d_ros.bench.machine import gpu_query

SYSFS = Path("/sys")
INTERVAL_S = 0.5
MAX_CHANNELS = 8  # of one sensor chip


class Meter(Protocol):
    """What says energy."""

    @property
    def name(self) -> str:
        """Of what, such as "RAPL package-0"."""
        ...

    def joules(self) -> float:
        """Energy since the call before; 0 at the first.

        Returns:
            Joules.

        Raises:
            OSError: it cannot be read any more.
            ValueError: it says no number.
        """
        ...


@dataclass(slots=True, eq=False)
class CounterMeter:
    """A counter of energy that begins again at 0 when it is full (powercap of the kernel).

    Args:
        name: of what.
        file: with microjoules.
        full: value after which it begins again, microjoules; 0: unknown.
    """

    name: str
    file: Path
    full: int = 0
    _before: int | None = None

    def joules(self) -> float:
        """Energy since the call before; 0 at the first.

        Returns:
            Joules.

        Raises:
            ValueError: it began again, and nobody knows how much is missing.
        """
        now = int(self.file.read_text())
        before = now if self._before is None else self._before
        self._before = now
        gained = now - before
        if gained < 0 and self.full:
            gained += self.full + 1
        if gained < 0:
            raise ValueError(f"{self.name}: the counter began again, and where it was full is not known.")
        return gained / 1e6


@dataclass(slots=True, eq=False)
class WattMeter:
    """A sensor of power, integrated by the time between two calls.

    Args:
        name: of what.
        watts: reads it.
        now_s: clock.
    """

    name: str
    watts: Callable[[], float]
    now_s: Callable[[], float] = time.monotonic
    _before_s: float | None = None

    def joules(self) -> float:
        """Energy since the call before; 0 at the first."""
        watts, now_s = self.watts(), self.now_s()
        before_s = now_s if self._before_s is None else self._before_s
        self._before_s = now_s
        return watts * (now_s - before_s)


def meters(sysfs: Path = SYSFS, *, gpu: int | None = None) -> list[Meter]:
    """What can be read here and now.

    Args:
        sysfs: the kernel's own files.
        gpu: number of the GPU whose driver is asked; None: none.

    Returns:
        Meters that gave a number when they were tried; empty: nothing is readable here.
    """
    candidates: list[Meter] = [*_rapl(sysfs), *_hwmon(sysfs)]
    if gpu is not None:
        candidates.append(WattMeter(f"GPU {gpu}", lambda: _gpu_watts(gpu)))
    return [meter for meter in candidates if _is_readable(meter)]


def _is_readable(meter: Meter) -> bool:
    """Whether it gives a number; counters of energy are often for root alone."""
    try:
        meter.joules()
    except (OSError, ValueError, IndexError):
        return False
    return True


def _rapl(sysfs: Path) -> Iterator[Meter]:
    """Whole packages; their parts (cores, memory) are in them and would count twice."""
    for folder in sorted((sysfs / "class" / "powercap").glob("*rapl:*")):
        if folder.name.count(":") == 1 and (folder / "energy_uj").exists():
            full = _words(folder / "max_energy_range_uj")
            name = f"RAPL {_words(folder / 'name') or folder.name}"
            yield CounterMeter(name, folder / "energy_uj", int(full) if full.isdigit() else 0)


def _hwmon(sysfs: Path) -> Iterator[Meter]:
    """Rails behind sensors of the INA family: as power, or as voltage and current."""
    for folder in sorted((sysfs / "class" / "hwmon").glob("hwmon*")):
        chip = _words(folder / "name")
        if not chip.startswith("ina"):
            continue
        for channel in range(1, MAX_CHANNELS + 1):
            power, volts, current = (folder / f"{kind}{channel}_input" for kind in ("power", "in", "curr"))
            label = _words(folder / f"in{channel}_label") or _words(folder / f"power{channel}_label")
            name = f"{chip} {label or f'{folder.name} channel {channel}'}"
            if power.exists():
                yield WattMeter(name, lambda file=power: int(file.read_text()) / 1e6)  # type: ignore[misc]
            elif volts.exists() and current.exists() and label != "sum of shunt voltages":
                yield WattMeter(name, lambda pair=(volts, current): _product(*pair))  # type: ignore[misc]


def _product(millivolts: Path, milliamperes: Path) -> float:
    """Watts."""
    return int(millivolts.read_text()) * int(milliamperes.read_text()) / 1e6


def _gpu_watts(gpu: int) -> float:
    """Watts of a GPU, as its driver says."""
    return float(gpu_query(["power.draw"])[gpu][0])


def _words(file: Path) -> str:
    """A short file; empty where there is none."""
    try:
        return file.read_text(errors="replace").strip()[:60]
    except OSError:
        return ""


@dataclass(slots=True, kw_only=True)
class Energy:
    """What was used meanwhile.

    Args:
        joules: by the meter's name; without those that failed on the way.
        seconds: how long.
    """

    joules: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


@contextmanager
def measured_energy(using: list[Meter], interval_s: float = INTERVAL_S) -> Iterator[Energy]:
    """Adds up energy during the body.

    Args:
        using: meters.
        interval_s: between two readings.

    Yields:
        The energy; complete after the body.
    """
    energy, over = Energy(joules={meter.name: 0.0 for meter in using}), threading.Event()
    left = list(using)

    def read(*, first: bool = False) -> None:
        for meter in list(left):
            try:
                gained = meter.joules()
            except (OSError, ValueError, IndexError):
                left.remove(meter)
                energy.joules.pop(meter.name, None)
                continue
            energy.joules[meter.name] += 0.0 if first else gained

    def watch() -> None:
        while not over.wait(interval_s):
            read()

    read(first=True)
    begin = time.monotonic()
    thread = threading.Thread(target=watch, name="n3d_power", daemon=True)
    thread.start()
    try:
        yield energy
    finally:
        over.set()
        thread.join()
        read()
        energy.seconds = time.monotonic() - begin
