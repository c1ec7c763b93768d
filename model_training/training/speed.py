"""How fast a run is, what it waits for, and how much of its device it uses."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch

PEAKS: dict[str, float] = {
    "H200": 989e12,
    "H100": 989e12,
    "GH200": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
    "V100": 125e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
    "Orin": 43e12,
}
"""Dense operations a second with 16-bit numbers, of the makers' data sheets."""


def peak_of(device: torch.device) -> float | None:
    """What a device can do at most.

    Args:
        device: of the training.

    Returns:
        Operations a second in 16 bits; None where it is not known.
    """
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    matches = [key for key in PEAKS if key in name]
    return PEAKS[max(matches, key=len)] if matches else None


@dataclass(slots=True)
class Speed:
    """Counts over some steps, to be read and begun anew.

    Args:
        peak: of the device, operations a second; None: unknown.
        processes: whose counts are like this one's.
    """

    peak: float | None = None
    processes: int = 1
    _began: float = field(default_factory=time.perf_counter)
    _waited: float = 0.0
    _work: float = 0.0
    _counts: dict[str, float] = field(default_factory=dict)

    def waited(self, seconds: float) -> None:
        """Takes note of time without a batch.

        Args:
            seconds: how long.
        """
        self._waited += seconds

    def add(self, work: float, **counts: float) -> None:
        """Takes note of a batch.

        Args:
            work: operations.
            **counts: tokens, frames, ...
        """
        self._work += work
        for name, count in counts.items():
            self._counts[name] = self._counts.get(name, 0.0) + count

    def read(self) -> dict[str, float]:
        """Rates since the last reading.

        Returns:
            "<count>_per_s", "waiting" (share of the time) and, where the peak is known, "mfu".
        """
        now = time.perf_counter()
        spent = max(now - self._began, 1e-9)
        rates = {f"{name}_per_s": count * self.processes / spent for name, count in self._counts.items()}
        rates["waiting"] = self._waited / spent
        if self.peak is not None:
            rates["mfu"] = self._work / spent / self.peak
        self._began, self._waited, self._work, self._counts = now, 0.0, 0.0, {}
        return rates
