"""What words mean: every expression that the grammar knows, with its spellings, as one table of lexemes.

An entry is a short pattern: ``a/b`` is either word, ``[x]`` may be missing. The longest entry that fits wins.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

from n3d_ros.scene.questions.patterns import Lexeme
from n3d_ros.scene.questions.question import Quantity, Relation
from n3d_ros.scene.questions.words import Word

_SIDE = "[the] {0} [hand] [side/sides/part/end]"
_RELATIONS: dict[Relation, tuple[str, ...]] = {
    Relation.LEFT: ("to/on/at/in/toward [the] [far/immediate/direct] left [hand] [side] of", "to [the] left from",
        "left [hand] [side] of/from", "leftward of"),
    Relation.RIGHT: ("to/on/at/in/toward [the] [far/immediate/direct] right [hand] [side] of", "to [the] right from",
        "right [hand] [side] of/from", "rightward of"),
    Relation.FRONT: ("in/at/on [the] front [side] of", "in front from", "ahead of", "forward of", "in advance of",
        "on/in [the] foreground of", "to/toward [the] front of"),
    Relation.BEHIND: ("behind [of]", "in/at/on/to/toward [the] back [side] of", "in/at/on/to [the] rear [side] of",
        "beyond", "past", "back of", "at the backside of", "on the far side of", "in [the] background of"),
    Relation.ABOVE: ("above", "over", "over top of", "higher up than"),
    Relation.BELOW: ("below", "lower down than"),
    Relation.UNDER: ("under", "underneath [of]", "beneath"),
    Relation.ON: ("on", "on [the] top of", "at [the] top of", "atop [of]", "upon", "onto", "on/upon [the] surface of",
        "on to"),
    Relation.INSIDE: ("in", "inside [of]", "within", "into", "in [the] inside of", "in to"),
    Relation.NEXT_TO: (
        "next to", "beside", "near [to]", "nearby [to]", "close to", "close by", "by", "adjacent to", "alongside [of]",
        "around", "in/within [the] vicinity of", "at/to/on/by [the/one] side of", "right beside/by", "right next to",
            "at", "surrounding",
        "in/within [the] neighbourhood of", "in/within [the] proximity of/to", "close beside", "against",
    ),
    Relation.BETWEEN: ("between", "in between", "in [the] middle of", "in [the] space between", "amid",
        "midway between", "halfway between"),
}  # fmt: skip
_RELATION_WORDS = {
    Relation.INSIDE: "in", Relation.ON: "on", Relation.NEXT_TO: "by", Relation.BETWEEN: "between",
    Relation.BEHIND: "behind", Relation.ABOVE: "above",
}  # fmt: skip
"""What patterns call an expression of several words by."""
_STRESSED = ("directly", "right", "just", "immediately", "straight", "exactly", "somewhere")  # before a relation
_SIDES: dict[Relation, tuple[str, ...]] = {
    Relation.LEFT: ("to/on/at/toward/in [the] [far] left [hand] [side/part/half]", "leftward", "on [the] left side"),
    Relation.RIGHT: ("to/on/at/toward/in [the] [far] right [hand] [side/part/half]", "rightward"),
    Relation.FRONT: ("in [the] front", "in [the] foreground", "at [the] front", "to/toward the front", "up front",
        "ahead", "straight ahead"),
    Relation.BEHIND: ("in/at [the] back", "in [the] background", "at/in/to/toward the rear",
        "at/in/to/toward the back"),
    Relation.ABOVE: ("at/on/toward [the] top", "higher up", "on top", "overhead", "up top"),
    Relation.BELOW: ("at/on/toward [the] bottom", "lower down", "down below", "underneath it all"),
}  # fmt: skip
_MY_SIDES: dict[Relation, tuple[str, ...]] = {
    Relation.LEFT: ("to/on/at/toward/in my/your/our left [hand] [side]", "left of me/you/us"),
    Relation.RIGHT: ("to/on/at/toward/in my/your/our right [hand] [side]", "right of me/you/us"),
    Relation.BEHIND: ("behind my/your/our back",),
}  # fmt: skip

_H, _W, _D, _L, _T, _V = (
    Quantity.HEIGHT, Quantity.WIDTH, Quantity.DEPTH, Quantity.LENGTH, Quantity.THICKNESS, Quantity.VOLUME,
)  # fmt: skip
_SCALES: tuple[tuple[str, Quantity, bool], ...] = (
    ("tall taller tallest", _H, True), ("short shorter shortest", _H, False),
    ("wide wider widest", _W, True), ("broad broader broadest", _W, True), ("fat fatter fattest", _W, True),
    (
        "narrow narrower narrowest",
        _W, False), ("thin thinner thinnest", _W, False), ("slim slimmer slimmest", _W, False,
    ),
    ("slender slenderer slenderest", _W, False), ("skinny skinnier skinniest", _W, False),
    ("thick thicker thickest", _T, True),
    ("deep deeper deepest", _D, True), ("shallow shallower shallowest", _D, False),
    ("long longer longest", _L, True), ("lengthy lengthier lengthiest", _L, True),
    ("big bigger biggest", _V, True), ("large larger largest", _V, True), ("bulky bulkier bulkiest", _V, True),
    (
        "huge huger hugest",
        _V, True), ("sizable sizabler greatest", _V, True), ("voluminous greater sizablest", _V, True,
    ),
    ("small smaller smallest", _V, False), ("little littler littlest", _V, False), ("tiny tinier tiniest", _V, False),
    ("compact compacter compactest", _V, False),
    ("high higher highest", Quantity.ELEVATION, True), ("elevated - uppermost", Quantity.ELEVATION, True),
    ("low lower lowest", Quantity.ELEVATION, False),
    ("far farther farthest", Quantity.DISTANCE, True), ("- further furthest", Quantity.DISTANCE, True),
    ("distant - furthermost", Quantity.DISTANCE, True), ("remote remoter remotest", Quantity.DISTANCE, True),
    ("close closer closest", Quantity.DISTANCE, False), ("near nearer nearest", Quantity.DISTANCE, False),
    ("new newer newest", Quantity.AGE, False), ("- - latest", Quantity.AGE, False),
)  # fmt: skip
"""Adjective, comparative and superlative; what they compare; whether they mean much of it."""
_MORE_SUPERLATIVES: tuple[tuple[str, Quantity, bool], ...] = (
    (
        "leftmost",
        Quantity.LATERAL, False), ("left most", Quantity.LATERAL, False), ("rightmost", Quantity.LATERAL, True,
    ),
    ("right most", Quantity.LATERAL, True),
    (
        "farthest/furthest/most [to] [the] [far] left",
        Quantity.LATERAL, False), ("farthest/furthest/most [to] [the] right", Quantity.LATERAL, True,
    ),
    (
        "farthest/furthest/most on/to the left [side]",
        Quantity.LATERAL, False), ("farthest/furthest/most on/to the right [side]", Quantity.LATERAL, True,
    ),
    ("far left", Quantity.LATERAL, False), ("far right", Quantity.LATERAL, True),
    ("topmost/uppermost/upmost", Quantity.ELEVATION, True), ("top most", Quantity.ELEVATION, True),
    ("bottommost/lowermost/bottom-most", Quantity.ELEVATION, False), ("bottom most", Quantity.ELEVATION, False),
    ("highest up", Quantity.ELEVATION, True), ("lowest down", Quantity.ELEVATION, False),
    ("frontmost/foremost/front-most", Quantity.DISTANCE, False), ("front most", Quantity.DISTANCE, False),
    ("farthest/furthest/most back", Quantity.DISTANCE, True), ("rearmost/hindmost/backmost", Quantity.DISTANCE, True),
    (
        "farthest/furthest/most [to] [the] front",
        Quantity.DISTANCE, False), ("farthest/furthest/most forward", Quantity.DISTANCE, False,
    ),
    (
        "farthest/furthest/most away/behind",
        Quantity.DISTANCE, True), ("farthest/furthest/most in the back", Quantity.DISTANCE, True,
    ),
    ("most recently seen", Quantity.AGE, False), ("most recent", Quantity.AGE, False),
)  # fmt: skip
_MORE_COMPARATIVES: tuple[tuple[str, Relation], ...] = (
    ("more/farther/further [over] [to/on/toward] [the] left [hand] [side]", Relation.LEFT),
    ("more/farther/further [over] [to/on/toward] [the] right [hand] [side]", Relation.RIGHT),
    (
        "farther/further/more [up/in/to/toward/at] [the] front",
        Relation.FRONT), ("farther/further/more forward", Relation.FRONT,
    ),
    (
        "farther/further/more [in/to/toward/at] [the] back",
        Relation.BEHIND), ("farther/further/more behind", Relation.BEHIND,
    ),
)  # fmt: skip

_QUANTITIES: dict[Quantity, str] = {
    Quantity.WIDTH: "width/widths/breadth, horizontal size/dimension/extent/length/measurement, horizontal width",
    Quantity.HEIGHT:
        "height/heights/tallness/stature, vertical size/dimension/extent/length/measurement, vertical height",
    Quantity.DEPTH: "depth/depths",
    Quantity.LENGTH: "length/lengths",
    Quantity.THICKNESS: "thickness",
    Quantity.VOLUME: "volume/volumes/bulk/capacity",
    Quantity.FOOTPRINT:
        "footprint, footprint area, base area, ground/floor/surface area, floor/ground/table/desk/shelf space, area",
    Quantity.DIAMETER: "diameter/diameters, width across",
    Quantity.SIZE:
        "size/sizes/dimensions/dimension/measurements/proportions/extents/extent, physical size/dimensions, "
        "overall size/dimensions",
    Quantity.POSITION:
        "position/positions/location/locations/coordinates/place/placement/spot, spatial position/location, 3d "
        "position/location/coordinates",
    Quantity.ELEVATION: "elevation/altitude, height above/off/over [the] floor/ground",
    Quantity.DISTANCE:
        "distance/distances/range/separation/proximity, straight line distance, euclidean distance, direct "
        "distance, spatial distance, straight-line distance",
    Quantity.HORIZONTAL_DISTANCE:
        "horizontal distance/gap/separation/spacing/offset, lateral distance/gap/separation/spacing/offset, "
        "distance horizontally, horizontal space",
    Quantity.VERTICAL_DISTANCE: "vertical distance/gap/separation/spacing/offset, vertical space",
    Quantity.GAP:
        "gap/gaps/clearance/spacing, free space/gap/room, empty space/gap/room, open space/gap/room, space/room",
    Quantity.COLOR: "colour/colours/shade/hue",
    Quantity.SHAPE: "shape/form",
    Quantity.NAME: "name/names",
}  # fmt: skip

_PLAIN: dict[str, str] = {
    "be": "is are was were be been being am", "'s": "'s",
    "do": "do does did",
    "have": "have has had having got",
    "can": "can could will would shall should may might must",
    "see": "see sees saw seen observe observed notice noticed detect detected spot spotted recognise recognize "
        "perceive "
    "perceived seeing",
    "appear": "appear appears appeared seem seems seemed look looks",
    "lie": "lie lies lay stand stands stood sit sits sat hang hangs hung rest rests rested hide hides come comes "
        "reside "
    "resides occur belong remain remains stay stays live lives",
    "located": "located lying laying standing sitting hanging resting placed positioned situated put stored kept "
    "leaning found hiding hidden laid set arranged stacked parked mounted seated visible present available stationed",
    "what": "what whatever", "which": "which", "where": "where whereabouts", "how": "how", "when": "when", "who":
        "who whom",
    "why": "why", "whose": "whose", "and": "and &", "or": "or nor vs versus", "not": "not n't", "than": "than",
    "as": "as", "of": "of", "from": "from", "to": "to toward", "if": "if whether when-if", "with": "with",
    "without": "without", "for": "for", "there": "there", "here": "here", "away": "away", "apart": "apart", "off":
        "off",
    "up": "up", "down": "down", "more": "more", "less": "less fewer lesser", "most": "most", "least": "least",
    "same": "same identical", "equal": "equal equals alike", "equally": "equally", "very": "very", "too": "too",
    "compared": "compared comparing comparison relative respect relation regard regards contrast",
    "leave": "leave left-behind", "empty": "unoccupied", "many": "many", "much": "much", "number":
        "number amount quantity total", "count": "count", "any": "any",
    "only": "only", "left": "left", "right": "right", "front": "front", "back": "back rear", "top": "top", "bottom":
        "bottom",
    "middle": "middle centre", "side": "side sides", "find": "find locate identify discover search",
    "show": "show shows point pinpoint highlight mark", "list": "list name enumerate mention", "describe":
        "describe characterise characterize explain",
    "tell": "tell say", "give": "give provide offer", "measure":
        "measure calculate compute determine estimate evaluate gauge assess",
    "sort": "sort order rank arrange put-in-order sequence", "compare": "compare",
    "fit": "fit fits roll rolls fitted pass passes squeeze squeezes go goes slide slides slip slips",
    "move": "move moved moves moving shift shifted", "change":
        "change happen happened happens happening changed changes changing differ differs",
    "appeared": "appeared arrived added", "gone":
        "gone missing disappeared disappear disappears vanish vanished removed lost departed left-the-scene",
    "different": "different", "difference": "difference differences", "ago": "ago", "since": "since", "last": "last",
    "direction": "direction directions way heading bearing", "oclock": "oclock", "clock": "clock clockwise",
    "position": "position", "get": "get gets getting", "hour": "hour hour-hand",
    "facing": "facing face faces", "looking":
        "looking watching viewing gazing",
    "none": "none",
    "except": "except excluding", "let": "let", "i": "i", "we": "we", "they": "they",
    "you": "you", "me": "me myself us", "it": "it itself", "them": "them", "hold":
        "hold holds holding contain contains containing",
    "carry": "carry carries carrying support supports supporting", "both": "both", "either": "either", "neither":
        "neither",
    "approximately": "approximately roughly", "exactly": "exactly precisely",
    "twice": "twice double", "half": "half", "times": "times", "ratio": "ratio", "exceed": "exceed exceeds",
    "among": "among amongst", "use": "occupy occupies take takes cover covers occupying taking",
    "about": "about concerning",
    "like": "like", "called": "called named labelled labeled", "kind": "kind type",
    "horizontally": "horizontally laterally sideways", "vertically": "vertically", "enough": "enough",
    "terms": "terms", "do-know": "know",
    "be-able": "able", "again": "again", "back-to": "returned", "at-all": "at-all",
    "does-else": "else", "cause": "because cause",
    "wearing": "wearing", "touch": "touch touching touches", "perspective":
        "perspective viewpoint pov vantage standpoint angle",
    "view": "view views viewed", "along": "along", "through": "through", "opposite": "opposite",
    "reverse": "reverse reversed inverse inverted flipped", "across": "across", "end": "end", "until": "until till",
        "ever": "ever",
    "before": "before", "after": "after", "during": "during", "while": "while", "ahead": "ahead", "outside": "outside",
    "axis": "axis", "yes": "yes", "no": "no", "true": "true", "false": "false",
    "a": "a an", "the": "the", "that": "that", "each": "each", "else": "else", "one": "one ones", "other":
        "other others", "this": "this", "these": "these", "those": "those", "my": "my our", "your": "your", "their":
        "their", "its": "its",
    "his": "his her", "some": "some", "every": "every", "all": "all", "another": "another",
    "so": "so", "but": "but", "except-for": "apart-from", "reach": "reach reachable", "imagine":
        "imagine picture-yourself", "suppose": "suppose assume", "assuming": "assuming", "next":
        "next", "everywhere": "everywhere",
    "say": "believe think guess reckon",
}  # fmt: skip
"""Function words: the word that patterns use, and all its spellings. None of them names a thing by itself."""

_PHRASES: dict[str, str] = {
    "which": "which one/ones, which of them, which of these [two/three/four] [objects/things/items], which of those, "
        "which of the two/three/four [objects/things/items], "
    "which one of them/these, which one of the two/three, which of the following [objects/items], what one, "
        "which of the two, who of the two, "
    "which between these, whichever",
    "what": "what else, what sort of object/thing/item, what kind of object/thing/item, what type of object/thing/item",
    "whats": "which ones, what all",
    "than": "compared to/with, in comparison to/with, relative to, when compared to/with, as compared to/with, as "
        "opposed to, in contrast to/with",
    "relative": "relative to, relatively to, with respect to, in relation to, with regard to, in reference to, with "
        "reference to, in respect to, in respect of",
    "how-far": "how far [away/off], how distant",
    "how-far-apart": "how far apart",
    "how-close": "how close, how near",
    "how-many": "how many, how much of",
    "what-time": "what time",
    "sort": "the order/ordering/ranking/sequence",
    "how-long-ago": "how long ago, how long since, how much time ago, how recently",
    "except": "except for, apart from, aside from, other than, with the exception of, excluding, but not, besides",
    "away-from": "away from",
    "clock-direction": "clock direction/directions/position/positions/angle/hour/heading/bearing, oclock, oclock "
        "direction/position, clock face direction/position, clock face, hour hand direction/position, clockwise "
        "direction/position, hour on the clock",
    "in-terms-of": "in terms of, in regard to, regarding, as regards, as for, with regards to",
    "in-order": "in order, in the order",
    "how-much": "by how much, how much",
    "how-many-times": "how many times, what factor, by what factor, how many fold",
    "number-of": "[the] [total] number of, [the] [total] amount of, [the] [total] quantity of, [the] count of, [the] "
        "total of, [the] total number of",
    "each-other":
        "each other, one another, from each other, from one another, to each other, to one another, with each "
        "other, of each other",
    "look-like": "look/looks like",
    "at-least": "at least, no less than, no fewer than, not less than, minimum of, a minimum of",
    "at-most": "at most, no more than, not more than, up to, maximum of, a maximum of",
    "more-than": "more than, greater than, in excess of,",
    "less-than": "less than, fewer than,",
    "the-same": "the same [exact], the identical, of the same, of equal, at the same, the very same, equal, of "
        "identical, of the very same",
    "point-of-view":
        "point of view, perspective, viewpoint, view point, vantage point, line of sight, viewing angle, view, "
        "standpoint, point of observation, frame of reference, eyes, view direction, viewing direction, pov",
    "among": "out of, from among",
    "last-time": "the last time, last time",
    "look-at": "look/looking/looks toward/at, looking to, facing toward/to",
    "facing-away-from": "facing away from, looking away from, with my/your back to/toward, turned away from",
    "opposite-side":
        "[the] opposite/other/reverse/far/back side/direction/end/perspective/viewpoint/view/angle/position, "
        "[the] back, [the] rear",
    "other-side-of": "[the] opposite/other/far side/end of",
    "a-lot": "a lot, lots",
    "last-seen": "last seen/observed/detected/spotted/noticed, seen/observed/spotted/detected last, most recently seen",
    "last-see": "last see/saw/observe/detect/notice/spot, lastly see",
    "depth-order": "[the] depth ordering/order/ranking/sequence, [the] order of depth, [the] order in depth",
    "next-one": "next in line",
    "at-stamp": "at [the] time/stamp/timestamp/moment, at time stamp",
    "free-of": "free of, clear of",
}  # fmt: skip
_ORDINALS = {
    word: n
    for n, words in enumerate(
        ("first 1st", "second 2nd", "third 3rd", "fourth 4th", "fifth 5th", "sixth 6th", "seventh 7th", "eighth 8th",
         "ninth 9th", "tenth 10th"), 1)
    for word in words.split()
}  # fmt: skip


def _spelled(entry: str) -> Iterator[tuple[str, ...]]:
    """All spellings of an entry."""
    choices = [
        (*((),) * part.startswith("["), *((one,) for one in part.strip("[]").split("/"))) for part in entry.split()
    ]
    for combination in itertools.product(*choices):
        yield tuple(word for part in combination for word in part)


def _entries() -> Iterator[tuple[str, Lexeme]]:
    for relation, entries in _RELATIONS.items():
        for entry in entries:
            yield entry, Lexeme(word=_RELATION_WORDS.get(relation, "rel:"), kind="rel", value=relation)
    for relation, entries in _SIDES.items():
        for entry in entries:
            yield entry, Lexeme(word="side:", kind="lateral", value=relation)
    for relation, entries in _MY_SIDES.items():
        for entry in entries:
            yield entry, Lexeme(word="my-side:", kind="lateral", value=relation)
    for words, quantity, most in _SCALES:
        for kind, word in zip(("scale", "cmp", "sup"), words.split(), strict=True):
            if word != "-":
                yield word, Lexeme(word=word, kind=kind, value=(quantity, most))
    for entry, quantity, most in _MORE_SUPERLATIVES:
        yield entry, Lexeme(word="most:", kind="sup", value=(quantity, most))
    for entry, relation in _MORE_COMPARATIVES:
        yield entry, Lexeme(word=f"more:{relation.name}", kind="shift", value=relation)
    for quantity, listed in _QUANTITIES.items():
        for entry in listed.split(", "):
            yield entry, Lexeme(word=quantity.value, kind="quantity", value=quantity)
    for word, listed in _PHRASES.items():
        for entry in listed.split(", "):
            yield entry, Lexeme(word=word)
    for word, listed in _PLAIN.items():
        for entry in listed.split():
            yield entry, Lexeme(word=word)
    for word, n in _ORDINALS.items():
        yield word, Lexeme(word="nth:", kind="ordinal", value=n)


@cache
def table() -> dict[tuple[str, ...], Lexeme]:
    """Spelling -> lexeme; the first entry of a spelling counts."""
    found: dict[tuple[str, ...], Lexeme] = {}
    for entry, lexeme in _entries():
        for spelling in _spelled(entry):
            names_itself = len(spelling) == 1 and lexeme.kind != "word"
            found.setdefault(spelling, replace(lexeme, word=spelling[0]) if names_itself else lexeme)
    for spelling, lexeme in list(found.items()):
        if lexeme.kind == "rel":
            for stress in _STRESSED:
                found.setdefault((stress, *spelling), lexeme)
    return found


@cache
def _longest() -> int:
    return max(map(len, table()))


def expression_at(words: Sequence[Word], place: int) -> tuple[int, Lexeme] | None:
    """The longest known expression at a place.

    Args:
        words: of the question.
        place: where it begins.

    Returns:
        How many words it takes, and its lexeme; None when the word is not known.
    """
    known = table()
    for length in range(min(_longest(), len(words) - place), 0, -1):
        lexeme = known.get(tuple(word.plain for word in words[place : place + length]))
        if lexeme is not None:
            return length, lexeme
    return None
