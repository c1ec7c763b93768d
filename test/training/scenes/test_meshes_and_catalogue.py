from collections import Counter

import numpy as np
import pytest

from model_training.scenes import CATALOGUE
from model_training.scenes.catalogue import draw_design
from model_training.scenes.colors import COLOR_NAMES, COLOR_RANGES, draw_paint
from model_training.scenes.meshes import cylinder, ellipsoid, lathe, ring, unit_box
from model_training.scenes.world import collision_solids


@pytest.mark.parametrize(
    ("mesh", "volume", "tolerance"),
    [
        (unit_box(), 1.0, 1e-12),
        (cylinder(), np.pi / 4, 0.01),
        (ellipsoid(), np.pi / 6, 0.03),
        (lathe(((0, 0), (1, 0), (0, 1))), np.pi / 12, 0.01),
    ],
)
def test_unit_shapes_enclose_their_volume_with_faces_outwards(mesh, volume, tolerance):
    assert mesh.volume == pytest.approx(volume, rel=tolerance)


@pytest.mark.parametrize(
    "mesh", [unit_box(), cylinder(), ellipsoid(), ring(0.2), lathe(((0, 0), (1, 0), (1, 1), (0, 1)))]
)
def test_unit_shapes_are_closed(mesh):
    # Once creases are sewn, every edge is walked once in each direction.
    _, index = np.unique(np.round(mesh.vertices, 9), axis=0, return_inverse=True)
    index = index.ravel()
    edges = Counter()
    for a, b, c in index[mesh.faces]:
        for edge in ((a, b), (b, c), (c, a)):
            if edge[0] != edge[1]:
                edges[(int(edge[0]), int(edge[1]))] += 1
    assert all(edges[(b, a)] == count for (a, b), count in edges.items())


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_category_gives_objects_of_its_size_standing_on_the_ground(name):
    category, rng = CATALOGUE[name], np.random.default_rng(5)
    for _ in range(6):
        design = draw_design(category, rng)
        assert design.low[2] == pytest.approx(0.0, abs=0.004)
        assert design.size[0] <= category.width_m[1] * 1.15
        assert design.size[0] >= category.width_m[0] * 0.85
        assert np.abs(design.low[:2] + design.size[:2] / 2).max() < 0.1 * design.size.max()
        assert design.color in COLOR_NAMES
        assert all(piece.mesh.volume > 0 for piece in design.pieces)


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_what_collides_is_about_as_large_as_what_is_seen(name):
    design = draw_design(CATALOGUE[name], np.random.default_rng(2))
    tops = []
    for piece in design.pieces:
        for solid in collision_solids(piece, round_body=design.category.shape == "ball"):
            lean = abs(solid.rotation[2, 2])
            round_reach = solid.size[-1] * lean + solid.size[0] * np.sqrt(max(1 - lean**2, 0))
            upright = {"sphere": solid.size[0], "cylinder": round_reach, "ellipsoid": solid.size[-1]}
            reach = upright.get(solid.kind) or float((np.abs(solid.rotation) @ np.asarray(solid.size))[2])
            tops.append(solid.center[2] + reach)
    if design.category.name not in ("plant", "potted plant"):  # leaves are soft
        assert max(tops) == pytest.approx(design.low[2] + design.size[2], abs=0.01 + 0.03 * design.size[2])


def test_the_catalogue_has_loose_objects_and_furniture_enough():
    roles = Counter(category.role for category in CATALOGUE.values())
    assert roles["object"] >= 12 and roles["furniture"] >= 5
    wanted = {
        "box",
        "book",
        "can",
        "bottle",
        "mug",
        "bowl",
        "ball",
        "carton",
        "shelf",
        "chair",
        "table",
        "lamp",
        "plant",
    }
    assert wanted <= set(CATALOGUE)


def test_paints_lie_in_the_range_of_their_word():
    rng = np.random.default_rng(0)
    for word, limits in COLOR_RANGES.items():
        for _ in range(5):
            assert limits.value[0] - 1e-9 <= max(draw_paint(word, rng)) <= limits.value[1] + 1e-9
