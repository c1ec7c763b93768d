"""Questions on what was: what changed, did it move, when was it last seen; and descriptions of what is known."""

from __future__ import annotations

from n3d_ros.scene.questions.clauses import Kept, Rows
from n3d_ros.scene.questions.noun_phrases import anything
from n3d_ros.scene.questions.question import Changed, Describe, Intent, Measure, Quantity, Which


def _described(kept: Kept) -> Intent:
    thing = kept["a"]
    if thing.phrase.noun in _ALL_THERE_IS:
        return Which(thing=anything("objects"))
    if thing.phrase.noun is None and not thing.phrase.words and thing.id is None and not thing.places:
        return Which(thing=thing)
    return Describe(thing=thing)


def _numbered(kept: Kept) -> Describe | None:
    return Describe(thing=kept["a"]) if kept["a"].id is not None else None


def _age(kept: Kept) -> Measure:
    return Measure(quantity=Quantity.AGE, thing=kept["a"])


_ALL_THERE_IS = frozenset(
    ("scene", "room", "picture", "image", "view", "surrounding", "environment", "world", "situation")
)

CHANGED: Rows = [
    ("(what|whats|anything) (have|be|do)? (been|be)? (change|different)", lambda _: Changed()),
    ("(be there|what be|tell|list|show|find|describe) (me|us)? (the|any|all)? change", lambda _: Changed()),
    ("(what|which) {t:bare} be new", lambda _: Changed(is_new=True)),
    ("(what|which {t:bare}|whats) (have|be|do)? (been|be)? (move)", lambda _: Changed()),
    ("(what|which {t:bare}|whats) (have|be|do)? (been|be)? (gone|taken)", lambda _: Changed(is_gone=True)),
    (
        "(what|which {t:bare}|whats) (have|be|do)? (been|be)? (new|appeared|appear|recently appeared|come)",
        lambda _: Changed(is_new=True),
    ),
    ("{a:any_thing} new", lambda _: Changed(is_new=True)),
    ("{a:any_thing} (gone|taken)", lambda _: Changed(is_gone=True)),
    ("{a:any_thing} (change|move|different)", lambda _: Changed()),
    ("(what|whats) be new", lambda _: Changed(is_new=True)),
    ("(be|have|do) {a:any_thing} (be|been)? (gone|taken)", lambda _: Changed(is_gone=True)),
    ("(be there|be|have|do) {a:any_thing} (be|been)? (new|appeared|appear)", lambda _: Changed(is_new=True)),
    ("(be|have|do) {a:any_thing} (be|been)? (move|change|different)", lambda _: Changed()),
    (
        "(have|do|be) {a:thing} (have|be|been)? (move|change|change position|changed position)",
        lambda k: Changed(thing=k["a"]),
    ),
    ("{a:thing} (have|be) (been)? (move|change)", lambda k: Changed(thing=k["a"])),
    ("(have|be|do) {a:thing} (be)? gone", lambda k: Changed(thing=k["a"], is_gone=True)),
    ("(have|be|do) {a:thing} (be)? (appeared|appear|new)", lambda k: Changed(thing=k["a"], is_new=True)),
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
