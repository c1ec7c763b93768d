"""Questions on what was: what changed, did it move, when was it last seen; and descriptions of what is known."""

from __future__ import annotations

from n3d_ros.scene.questions.clauses import Kept, Rows
from n3d_ros.scene.questions.listing import ALL_THERE_IS
from n3d_ros.scene.questions.noun_phrases import anything
from n3d_ros.scene.questions.patterns import Grammar
from n3d_ros.scene.questions.question import (
    Changed,
    Describe,
    Intent,
    Measure,
    Place,
    Quantity,
    Relation,
    Which,
)


def _described(kept: Kept) -> Intent:
    thing = kept["a"]
    if thing.phrase.noun in ALL_THERE_IS:
        return Which(thing=anything("objects"))
    if thing.phrase.noun is None and not thing.phrase.words and thing.id is None and not thing.places:
        return Which(thing=thing)
    return Describe(thing=thing)


def _numbered(kept: Kept) -> Describe | None:
    return Describe(thing=kept["a"]) if kept["a"].id is not None else None


def _age(kept: Kept) -> Measure:
    return Measure(quantity=Quantity.AGE, thing=kept["a"])


def _thing_changed(kept: Kept) -> Changed:
    return Changed(thing=kept["a"], is_moved=bool(kept.get("m")), is_gone=bool(kept.get("g")),
                   is_new=bool(kept.get("w")))  # fmt: skip


def _changes(kept: Kept) -> Changed:
    return Changed(
        is_moved=bool(kept.get("m")), is_gone=bool(kept.get("g")), is_new=bool(kept.get("w")), place=kept.get("p")
    )  # fmt: skip


def add_changes(grammar: Grammar) -> None:
    """Adds the rules that these rows use: ``moved``, ``went``, ``came``, ``there_``.

    Args:
        grammar: what they are added to.
    """
    grammar.add("moved", [("move (place|around|about)?", lambda _: True), ("change {q:position_}", lambda _: True)])
    grammar.add("position_", [("(its|the|their)? {q:quantity}", lambda k: k["q"] is Quantity.POSITION or None)])
    grammar.add("went", [("(gone|taken)", lambda _: True)])
    grammar.add("came", [("(recently)? (new|appeared|appear|come)", lambda _: True), ("here new", lambda _: True)])
    grammar.add("there_", [
        ("{p:place}", lambda k: k["p"]),
        ("from {b:thing}", lambda k: Place(relation=Relation.ON, references=(k["b"],))),
        ("from (in|inside) {b:thing}", lambda k: Place(relation=Relation.INSIDE, references=(k["b"],))),
        ("to {b:thing}", lambda k: Place(relation=Relation.ON, references=(k["b"],))),
    ])  # fmt: skip
    grammar.add("what_", [("(what|whats|who)", lambda _: True), ("which {t:plain_}", lambda _: True),
                          ("(what|which) {t:plain_}", lambda _: True)])  # fmt: skip
    grammar.add("plain_", [
        ("{t:bare}", lambda k: (k["t"].phrase.noun is None and not k["t"].phrase.words and not k["t"].id) or None),
    ])  # fmt: skip


_DID = " (have|be|do)? (been|be)? "
CHANGED: Rows = [
    ("{a:what_}" + _DID + "(change|different) {p:there_}?", _changes),
    ("(be there|what be|tell|list|show|find|describe) (me|us)? (the|any|all)? change {p:there_}?", _changes),
    ("{a:what_}" + _DID + "{m:moved}", _changes),
    ("{a:what_}" + _DID + "{g:went} {p:there_}?", _changes),
    ("{a:what_}" + _DID + "{w:came} {p:there_}?", _changes),
    ("{a:any_thing}" + _DID + "{w:came} {p:there_}?", _changes),
    ("{a:any_thing}" + _DID + "{g:went} {p:there_}?", _changes),
    ("{a:any_thing}" + _DID + "{m:moved}", _changes),
    ("{a:any_thing}" + _DID + "(change|different) {p:there_}?", _changes),
    ("(be there|be|have|do) {a:any_thing} (be|been)? {g:went} {p:there_}?", _changes),
    ("(be there|be|have|do) {a:any_thing} (be|been)? {w:came} {p:there_}?", _changes),
    ("(be there|be|have|do) {a:any_thing} (be|been)? {m:moved}", _changes),
    ("(be there|be|have|do) {a:any_thing} (be|been)? (change|different) {p:there_}?", _changes),
    ("(have|do|be) {a:thing} (have|be|been)? {m:moved}", _thing_changed),
    ("(have|do|be) {a:thing} (have|be|been)? change", _thing_changed),
    ("{a:thing} (have|be) (been)? {m:moved}", _thing_changed),
    ("{a:thing} (have|be) (been)? change", _thing_changed),
    ("(have|be|do) {a:thing} (be)? {g:went}", _thing_changed),
    ("(have|be|do) {a:thing} (be)? {w:came}", _thing_changed),
]  # fmt: skip

AGE: Rows = [
    ("when (do|have|be) (you|we|i) (last-see|last|see) see? {a:thing} last?", _age),
    ("when (do|have|be) (you|we|i) see {a:thing} (last|lately)", _age),
    ("when be {a:thing} (last-seen|last see|see last|see)", _age),
    ("how-long-ago (do|have|be) (you|we|i) (last-see|see|last) see? {a:thing} last?", _age),
    ("how-long-ago be {a:thing} (last-seen|see|last see|see last)", _age),
    ("(what|when) be last-time (that)? (you|we|i)? (see|have see) {a:thing}", _age),
    ("how long have (you|we|i) not see {a:thing}", _age),
    ("(what|when) be last-time (that)? {a:thing} be see", _age),
]  # fmt: skip

DESCRIBE: Rows = [
    ("describe {a:thing} (to me|for me)?", _described),
    (
        "(describe|tell|tell me|tell us|say) (about|of|more about|me about|something about|me more "
        "about|everything about) {a:thing} (to me|for me)?",
        _described,
    ),
    (
        "(what|everything|anything) (do|can)? (you|we) (know|do-know|tell|tell me|say) (about|of|me about|us "
        "about) {a:thing}",
        _described,
    ),
    ("what can you (tell|say) (me|us)? (about|of) {a:thing}", _described),
    ("do (you|we) (know|have) (anything|something) about {a:thing}", _described),
    ("what do {a:thing} look-like", _described),
    ("how do {a:thing} (look|appear)", _described),
    ("(what|who) be {a:thing}", _numbered),
    ("(what|which) {q:quantity}? (kind|type)? of? (object|thing)? be {a:thing}", _numbered),
    ("{a:thing} be what", _numbered),
]  # fmt: skip
