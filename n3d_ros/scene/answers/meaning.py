"""Meaning: what a thing of a question may mean, and which bodies its name and number fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from n3d_ros.scene.answers.absence import departed, unknown
from n3d_ros.scene.answers.body import ANY_SURFACE, SURFACE_NOUNS, Body
from n3d_ros.scene.answers.context import Context
from n3d_ros.scene.answers.wording import MAX_NAMED, counted, echo
from n3d_ros.scene.phrases import Selection, ignored_note, select, select_by_shade, singular, words_of
from n3d_ros.scene.questions.question import Relation, Thing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Meaning:
    """What a thing may mean.

    Args:
        bodies: meant together, in the scene's order or that of the extreme.
        steps: how they were chosen.
        notes: sentences on how words were taken.
        tie: the sentence that says what is tied; empty for nothing.
        tied: bodies that are as extreme as those chosen, within the measuring error.
        fitting: how many bodies the name alone fits.
        reference: from what an extreme distance was measured, if a thing was named.
        condition: what was taken to be meant by a place that has several meanings: "on the red box 2".
        assumed: the bodies of that condition.
        among: how many bodies it could be as well as this one, itself among them.
        by_shade_of: the thing whose colour nothing measures, so that a shade of it was taken; None: the name fits.
    """

    bodies: tuple[Body, ...]
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tie: str = ""
    tied: tuple[Body, ...] = ()
    fitting: int = 0
    reference: Body | None = None
    condition: str = ""
    assumed: tuple[Body, ...] = ()
    among: int = 1
    by_shade_of: Thing | None = None

    @property
    def one(self) -> Body:
        """The body; of several the first."""
        return self.bodies[0]


def called_so(thing: Thing, context: Context, left_out: Sequence[Body] = (), *, is_there: bool = False) -> Meaning:
    """The bodies that number and phrase fit.

    Args:
        thing: the words.
        context: what is known.
        left_out: bodies that "the other one" does not mean.
        is_there: whether the words say that there is such a thing ("the red mug"): then a shade of the colour will do,
            unless what has the colour was there before.

    Returns:
        All of them as one meaning; it may be empty.

    Raises:
        UnansweredError: NOT_UNDERSTOOD, nothing here is ever called so.
    """
    chosen = select(thing.phrase, context.bodies)
    bodies = _numbered(thing, chosen.objects)
    by_shade = _by_shade(thing, context) if is_there and not bodies else None
    if by_shade is not None:
        chosen, bodies = by_shade, by_shade.objects
        context.work.loosely.append(by_shade.notes[-1])
    notes = chosen.notes
    if thing.stands_out is not None:  # the word that the phrase left out chooses by measuring
        notes = tuple(note for note in notes if note not in (ignored_note([word]) for word in thing.phrase.ignored))
    bodies = _headed(thing, bodies)
    surfaces = _surfaces(thing, context)
    noun = thing.phrase.noun
    if surfaces and not (bodies and (noun is None or any(_has_head(body, noun) for body in bodies))):
        bodies, notes = surfaces, ()
    elif not chosen.is_understood and not context.query.open_vocabulary and not _means_surface(thing):
        raise unknown(thing, context)
    others = {id_of(body) for body in left_out}
    bodies = tuple(body for body in bodies if id_of(body) not in others)
    words = " and ".join(f'"{echo(word)}"' for word in thing.phrase.words) or "anything"
    number = "" if thing.id is None else f" with number {thing.id}"
    names = f": {', '.join(body.name for body in bodies[:MAX_NAMED])}" if bodies else ""
    more = f" and {len(bodies) - MAX_NAMED} more" if len(bodies) > MAX_NAMED else ""
    step = f"{len(bodies)} of {len(context.bodies)} objects fit {words}{number}{names}{more}."
    if bodies and bodies[0].surface is not None:
        step = f"{counted(len(bodies), 'surface')} of the kind {bodies[0].label}{names}."
    return Meaning(
        bodies=bodies,
        steps=(" ".join([step, *notes]),),
        notes=notes,
        fitting=len(bodies),
        by_shade_of=thing if by_shade is not None and bodies and bodies[0].surface is None else None,
    )


def _numbered(thing: Thing, bodies: tuple[Body, ...]) -> tuple[Body, ...]:
    """Those of a thing's number, if it has one."""
    return bodies if thing.id is None else tuple(body for body in bodies if body.id == thing.id)


def _by_shade(thing: Thing, context: Context) -> Selection[Body] | None:
    """What a colour is taken for that nothing here measures; None where it was there before and may have left."""
    here = {body.id for body in context.bodies}
    then = () if context.query.before is None else context.query.before.objects
    if departed(thing, context) or select(thing.phrase, [known for known in then if known.id not in here]).objects:
        return None
    found = select_by_shade(thing.phrase, _numbered(thing, context.bodies))
    return found if found.objects else None


def _headed(thing: Thing, bodies: tuple[Body, ...]) -> tuple[Body, ...]:
    """Without things that have the noun in front only, where another has it as its head: a lamp is no floor."""
    noun = thing.phrase.noun
    if noun is None or not any(_has_head(body, noun) for body in bodies):
        return bodies
    return tuple(
        body
        for body in bodies
        if _has_head(body, noun) or noun not in {singular(word) for word in words_of(body.label)}
    )


def _has_head(body: Body, noun: str) -> bool:
    """Whether a label, or one of several with a slash between them, ends with the noun."""
    return any(singular(words[-1]) == noun for part in body.label.split("/") if (words := words_of(part)))


def id_of(body: Body) -> int | str:
    """What tells bodies apart.

    Args:
        body: an object or a surface.

    Returns:
        An object's id, a surface's name.
    """
    return body.name if body.id is None else body.id


def _means_surface(thing: Thing) -> bool:
    return thing.phrase.noun == ANY_SURFACE or thing.phrase.noun in SURFACE_NOUNS


def _surfaces(thing: Thing, context: Context) -> tuple[Body, ...]:
    """The surfaces that a noun means, largest first; also what may carry something, when that is asked for."""
    noun = thing.phrase.noun
    carries = noun is None and any(place.relation is Relation.UNDER and place.references for place in thing.places)
    if thing.id is not None or not (carries or _means_surface(thing)):
        return ()
    kind = SURFACE_NOUNS.get(noun or "")
    fitting = [body for body in context.surfaces if kind is None or body.label == kind]
    return tuple(sorted(fitting, key=lambda body: -body.box.volume))
