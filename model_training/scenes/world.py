"""A layout as a MuJoCo model, settled until everything lies still."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.scenes.catalogue import Design, Piece
from model_training.scenes.gl import load_mujoco
from model_training.scenes.layout import CEILING_M, WALL_HEIGHT_M, Layout, Placement
from model_training.scenes.lights import add_rich_lights
from model_training.scenes.materials import FINISHES, Finish
from model_training.scenes.relations import containers, supporters
from model_training.scenes.spec import SceneSpec
from model_training.scenes.textures import TEXTURES
from n3d_ros.errors import BackendError
from n3d_ros.geometry.transforms import RigidTransform, quaternion_to_matrix

FloatArray = NDArray[np.float64]

TIMESTEP_S = 0.004
CHECK_EVERY_STEPS = 20
MAX_SETTLE_S = 2.5  # beyond it whatever still moves is taken away
REST_LINEAR_M_S = 0.006
REST_ANGULAR_RAD_S = 0.08
FALLEN_M = 0.02  # lower than its support by more than this: it fell off
SHADOW_MAP_PX = 1536  # 2 mm on a table; the cost of a frame grows with it
SHADOW_PX_PER_PX, LEAST_SHADOW_PX = 2.4, 384  # of the map per pixel of the image's longer side: finer is not seen
RIM_FACETS = 14  # boxes around a hollow object's wall, per band
FLOOR_HALF_M = 6.0
NEAR_M, FAR_M = 0.05, 30.0  # clipping planes
VISIBLE_GROUP, COLLISION_GROUP = 0, 3
HIDDEN_GROUP = 5
FRICTION = (0.8, 0.01, 0.003)  # sliding, torsion, rolling: with rolling friction balls and cans come to rest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorldObject:
    """An object at rest.

    Args:
        object_id: value in label images, 1 and up.
        design: its geometry.
        world_T_object: its pose.
        static: furniture.
        supported_by: id of what carries most of its weight, 0: the floor.
        inside_of: id of the container it lies in; None: none.
    """

    object_id: int
    design: Design
    world_T_object: RigidTransform
    static: bool
    supported_by: int
    inside_of: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SettledWorld:
    """A scene in which nothing moves.

    Args:
        spec: what it was made from.
        layout: where things started.
        model: the MuJoCo model; bodies of removed objects are hidden.
        data: its state at rest.
        objects: what is left, by id.
        geom_object_ids: (ngeom,) int32: object id of every geom, 0 for floor and walls, -1 where it is not drawn.
        removed: how many loose objects fell off or would not rest.
    """

    spec: SceneSpec
    layout: Layout
    model: Any
    data: Any
    objects: tuple[WorldObject, ...]
    geom_object_ids: NDArray[np.int32]
    removed: int


def _quaternion_wxyz(rotation: FloatArray) -> list[float]:
    """MuJoCo's order of a rotation's quaternion."""
    x, y, z, w = RigidTransform(rotation=rotation, translation=np.zeros(3)).orientation_xyzw
    return [float(w), float(x), float(y), float(z)]


class _ModelBuilder:
    """Fills an MjSpec; one instance per world."""

    def __init__(self, spec: SceneSpec, layout: Layout, rng: np.random.Generator) -> None:
        self.mujoco = load_mujoco()
        self.spec = spec
        self.layout = layout
        self.rng = rng
        self.world = self.mujoco.MjSpec()
        self.count = 0

    def build(self) -> Any:
        """The compiled model."""
        self._options()
        self._lights()
        self._surroundings()
        for placement in self.layout.placements:
            self._body(placement)
        return self.world.compile()

    def _options(self) -> None:
        option, visual = self.world.option, self.world.visual
        option.timestep = TIMESTEP_S
        option.integrator = self.mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        self.world.stat.extent = 1.0  # so that clipping planes below are metres
        visual.map.znear, visual.map.zfar = NEAR_M, FAR_M
        visual.map.shadowscale = 0.85
        visual.map.shadowclip = 1.3  # m around a directional light's centre
        visual.quality.shadowsize = self._shadow_px() if self.spec.shadows else 0
        visual.quality.offsamples = 0  # smoothing in software costs 20 ms a frame; the lens blur hides the steps
        camera = self.spec.camera
        visual.global_.offwidth, visual.global_.offheight = camera.width, camera.height

    def _shadow_px(self) -> int:
        """Side of the shadow map; in rich scenes no finer than the image can show."""
        camera = self.spec.camera
        wanted = int(SHADOW_PX_PER_PX * max(camera.width, camera.height))
        return min(max(wanted, LEAST_SHADOW_PX), SHADOW_MAP_PX) if self.spec.is_rich else SHADOW_MAP_PX

    def _lights(self) -> None:
        if self.spec.is_rich:
            add_rich_lights(self.world, self.spec, self.layout, self.rng)
            return
        rng, mujoco, room = self.rng, self.mujoco, bool(self.layout.room_half_m)
        head = self.world.visual.headlight
        head.ambient = [float(rng.uniform(0.3, 0.42))] * 3
        head.diffuse = [float(rng.uniform(0.08, 0.2))] * 3
        head.specular = [0.05] * 3
        focus = self.layout.focus
        for k in range(int(rng.integers(1, 3))):
            offset = np.array([*rng.uniform(-0.5, 0.5, 2), 0.0])
            offset[2] = CEILING_M + 0.3 - focus[2] if room else 1.5
            main = k == 0
            warm = float(rng.uniform(-0.05, 0.05))
            power = float(rng.uniform(0.38, 0.5)) * (1.3 if room else 1.0) if main else float(rng.uniform(0.1, 0.2))
            # A directional light over a table gives its shadow map's whole resolution to the table.
            kind = mujoco.mjtLightType.mjLIGHT_SPOT if room else mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
            self.world.worldbody.add_light(
                pos=(focus + offset).tolist(),
                dir=(-offset / np.linalg.norm(offset)).tolist(),
                type=kind,
                cutoff=70.0,
                exponent=1.5,
                diffuse=[power * (1 + warm), power, power * (1 - warm)],
                specular=[0.12] * 3,
                ambient=[0.03] * 3,
                castshadow=bool(self.spec.shadows and main),
            )

    def _material(
        self, texture: str, paint: tuple[float, float, float], *, repeat: float = 1.0, gloss: float = 0.15,
        shininess: float = 0.3,
    ) -> str:  # fmt: skip
        """The name of a new material with its own texture."""
        mujoco = self.mujoco
        self.count += 1
        name = f"paint{self.count}"
        picture = TEXTURES[texture](paint, self.rng)
        made = self.world.add_texture(
            name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=picture.shape[1], height=picture.shape[0], nchannel=3
        )
        made.data = np.ascontiguousarray(picture).tobytes()
        material = self.world.add_material(name=name)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
        material.texrepeat = [repeat, repeat]
        material.specular, material.shininess, material.reflectance = gloss, shininess, 0.0
        return name

    def _finished(self, piece: Piece, finish: Finish) -> str:
        """The name of a new material for a piece of the object's own substance."""
        texture = piece.part.texture
        if finish.textures and texture in ("plain", "wood"):
            texture = str(self.rng.choice(list(finish.textures)))
        elif texture == "wood":
            texture = "marble" if self.rng.random() < 0.3 else "plain"
        return self._material(texture, piece.paint, gloss=finish.specular, shininess=finish.shininess)

    def _surroundings(self) -> None:
        """Floor and walls."""
        mujoco, surfaces = self.mujoco, self.layout.surfaces
        floor = self._material(surfaces.floor_texture, surfaces.floor_paint, repeat=8.0, gloss=0.05)
        half = self.layout.room_half_m or FLOOR_HALF_M
        self.world.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_PLANE, size=[half, half, 0.1], material=floor, friction=FRICTION, condim=6
        )
        if not self.layout.walls:
            return
        paint = self._material(surfaces.wall_texture, surfaces.wall_paint, gloss=0.02)
        for wall in self.layout.walls:
            middle = wall.center - wall.normal * 0.05
            along_x = abs(wall.normal[1]) > 0.5
            size = [wall.half_length_m + 0.1, 0.05] if along_x else [0.05, wall.half_length_m + 0.1]
            self.world.worldbody.add_geom(
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=[*size, WALL_HEIGHT_M / 2],
                pos=[*middle.tolist(), WALL_HEIGHT_M / 2],
                material=paint,
                contype=0,
                conaffinity=0,
            )

    def _body(self, placement: Placement) -> None:
        """One object: what is seen, and what collides."""
        body = self.world.worldbody.add_body(
            name=f"object{placement.object_id}",
            pos=placement.position.tolist(),
            quat=_quaternion_wxyz(placement.rotation),
        )
        if not placement.static:
            body.add_freejoint()
        painted: dict[tuple[str, str], str] = {}
        finish = FINISHES[placement.design.material]
        for piece in placement.design.pieces:
            key = texture, slot = piece.part.texture, piece.part.material
            if key not in painted:
                is_main = self.spec.is_rich and slot == placement.design.category.main_slot
                painted[key] = self._finished(piece, finish) if is_main else self._material(texture, piece.paint)
            self._add_visual(body, piece, painted[key])
            if piece.part.solid:
                self._add_collision(body, piece, placement.design)

    def _add_visual(self, body: Any, piece: Piece, material: str) -> None:
        """The piece's mesh, drawn and weightless."""
        mujoco = self.mujoco
        self.count += 1
        name = f"mesh{self.count}"
        mesh = self.world.add_mesh(
            name=name,
            uservert=piece.mesh.vertices.ravel(),
            userface=piece.mesh.faces.ravel(),
            usertexcoord=piece.mesh.texcoords.ravel(),
        )
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=name,
            material=material,
            contype=0,
            conaffinity=0,
            mass=0.0,
            group=VISIBLE_GROUP,
        )

    def _add_collision(self, body: Any, piece: Piece, design: Design) -> None:
        """Primitive solids that stand for the piece in contacts."""
        for solid in collision_solids(piece, round_body=design.category.shape == "ball"):
            body.add_geom(
                type=getattr(self.mujoco.mjtGeom, f"mjGEOM_{solid.kind.upper()}"),
                size=list(solid.size),
                pos=solid.center.tolist(),
                quat=_quaternion_wxyz(solid.rotation),
                density=design.category.density,
                friction=FRICTION,
                condim=6,
                group=COLLISION_GROUP,
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solid:
    """A primitive in the object's frame.

    Args:
        kind: "box", "cylinder", "sphere" or "ellipsoid".
        size: half lengths as MuJoCo takes them.
        center: (3,) metres.
        rotation: (3, 3) object from solid.
    """

    kind: str
    size: tuple[float, ...]
    center: FloatArray
    rotation: FloatArray


def collision_solids(piece: Piece, *, round_body: bool = False) -> list[Solid]:
    """Primitives that together fill about the same space as the piece.

    Args:
        piece: a part at real size.
        round_body: treat a solid of revolution as an ellipsoid, so that it rolls.

    Returns:
        One or more solids; a hollow one becomes a floor and rings of boxes, so that things can lie inside.
    """
    half = (piece.high - piece.low) / 2
    middle = (piece.high + piece.low) / 2
    kind = piece.part.kind
    if kind == "ellipsoid" or (kind == "lathe" and round_body):
        if np.ptp(half) < 0.03 * half.max():
            return [Solid(kind="sphere", size=(float(half.mean()),), center=middle, rotation=np.eye(3))]
        return [Solid(kind="ellipsoid", size=tuple(half.tolist()), center=middle, rotation=piece.rotation)]
    if kind == "cylinder":
        size = (float(half[:2].mean()), float(half[2]))
        return [Solid(kind="cylinder", size=size, center=middle, rotation=piece.rotation)]
    if kind == "lathe":
        return _lathe_solids(piece.part.profile, piece.low, half)
    return [Solid(kind="box", size=tuple(half.tolist()), center=middle, rotation=piece.rotation)]


def _lathe_solids(profile: Sequence[tuple[float, float]], low: FloatArray, half: FloatArray) -> list[Solid]:
    """Cylinders for a solid profile; a floor and rings of boxes for a hollow one."""
    points = np.asarray(profile)
    top = int(points[:, 1].argmax())
    outer, inner_floor = points[: top + 1], float(points[-1, 1])
    hollow = inner_floor < 0.6
    radius_m, height_m = float(half[:2].mean()), float(2 * half[2])
    axis = low[:2] + half[:2]
    solids: list[Solid] = []

    def disc(radius: float, bottom: float, upper: float) -> None:
        center = np.array([*axis, low[2] + height_m * (bottom + upper) / 2])
        size = (max(radius * radius_m, 1e-3), max(height_m * (upper - bottom) / 2, 5e-4))
        solids.append(Solid(kind="cylinder", size=size, center=center, rotation=np.eye(3)))

    for (r0, z0), (r1, z1) in itertools.pairwise(outer.tolist()):
        if z1 - z0 < 1e-6:
            continue
        if hollow and z1 > inner_floor + 1e-6:
            solids += _wall_ring(r0, r1, max(z0, 0.0), z1, radius_m, height_m, np.array([*axis, low[2]]))
        else:
            disc(max(r0, r1), z0, z1)
    if hollow:
        disc(float(np.interp(inner_floor / 2, outer[:, 1], outer[:, 0])) * 0.95, 0.0, inner_floor)
    elif points[top + 1 :, 1].min(initial=1.0) < 0.999:  # a sunk lid: nothing may sink into it
        disc(float(outer[-1, 0]), max(inner_floor - 0.02, 0.0), 1.0)
    return solids


def _wall_ring(
    r0: float, r1: float, z0: float, z1: float, radius_m: float, height_m: float, base: FloatArray
) -> list[Solid]:
    """Boxes leaning along a wall's band from radius r0 at height z0 to r1 at z1 (shares of the whole)."""
    run = np.array([(r1 - r0) * radius_m, (z1 - z0) * height_m])
    length = float(np.linalg.norm(run))
    along = run / length
    thickness = 0.09 * radius_m
    middle = np.array([(r0 + r1) / 2 * radius_m, (z0 + z1) / 2 * height_m]) + thickness / 2 * np.array(
        [-along[1], along[0]]
    )
    width = np.tan(np.pi / RIM_FACETS) * max(r0, r1) * radius_m
    ring = []
    for k in range(RIM_FACETS):
        angle = 2 * np.pi * k / RIM_FACETS
        out = np.array([np.cos(angle), np.sin(angle), 0.0])
        up = np.array([0.0, 0.0, 1.0])
        lengthwise = out * along[0] + up * along[1]
        inward = -out * along[1] + up * along[0]
        sideways = np.cross(lengthwise, inward)
        center = base + out * middle[0] + up * middle[1]
        rotation = np.stack([inward, sideways, lengthwise], axis=1)
        if np.linalg.det(rotation) < 0:
            rotation[:, 1] *= -1
        size = (thickness / 2, float(width), length / 2)
        ring.append(Solid(kind="box", size=size, center=center, rotation=rotation))
    return ring


def _body_pose(data: Any, body: int) -> RigidTransform:
    """world_T_body."""
    w, x, y, z = (float(v) for v in data.xquat[body])
    return RigidTransform(rotation=quaternion_to_matrix((x, y, z, w)), translation=np.array(data.xpos[body]))


class _Settler:
    """Runs the physics of one model until what is left rests."""

    def __init__(self, model: Any, layout: Layout) -> None:
        self.mujoco = load_mujoco()
        self.model = model
        self.data = self.mujoco.MjData(model)
        self.loose = {p.object_id: p for p in layout.placements if not p.static}
        self.body_of = {
            p.object_id: self.mujoco.mj_name2id(model, self.mujoco.mjtObj.mjOBJ_BODY, f"object{p.object_id}")
            for p in layout.placements
        }
        self.gone: set[int] = set()

    def run(self) -> None:
        """Settles; removes what fell or keeps moving, and settles what had leant on it."""
        self.mujoco.mj_forward(self.model, self.data)
        for seconds in (MAX_SETTLE_S, 1.0, 0.6, 0.4):
            resting = self._settle(seconds)
            lost = [i for i in self.loose if i not in self.gone and (self._has_fallen(i) or i not in resting)]
            if not lost:
                break
            for object_id in lost:
                self._remove(object_id)
        self.mujoco.mj_forward(self.model, self.data)
        bad = self.mujoco.mjtWarning
        if any(
            self.data.warning[int(kind)].number for kind in (bad.mjWARN_BADQPOS, bad.mjWARN_BADQVEL, bad.mjWARN_BADQACC)
        ):
            raise BackendError(
                "Physics: positions or speeds became infinite; this scene cannot settle. Use another seed.",
                reason="physics_unstable",
            )

    def poses(self) -> dict[int, RigidTransform]:
        """world_T_object of what is left, by id."""
        return {i: _body_pose(self.data, body) for i, body in self.body_of.items() if i not in self.gone}

    def _settle(self, seconds: float) -> set[int]:
        """Ids that rest when all do, or when the time is over."""
        resting: set[int] = set()
        calm = 0
        for _ in range(int(seconds / TIMESTEP_S / CHECK_EVERY_STEPS)):
            self.mujoco.mj_step(self.model, self.data, CHECK_EVERY_STEPS)
            resting = {i for i in self.loose if i in self.gone or self._is_still(i)}
            calm = calm + 1 if len(resting) == len(self.loose) else 0
            if calm >= 3:
                break
        return resting

    def _speed(self, object_id: int) -> NDArray[np.float64]:
        start = self.model.body_dofadr[self.body_of[object_id]]
        return np.array(self.data.qvel[start : start + 6])

    def _is_still(self, object_id: int) -> bool:
        speed = self._speed(object_id)
        return bool(np.linalg.norm(speed[:3]) < REST_LINEAR_M_S and np.linalg.norm(speed[3:]) < REST_ANGULAR_RAD_S)

    def _has_fallen(self, object_id: int) -> bool:
        placement = self.loose[object_id]
        pose = _body_pose(self.data, self.body_of[object_id])
        lowest = float(pose.apply(placement.design.vertices)[:, 2].min())
        return lowest < placement.support_height_m - FALLEN_M

    def _remove(self, object_id: int) -> None:
        """Takes a body out of sight and out of contact."""
        body = self.body_of[object_id]
        self.gone.add(object_id)
        first = self.model.body_geomadr[body]
        geoms = slice(first, first + self.model.body_geomnum[body])
        self.model.geom_contype[geoms] = 0
        self.model.geom_conaffinity[geoms] = 0
        self.model.geom_group[geoms] = HIDDEN_GROUP
        self.model.body_gravcomp[body] = 1.0
        joint = self.model.body_jntadr[body]
        position, velocity = self.model.jnt_qposadr[joint], self.model.jnt_dofadr[joint]
        self.data.qpos[position : position + 3] = (0.0, 0.0, -20.0 - object_id)
        self.data.qvel[velocity : velocity + 6] = 0.0


def _geom_object_ids(model: Any, body_of: dict[int, int], gone: set[int]) -> NDArray[np.int32]:
    """Object id of every drawn geom, 0 for surroundings, -1 for geoms that are not drawn."""
    owner = {body: object_id for object_id, body in body_of.items()}
    ids = np.array([owner.get(int(body), 0) for body in model.geom_bodyid], np.int32)
    ids[np.isin(ids, list(gone))] = -1
    ids[np.asarray(model.geom_group) != VISIBLE_GROUP] = -1
    return ids


def settle_world(spec: SceneSpec, layout: Layout, rng: np.random.Generator) -> SettledWorld:
    """The layout after physics: objects at rest, those that fell off removed.

    Args:
        spec: what to generate.
        layout: where things start.
        rng: source of chance for paints and lights.

    Returns:
        The world, ready to be rendered.
    """
    model = _ModelBuilder(spec, layout, rng).build()
    if hasattr(model, "geom_castshadow"):  # floor and walls shade nothing that is seen, but cost a third of the time
        model.geom_castshadow[np.asarray(model.geom_bodyid) == 0] = 0
    settler = _Settler(model, layout)
    settler.run()
    poses = settler.poses()
    support = supporters(model, settler.data, settler.body_of)
    inside = containers(layout.placements, poses, support)
    objects = tuple(
        WorldObject(
            object_id=p.object_id,
            design=p.design,
            world_T_object=poses[p.object_id],
            static=p.static,
            supported_by=support.get(p.object_id, p.supported_by),
            inside_of=inside.get(p.object_id),
        )
        for p in layout.placements
        if p.object_id in poses
    )
    return SettledWorld(
        spec=spec,
        layout=layout,
        model=model,
        data=settler.data,
        objects=objects,
        geom_object_ids=_geom_object_ids(model, settler.body_of, settler.gone),
        removed=len(settler.gone),
    )
