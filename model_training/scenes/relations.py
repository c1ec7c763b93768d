"""What carries what, and what lies in what, once everything rests: read from contact forces and shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.scenes.catalogue import Design
from model_training.scenes.gl import load_mujoco
from model_training.scenes.layout import Placement
from n3d_ros.geometry.transforms import RigidTransform

SUNK_SHARE = 0.25  # of its height that must lie below the rim for a thing to be in a container, not on it
UPRIGHT = 0.9  # cosine of a container's lean beyond which it holds nothing
HOLLOW_BELOW = 0.6  # a profile that comes back to the axis below this height leaves a cavity


def supporters(model: Any, data: Any, body_of: Mapping[int, int]) -> dict[int, int]:
    """Id of what carries most of each object's weight, 0 for the floor; nothing for what touches nothing.

    Args:
        model: the MuJoCo model.
        data: its state at rest, contact forces computed.
        body_of: MuJoCo body by object id.

    Returns:
        Supporter by id.
    """
    mujoco = load_mujoco()
    owner = {body: object_id for object_id, body in body_of.items()} | {0: 0}
    upward: dict[tuple[int, int], float] = {}
    force = np.zeros(6)
    for index in range(data.ncon):
        contact = data.contact[index]
        first, second = (owner.get(int(model.geom_bodyid[geom]), 0) for geom in (contact.geom1, contact.geom2))
        mujoco.mj_contactForce(model, data, index, force)
        lift = float((contact.frame.reshape(3, 3).T @ force[:3])[2])  # acts on the second body, in the world
        for carried, carrier, up in ((second, first, lift), (first, second, -lift)):
            upward[carried, carrier] = upward.get((carried, carrier), 0.0) + up
    best: dict[int, tuple[float, int]] = {}
    for (carried, carrier), up in upward.items():
        if up > best.get(carried, (0.0, 0))[0]:
            best[carried] = (up, carrier)
    return {carried: carrier for carried, (_, carrier) in best.items() if carried}


def containers(
    placements: Sequence[Placement], poses: Mapping[int, RigidTransform], support: Mapping[int, int]
) -> dict[int, int]:
    """Id of the container of everything that lies in one.

    A thing is in a container when the container carries it, itself or through other things, it stands over the cavity,
    and a good part of it is below the rim.

    Args:
        placements: designs by id.
        poses: world_T_object of what is left.
        support: supporter by id.

    Returns:
        Container by id, for things that are in one.
    """
    designs = {p.object_id: p.design for p in placements if p.object_id in poses}
    found: dict[int, int] = {}
    for object_id in designs:
        carrier, seen = support.get(object_id, 0), {object_id}
        while carrier in designs and carrier not in seen:
            seen.add(carrier)
            if _is_inside(designs[object_id], poses[object_id], designs[carrier], poses[carrier]):
                found[object_id] = carrier
                break
            carrier = support.get(carrier, 0)
    return found


def cavity(design: Design) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Lower and upper corner of what a container's wall encloses, in its own frame; None for what holds nothing.

    Args:
        design: any object.

    Returns:
        Two (3,) metres.
    """
    if not design.category.holds:
        return None
    for piece in design.pieces:
        if piece.part.kind == "lathe" and piece.part.profile[-1][1] < HOLLOW_BELOW:
            return piece.low, piece.high
    return design.low, design.low + design.size


def _is_inside(design: Design, world_T_object: RigidTransform, holder: Design, world_T_holder: RigidTransform) -> bool:
    """Whether one object is in another."""
    space = cavity(holder)
    if space is None or world_T_holder.rotation[2, 2] < UPRIGHT:
        return False
    points = world_T_holder.inverse().apply(world_T_object.apply(design.vertices))
    low, high = points.min(axis=0), points.max(axis=0)
    middle = (low + high)[:2] / 2
    over = bool((middle > space[0][:2]).all() and (middle < space[1][:2]).all())
    return over and bool(low[2] < space[1][2] - SUNK_SHARE * (high[2] - low[2]) and low[2] > space[0][2])
