"""Several processes on one run, as torchrun starts them: each draws its own batches, gradients are averaged."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """This process among those of a run.

    Args:
        rank: 0 to ``count - 1``; 0 writes log and checkpoints.
        count: processes.
        local_rank: on this machine: the number of its GPU.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0


def join_processes(device: str) -> Processes:
    """This process among those that torchrun started; alone when it was started without.

    Args:
        device: "cpu" or "cuda"; decides how processes talk to each other.

    Returns:
        Its place.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Processes()
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "cuda":
        torch.cuda.set_device(local_rank)
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    return Processes(rank=torch.distributed.get_rank(), count=count, local_rank=local_rank)


def leave_processes(processes: Processes) -> None:
    """Ends the talk between processes."""
    if processes.count > 1:
        torch.distributed.destroy_process_group()


def synchronised(model: nn.Module, processes: Processes, device: torch.device) -> nn.Module:
    """The model whose gradients are averaged over all processes; itself when there is one.

    Args:
        model: on its device.
        processes: of the run.
        device: of the model.

    Returns:
        A module that is called like the model.
    """
    if processes.count == 1:
        return model
    ids = [device.index] if device.type == "cuda" else None
    # A batch without given poses does not use the camera encoder, so its gradients may be missing.
    return nn.parallel.DistributedDataParallel(model, device_ids=ids, find_unused_parameters=True)
