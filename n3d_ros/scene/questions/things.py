"""Which things are meant: noun phrases with what follows them, "the mug that is left of the box on the table"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from n3d_ros.scene.phrases import Phrase
from n3d_ros.scene.questions.lengths import Length
from n3d_ros.scene.questions.noun_phrases import NounPhrase
from n3d_ros.scene.questions.patterns import Grammar, Reading, Source
from n3d_ros.scene.questions.question import Extreme, Place, Quantity, Relation, SizeBound, Thing

MAX_NESTED = 4  # places in places: "the mug on the book on the table beside the box"
MAX_SAID_OF = 4  # places, bounds and the like behind one noun


def add_things(grammar: Grammar) -> None:
    """Adds the rules for things: ``bare``, ``thing``, ``things``, ``place``, ``relation``, ``bound``, ``extreme_of``.

    Args:
        grammar: what they are added to.
    """
    grammar.add_reader("bare", _bare, "np", "extreme")
    grammar.add_reader("none", _none, "np")
    grammar.add_reader("not_one", _not_one, "np")
    grammar.add_reader("always", _always)
    grammar.add_reader("thing", _thing, "np", "extreme")
    grammar.add("counted_from", [
        ("from/on (the|my)? left (side)?", lambda _: (Quantity.LATERAL, False)), ("from/on (the|my)? right (side)?",
            lambda _: (Quantity.LATERAL, True)),
        ("from the? (front|camera)", lambda _: (Quantity.DISTANCE, False)), ("from {you}",
            lambda _: (Quantity.DISTANCE, False)),
        ("from the? back", lambda _: (Quantity.DISTANCE, True)), ("from the? top", lambda _: (Quantity.ELEVATION,
            True)),
        ("from the? bottom", lambda _: (Quantity.ELEVATION, False)), ("{r:lateral}", lambda k: (Quantity.LATERAL, k[
            "r"] is Relation.RIGHT) if k["r"] in (Relation.LEFT, Relation.RIGHT) else None),
    ])  # fmt: skip
    grammar.add("you", [("viewer", lambda _: True), ("{viewer}", lambda _: True), ("the {viewer}", lambda _: True),
                        ("me/you", lambda _: True), ("my/your position", lambda _: True), ("where i/you/we be/lie",
                            lambda _: True),
                        ("my/your {quantity}", lambda _: True), ("here", lambda _: True)])  # fmt: skip
    grammar.add("things_after", [
        ("(, and/or|,|and/or) {a:thing} {m:things_after}", lambda k: (k["a"], *k["m"])),
        ("(, and/or|,|and/or) {a:thing}", lambda k: (k["a"],)),
    ])  # fmt: skip
    grammar.add("things", [
        ("{a:thing} {m:things_after}", lambda k: (k["a"], *k["m"]) if len(k["m"]) > 1 else None),
        ("both? {a:thing} ,? and/or {b:thing}", _all),
        ("either {a:thing} or {b:thing}", _all),
        ("{a:thing} , {b:thing}", _all),
    ])  # fmt: skip
    grammar.add("pair", [("both? {a:thing} (and|to|or) {b:thing}", _all)])
    grammar.add("any_thing", [("{a:bare}", lambda k: k["a"] if k["a"].is_any and k["a"].phrase.noun is None else None)])
    grammar.add("relation", [("{r:rel}", lambda k: k["r"]), ("{r:shift} (of|than|from)", lambda k: k["r"])])
    grammar.add("closer", [("{c:cmp}", lambda k: True if k["c"] == (Quantity.DISTANCE, False) else None)])
    grammar.add("place", [
        ("between {p:pair}", lambda k: Place(relation=Relation.BETWEEN, references=k["p"])),
        ("between {a:thing}", _between_all),
        ("{r:relation} {you}", lambda k: _by_me(k["r"])),
        ("{r:relation} {b:thing}", lambda k: _placed(k["r"], (k["b"],))),
        ("within {l:length} (of|from) {b:thing}", lambda k: _near((k["b"],), k["l"])),
        ("within {l:length} (of|from) {you}", lambda k: _near((), k["l"])),
        ("(less-than|at-most) {l:length} (away-from|from|of) {b:thing}", lambda k: _near((k["b"],), k["l"])),
        ("(less-than|at-most) {l:length} (away-from|from|of) {you}", lambda k: _near((), k["l"])),
        ("{c:closer} than {l:length} (to|from) {b:thing}", lambda k: _near((k["b"],), k["l"])),
        ("{c:closer} than {l:length} (to|from) {you}", lambda k: _near((), k["l"])),
        ("{r:lateral}", lambda k: _by_me(k["r"])),
        ("{r:lateral} of {b:thing}", lambda k: _placed(k["r"], (k["b"],))),
    ])  # fmt: skip
    grammar.add("bound", [
        (
            "{c:cmp} than {l:length}",
            _bound_by_length), ("less {c:scale} than {b:bare}", lambda k: _bound_by_thing(k, less=True),
        ),
        ("{c:cmp} (away|up|off)? than {b:bare}", _bound_by_thing),
        ("more {c:scale} than {b:bare}", _bound_by_thing),
        ("{s:limited} {l:length} {c:scale}", _bound_by_sense), ("{s:limited} {l:length} {c:far_from}", _bound_by_sense),
        ("{s:limited} {l:length} in? {q:quantity}", _bound_by_sense),
        (
            "with a? {q:quantity} {s:limited} {l:length}",
            _bound_by_sense), ("with a? {q:quantity} of {s:limited} {l:length}", _bound_by_sense,
        ),
        ("{c:cmp} (away|up|off)? than {l:length}", _bound_by_length),
        ("{c:cmp} (away-from|from|to) {you} than {b:bare}", _bound_by_thing),
    ])  # fmt: skip
    grammar.add(
        "far_from",
        [
            ("away", lambda _: (Quantity.DISTANCE, True)),
            ("(away-from|from) {you}", lambda _: (Quantity.DISTANCE, True)),
        ],
    )
    grammar.add("sense", [("more-than", lambda _: True), ("less-than", lambda _: False), ("over/above", lambda _: True),
                          ("under/below", lambda _: False), ("at-least", lambda _: True), ("at-most",
                              lambda _: False)])  # fmt: skip
    grammar.add("limited", [("at-least", lambda _: (True, True)), ("at-most", lambda _: (False, True)),
                            ("{s:sense}", lambda k: (k["s"], False))])  # fmt: skip
    grammar.add("extreme_of", [
        ("{x:any_extreme} (away|up|down)? (to|from|away-from) {you}", lambda k: k["x"]),
        ("{x:any_extreme} (away|up|down)? (to|from|away-from)? {r:bare}", lambda k: _from_thing(k["x"], k["r"])),
        ("{x:any_extreme} (away|up|down|off)?", lambda k: k["x"]),
    ])  # fmt: skip
    grammar.add("any_extreme", [
        ("{p:extreme}", lambda k: k["p"].thing.extreme),
        ("the? most {s:scale}", lambda k: Extreme(quantity=k["s"][0], most=k["s"][1])),
        ("the? least {s:scale}", lambda k: Extreme(quantity=k["s"][0], most=not k["s"][1])),
        ("with? (the|a)? {s:sup} {q:quantity}", lambda k: _of_quantity(k["s"], k["q"])),
        (
            "with? {p:extreme} {q:quantity}",
            lambda k: _of_quantity((k["p"].thing.extreme.quantity, k["p"].thing.extreme.most), k["q"]),
        ),
    ])  # fmt: skip


def _all(kept: dict[str, Any]) -> tuple[Thing, ...]:
    return tuple(kept[name] for name in sorted(kept))


def _by_me(relation: Relation) -> Place | None:
    return None if relation is Relation.BETWEEN else Place(relation=relation)


def _placed(relation: Relation, references: tuple[Thing, ...]) -> Place | None:
    return None if relation is Relation.BETWEEN else Place(relation=relation, references=references)


def _between_all(kept: dict[str, Any]) -> Place | None:
    """Between one plural thing: "between the two boxes"."""
    reference: Thing = kept["a"]
    return Place(relation=Relation.BETWEEN, references=(reference,)) if reference.phrase.is_plural else None


def _near(references: tuple[Thing, ...], length: Length) -> Place | None:
    if length.power != 1:
        return None
    return Place(relation=Relation.NEXT_TO, references=references, within_m=length.metres)


def _fits(quantity: Quantity, power: int) -> bool:
    """Whether a bound of so many dimensions can bound the quantity."""
    return power == {Quantity.VOLUME: 3, Quantity.FOOTPRINT: 2}.get(quantity, 1)


def _bound_by_length(kept: dict[str, Any]) -> SizeBound | None:
    (quantity, much), length = kept["c"], kept["l"]
    if quantity is Quantity.VOLUME and length.power == 1:
        quantity = Quantity.LENGTH  # "larger than 20 cm" is said of the longest edge
    if not _fits(quantity, length.power):
        return None
    return SizeBound(quantity=quantity, more=much, bound=length.metres)


def _bound_by_sense(kept: dict[str, Any]) -> SizeBound | None:
    quantity = kept["q"] if "q" in kept else kept["c"][0]
    length: Length = kept["l"]
    if quantity is Quantity.ELEVATION:
        quantity = Quantity.HEIGHT  # "more than 20 cm high"
    if not _fits(quantity, length.power):
        return None
    more, inclusive = kept["s"]
    return SizeBound(quantity=quantity, more=more, bound=length.metres, inclusive=inclusive)


def _bound_by_thing(kept: dict[str, Any], *, less: bool = False) -> SizeBound:
    quantity, much = kept["c"]
    return SizeBound(quantity=quantity, more=much is not less, reference=kept["b"])


def _from_thing(extreme: Extreme, reference: Thing) -> Extreme | None:
    if extreme.quantity is not Quantity.DISTANCE or extreme.reference is not None:
        return None
    return replace(extreme, reference=reference)


def _of_quantity(scale: tuple[Quantity, bool], quantity: Quantity) -> Extreme:
    return Extreme(quantity=quantity, most=scale[1])


# --- nouns and what is said of them -----------------------------------------------------------------------------------


def _bare(source: Source, place: int) -> Iterator[Reading]:
    """A noun phrase without what follows it."""
    lexeme = source.at(place)
    if lexeme is not None and lexeme.kind in ("np", "extreme"):
        phrase: NounPhrase = lexeme.value
        if phrase.determiner not in ("none", "no", "most"):
            yield place + 1, phrase.thing


def _none(source: Source, place: int) -> Iterator[Reading]:
    """As in "None of the boxes": the boxes."""
    lexeme = source.at(place)
    if lexeme is not None and lexeme.kind == "np" and lexeme.value.determiner == "none":
        yield place + 1, lexeme.value.thing


def _not_one(source: Source, place: int) -> Iterator[Reading]:
    """As in "No box", "none of the boxes", "nothing": any one, in a question that is negated."""
    lexeme = source.at(place)
    if lexeme is not None and lexeme.kind == "np" and lexeme.value.determiner in ("none", "no"):
        thing = replace(lexeme.value.thing, is_any=True, is_each=False)
        yield from ((end, one) for end, one in _said_of(source, place + 1, thing, 1))


def _always(_source: Source, place: int) -> Iterator[Reading]:
    """Reads nothing, so that a pattern can keep True."""
    yield place, True


def some_thing(source: Source, place: int) -> Iterator[Reading]:
    """An indefinite noun phrase with all that is said of it, and the phrase as such.

    Args:
        source: what is read.
        place: where.

    Yields:
        The end, the noun phrase and the thing; also for "no box".
    """
    lexeme = source.at(place)
    if lexeme is not None and lexeme.kind == "np" and lexeme.value.is_indefinite:
        for end, thing in _with_said(source, place, lexeme.value):
            yield end, (lexeme.value, thing)


def _thing(source: Source, place: int) -> Iterator[Reading]:
    """A noun phrase with all that is said of it, longest first."""
    bare = list(_bare(source, place))
    if not bare:
        return
    yield from _with_said(source, place, source.lexemes[place].value)


def _with_said(source: Source, place: int, phrase: NounPhrase) -> list[Reading]:
    found = list(_said_of(source, place + 1, phrase.thing, MAX_SAID_OF))
    if phrase.rank is not None:  # "the second box from the left"
        found = list(_ranked(source, place + 1, phrase.thing, phrase.rank))
    return sorted(found, key=lambda reading: -reading[0])


def _ranked(source: Source, place: int, thing: Thing, rank: int) -> Iterator[Reading]:
    for end, (quantity, most) in source.read("counted_from", place):
        yield end, replace(thing, extreme=Extreme(quantity=quantity, most=most, rank=rank))


def _said_of(source: Source, place: int, thing: Thing, more: int) -> Iterator[Reading]:
    """The thing with and without each further thing said of it."""
    yield place, thing
    if more == 0:
        return
    for end, said in source.read("said", place):
        source.budget.spend()
        larger = _with(thing, said)
        if larger is not None:
            yield from _said_of(source, end, larger, more - 1)


def _nested(thing: Thing) -> int:
    """How many places are in one another."""
    return max((1 + _nested(one) for place in thing.places for one in place.references), default=0)


def _with(thing: Thing, said: Any) -> Thing | None:
    if isinstance(said, tuple) and said[0] == "and":
        return _with(thing, said[1]) if thing.places else None
    if isinstance(said, Place):
        if any(_nested(one) >= MAX_NESTED for one in said.references):
            return None
        return replace(thing, places=(*thing.places, said))
    if isinstance(said, SizeBound):
        return replace(thing, bounds=(*thing.bounds, said))
    if isinstance(said, Extreme):
        if thing.extreme is None:
            return replace(thing, extreme=said)
        is_incomplete = thing.extreme.quantity is said.quantity and thing.extreme.reference is None
        return replace(thing, extreme=replace(thing.extreme, reference=said.reference)) if is_incomplete else None
    if isinstance(said, tuple) and said[0] == "from":
        extreme = thing.extreme
        if extreme is None or extreme.quantity is not Quantity.DISTANCE or extreme.reference is not None:
            return None
        return replace(thing, extreme=replace(extreme, reference=said[1]) if said[1] else extreme)
    if isinstance(said, tuple) and said[0] == "of":
        if thing.extreme is None or thing.phrase.words or thing.phrase.noun:
            return None
        group: Thing = said[1]
        return replace(group, extreme=thing.extreme) if group.extreme is None else None
    if isinstance(said, tuple) and said[0] == "except" and not thing.is_other:
        return replace(thing, is_other=True, others_of=said[1])
    if isinstance(said, tuple) and said[0] == "colors":
        return colored(thing, said[1])
    if isinstance(said, tuple) and said[0] == "bounds":
        return replace(thing, bounds=(*thing.bounds, *said[1]))
    return None


def colored(thing: Thing, colors: tuple[str, ...]) -> Thing | None:
    """The same thing with colours said behind it: "the box that is red".

    Args:
        thing: as read.
        colors: its further colours.

    Returns:
        The thing; None when the words are too many for a name.
    """
    text = f"{' '.join(colors)} {thing.text}"
    phrase = Phrase.parse(text)
    if phrase is None:
        return None
    return replace(thing, phrase=replace(phrase, is_plural=thing.phrase.is_plural), text=text)


def add_said(grammar: Grammar) -> None:
    """Adds the rule ``said``: everything that may follow a noun.

    Args:
        grammar: what it is added to.
    """
    relative = "(,? (that|which|who) (be|do)?)? (located|lie|appear)? be? located? "
    grammar.add("said", [
        (relative + "{p:place}", lambda k: k["p"]),
        (relative + "{b:bound}", lambda k: k["b"]),
        ("(,? (that|which) (be|lie|appear|located))? {x:extreme_of}", lambda k: k["x"]),
        ("(to|from|away-from) {you}", lambda _: ("from", None)),
        ("(to|from|away-from) {b:bare}", lambda k: ("from", k["b"])),
        ("of {b:thing}", lambda k: ("of", k["b"])),
        ("except {b:thing}", lambda k: ("except", k["b"])),
        ("(that|which) (you|we|i) can? see", lambda _: ("bounds", ())),
        ("(you|we|i) can? see", lambda _: ("bounds", ())),
        ("(that|which) be (there|here|located)", lambda _: ("bounds", ())),
            ("(,? (that|which|who) be)? {c:hue}", lambda k: ("colors", k["c"])),
            ("(and|but) (that be|be)? {p:place}", lambda k: ("and", k["p"])),
            ("else", lambda _: ("bounds", ())),
    ])  # fmt: skip
