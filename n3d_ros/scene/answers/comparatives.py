"""Comparing words for each quantity: more, less, and as much."""

from __future__ import annotations

from collections.abc import Mapping

from n3d_ros.scene.questions.question import Quantity

COMPARED_WITH: Mapping[Quantity, tuple[str, str, str]] = {
    Quantity.WIDTH: ("wider", "narrower", "as wide"),
    Quantity.HEIGHT: ("taller", "shorter", "as tall"),
    Quantity.DEPTH: ("deeper", "less deep", "as deep"),
    Quantity.LENGTH: ("longer", "shorter", "as long"),
    Quantity.THICKNESS: ("thicker", "thinner", "as thick"),
    Quantity.VOLUME: ("bigger", "smaller", "as big"),
    Quantity.SIZE: ("bigger", "smaller", "as big"),
    Quantity.FOOTPRINT: ("larger seen from above", "smaller seen from above", "as large seen from above"),
    Quantity.DIAMETER: ("larger in diameter", "smaller in diameter", "as large in diameter"),
    Quantity.DISTANCE: ("farther away", "closer", "as far away"),
    Quantity.HORIZONTAL_DISTANCE: ("horizontally farther away", "horizontally closer", "horizontally as far away"),
    Quantity.VERTICAL_DISTANCE: ("vertically farther away", "vertically closer", "vertically as far away"),
    Quantity.GAP: ("separated by more free space", "separated by less free space", "separated by as much free space"),
    Quantity.ELEVATION: ("higher", "lower", "as high"),
    Quantity.LATERAL: ("farther right", "farther left", "as far right"),
    Quantity.AGE: ("seen longer ago", "seen more recently", "seen as long ago"),
    Quantity.MOVED: ("moved farther", "moved less far", "moved as far"),
}
"""Quantity -> words for more, less and equal."""

SUPERLATIVES: Mapping[Quantity, tuple[str, str]] = {
    Quantity.WIDTH: ("widest", "narrowest"),
    Quantity.HEIGHT: ("tallest", "shortest"),
    Quantity.DEPTH: ("deepest", "least deep"),
    Quantity.LENGTH: ("longest", "shortest"),
    Quantity.THICKNESS: ("thickest", "thinnest"),
    Quantity.VOLUME: ("largest", "smallest"),
    Quantity.SIZE: ("largest", "smallest"),
    Quantity.FOOTPRINT: ("largest seen from above", "smallest seen from above"),
    Quantity.DIAMETER: ("largest in diameter", "smallest in diameter"),
    Quantity.DISTANCE: ("farthest", "closest"),
    Quantity.HORIZONTAL_DISTANCE: ("horizontally farthest", "horizontally closest"),
    Quantity.VERTICAL_DISTANCE: ("vertically farthest", "vertically closest"),
    Quantity.GAP: ("most separate", "least separate"),
    Quantity.ELEVATION: ("highest", "lowest"),
    Quantity.LATERAL: ("rightmost", "leftmost"),
    Quantity.AGE: ("seen longest ago", "seen most recently"),
    Quantity.MOVED: ("moved farthest", "moved least"),
}
"""Quantity -> words for most and least."""

MEASURED_AS: Mapping[Quantity, str] = {
    Quantity.WIDTH: "{} wide",
    Quantity.HEIGHT: "{} tall",
    Quantity.DEPTH: "{} deep",
    Quantity.LENGTH: "{} long",
    Quantity.THICKNESS: "{} thick",
    Quantity.DIAMETER: "{} in diameter",
}
"""Quantity -> how a length of it is said of a thing: "42 cm tall"."""
