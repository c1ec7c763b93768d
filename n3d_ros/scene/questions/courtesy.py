"""Words around a question that ask nothing of the scene: greetings, politeness, hedges, tags, choices to pick from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from n3d_ros.scene.questions.lengths import number_at
from n3d_ros.scene.questions.words import Word

_BEFORE = """
please|kindly|hey|hi|hello|dear|robot|hey robot|so|now|okay|well|um|uh|hmm|oh|and|then|also|actually|look|listen
excuse me|sorry
thanks|thank you|just|quickly|quick question|question|one question|tell me|tell us|please tell me|say|let me know
show me
i wonder|i am wondering|i was wondering|i wanted to ask|i want to ask|i would like to ask|i have a question
i want to know|i would like to know|i need to know|i want you to tell me|i would like you to tell me
we need to know|we want to know
can you tell me|could you tell me|would you tell me|will you tell me|can you say|could you say|can you let me know
could you let me know
can you please tell me|could you please tell me|would you please tell me|can you kindly tell me
could you kindly tell me|can you tell|could you tell
would you mind telling me|do you mind telling me|do you know|do you happen to know|do you know by any chance
would you know|would you happen to know
can you|could you|would you|will you|would you please|could you please|can you please|would you be able to
are you able to|is it possible to|whether|if|to|can we|could we|can i|could i|may i
can i have|could i have|may i have|can we have|could we have|may we have|can i get|could i get|may i know
could i know|can i know
would you be so kind as to|would you be so kind to|be so kind as to|would you be kind enough to
can you confirm if|could you confirm if|can you confirm whether|could you confirm whether|can you confirm that
could you confirm that|please confirm if|confirm if|confirm whether|confirm that
can you check if|could you check if|can you check whether|could you check whether|check if|check whether
please check if|please check whether|can you verify that|can you verify if|verify that|verify if|verify whether
could you verify if|could you verify whether
can you determine if|determine if|determine whether|can you see if|could you see if|see if|see whether|find out if
find out whether|find out|figure out|work out|can you find out
is it true that|is it correct that|is it the case that|is it right that|would you say that|would you say
do you think that|do you think|do you believe that|do you believe|is it so that|am i right that
am i right in thinking that|can you say whether|can you say if|tell me if|tell me whether|i wonder if
i wonder whether|let me know if|let me know whether
can you explain|could you explain|explain|explain to me|any idea|any idea about|do you have any idea
do you have an idea|do you have any idea about|have you any idea|do you have any information on
do you have details about|do you have details on|do you have information about
help me|help me to|help me find out|i need|i need you to|i want|i want you to|i would like you to|i would like
i am curious|i am curious about|i am interested in|i am trying to find out|i am trying to|out of curiosity|tell
give me|give us|provide|provide me with|provide me|can you give me|could you give me|would you give me
can you provide|could you provide|could you provide me with|can you provide me with|can you please provide
could you please provide|can you share|share
what do you think is|do we know|does anyone know|who knows|remind me|can you remind me|could you remind me
by the way|in your opinion|if you can|if possible|for me|if you do not mind|if you could
in this image|in this picture|in this scene|in the image|in the picture|in the scene|in this photo|in the photo
in this view|in this frame|looking at the image|looking at the scene|looking at this image|looking at the picture
based on the image|based on the scene|based on the picture|according to the image|given the image|given the scene
considering the scene|in this room|as far as you can see|as far as you know|as far as you can tell
the question is|my question is|here is a question|answer me|answer this|answer the question|please answer
just tell me|could you also tell me|can you also tell me|i would love to know|i would appreciate knowing
it would be great to know
""".strip().replace("\n", "|").split("|")  # fmt: skip
_AFTER = """
please|thanks|thank you|thank you very much|thanks a lot|many thanks|cheers|right|correct|is it not|are they not
is not it|does it not|do they not|was it not|were they not|is it|are they|does it|do you think|would you say|or not
or is it not|yes or no|true or false|okay|yes|no|huh|eh
right now|now|currently|at the moment|at present|at this moment|today|this time|for me|here|around here|over there
there|over here|in here|out there|around|in total|altogether|overall|all together|all told|in all|at all
in the scene|in this scene|in the image|in this image|in the picture|in this picture|in the photo|in this photo
in view|in sight|in the view|in your view|in the frame|in this frame|in the current view
in front of you at the moment|in the room|in this room|in the camera view|in the field of view
in your field of view|in the workspace|in the world|in the camera image|in the current image|in the current scene
within the scene|within the image|within the room|of the scene|of this scene|in the area|in this area
in the environment
can you see|do you see|can you tell|do you think|you think|can you tell me|could you tell me|do you know
can you say|if you can|if possible|if you do not mind|by any chance|exactly|precisely|approximately|roughly
more or less|about|again|anyway|then|in your opinion|as far as you know|as far as you can see
as far as you can tell|robot|that you can see|that you see|you can see|you see|that are visible|that is visible
that are there|which are visible|in meters roughly|as shown|in the shot|or so|i wonder|i am wondering|by chance
if any
would you know|tell me|let me know|explain|just curious|for sure|indeed|actually|really|or what|or otherwise
from what you see|in reality|you know
of all|of them all|of all of them|of all things|of all objects|of all the things|of all the objects
of the lot|of the bunch|by far|of them
""".strip().replace("\n", "|").split("|")  # fmt: skip
_ANYWHERE = """
please|kindly|actually|really|currently|approximately|roughly|exactly|precisely|by any chance|right now
at the moment|as far as you can see|as far as you can tell|as far as you know|just|simply|perhaps|maybe|possibly
do you think|would you say|in this scene|in the scene|in the image|in this image|in this picture|in the picture
in the photo|in this photo|in the current scene|clearly|apparently|obviously|um|uh|still|indeed|ever|also|actual
approximate|estimated|rough|exact|precise|overall|current|given|on average|in total|altogether|by chance|visually
physically|in reality|taking this photo|taking this picture|taking the photo|that took this photo|an estimation of
an estimate of|a rough estimate of|a rough estimation of|an approximation of|a measurement of|an idea of
some idea of|the estimation of|an indication of|an estimate for|details about the|details on the|the measurement of
the value of|information about|information on|in the room|on average|any idea of|any idea|in detail|more or less
around about|or so|highlighted by a red box|highlighted by a blue box|highlighted by a green box
highlighted by a red bounding box|highlighted by a blue bounding box|actual physical|then|quite|somewhat|slightly
visibly|noticeably|relatively|if i may ask|would that be|i guess|i suppose|i think|in question|here|together
in your view|in view|in sight|in the current view|in the field of view|in the camera view
""".strip().replace("\n", "|").split("|")  # fmt: skip
_STILL_MEANT = frozenset(("here", "together", "then", "given", "just", "current", "right now"))


@cache
def _known(which: str) -> frozenset[tuple[str, ...]]:
    listed = {"before": _BEFORE, "after": _AFTER, "anywhere": _ANYWHERE}[which]
    return frozenset(tuple(one.split()) for one in listed)


@cache
def _longest(which: str) -> int:
    return max(map(len, _known(which)))


def _plain(words: Iterable[Word]) -> tuple[str, ...]:
    return tuple(word.plain for word in words)


_LETTERS = "abcdefgh"
_INVITATIONS = (
    ("select", "from"),
    ("choose", "from"),
    ("pick", "from"),
    ("select", "one"),
    ("choose", "one"),
    ("options",),
    ("choices",),
    ("answer", "with"),
)


def without_choices(words: Sequence[Word]) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """The question without the answers offered behind it, "(A) the mug (B) the box", and without remarks in brackets.

    Args:
        words: of the question.

    Returns:
        The question; the answers offered as ", the mug or the box", empty when none are, or they are yes and no.
    """
    starts = [at for at in range(len(words) - 2) if _is_letter(words, at)]
    in_order = [at for n, at in enumerate(starts) if words[at + _letter_offset(words, at)].plain == _LETTERS[n % 8]]
    if len(in_order) < 2 or in_order != starts or starts[0] == 0:
        return _without_brackets(words), ()
    question = list(words[: starts[0]])
    for at in range(len(question)):
        if any(_plain(question[at : at + len(invitation)]) == invitation for invitation in _INVITATIONS):
            question = question[:at]
            break
    offers = list[Word]()
    for start, end in zip(starts, [*starts[1:], len(words)], strict=True):
        answer = [word for word in words[start + _letter_offset(words, start) + 1 : end] if word.plain not in ")].,;:"]
        offers += (
            [Word(plain="or", said="or"), *answer] if offers else [Word(plain=",", said=",", kind="mark"), *answer]
        )
    return _without_brackets(without_end(question)), () if _plain(offers[1:2]) in (("yes",), ("no",)) else tuple(offers)


def _letter_offset(words: Sequence[Word], at: int) -> int:
    return 1 if words[at].plain == "(" else 0


def _is_letter(words: Sequence[Word], at: int) -> bool:
    """Whether an offered answer begins at a place: "(A)", "A)", "A."."""
    offset = _letter_offset(words, at)
    letter, behind = words[at + offset].plain, words[at + offset + 1].plain
    if letter not in _LETTERS or len(letter) != 1:
        return False
    return behind == ")" if offset else behind in (")", ".", ":") and words[at - 1].plain != "("


def _without_brackets(words: Sequence[Word]) -> tuple[Word, ...]:
    """Without "(highlighted by a red box)" and empty brackets."""
    kept, at = list[Word](), 0
    while at < len(words):
        close = next((k for k in range(at, min(at + 9, len(words))) if words[k].plain == ")"), None)
        if (
            words[at].plain == "("
            and close is not None
            and _plain(words[at + 1 : at + 2]) in (("highlighted",), ("marked",), ("outlined",), ("in",), ("shown",))
        ):
            at = close + 1
            continue
        kept.append(words[at])
        at += 1
    return tuple(kept)


def beginnings(words: Sequence[Word]) -> Iterator[tuple[Word, ...]]:
    """The question with more and more of what is said before it left out, the least first.

    Args:
        words: of the question.

    Yields:
        Rests, the whole first.
    """
    at = 0
    yield tuple(words)
    while at < len(words):
        step = _step(words, at, "before")
        if not step:
            return
        at += step
        while at < len(words) and words[at].plain in (",", ":", ".", "!", "-", ";"):
            at += 1
        if at < len(words):
            yield tuple(words[at:])


def _step(words: Sequence[Word], at: int, which: str) -> int:
    for length in range(min(_longest(which), len(words) - at), 0, -1):
        if _plain(words[at : at + length]) in _known(which):
            return length
    return 0


def without_end(words: Sequence[Word]) -> tuple[Word, ...]:
    """The question without marks and courtesy at its end.

    Args:
        words: of the question.

    Returns:
        At least one word of what there was.
    """
    kept = list(words)
    while kept:
        while kept and kept[-1].kind == "mark" and kept[-1].plain not in (")", "]", ">"):
            kept.pop()
        length = _ending(kept)
        if not length:
            break
        del kept[-length:]
    return tuple(kept)


_TAGS = frozenset(
    (
        "right",
        "correct",
        "is it",
        "are they",
        "does it",
        "yes",
        "no",
        "okay",
        "huh",
        "eh",
        "about",
        "around",
        "then",
        "robot",
        "exactly",
    )
)
"""Words that are courtesy only behind a mark."""


def _ending(words: Sequence[Word]) -> int:
    """How many words of courtesy a text ends in."""
    for length in range(min(_longest("after"), len(words) - 1), 0, -1):
        if _plain(words[-length:]) in _known("after"):
            is_tag = " ".join(_plain(words[-length:])) in _TAGS
            if len(words) - length < 2:
                return 0  # "what do you see"
            if words[-length - 1].plain in ("did", "do", "can", "could", "have", "had", "will", "would"):
                return 0  # "what did you see"
            if not is_tag or words[-length - 1].kind == "mark":
                return length
    return 0


def without_hedges(words: Sequence[Word]) -> tuple[Word, ...]:
    """The question without the words that may stand anywhere and change nothing of it.

    Args:
        words: of the question.

    Returns:
        The rest.
    """
    kept, at = list[Word](), 0
    while at < len(words):
        step = _step(words, at, "anywhere")
        if step and words[at].plain in ("exactly", "precisely") and number_at(words, at + step):
            step = 0  # "exactly two"
        if step and words[at].plain == "together" and at and words[at - 1].plain.startswith(("close", "near")):
            step = 0  # "closest together"
        if step == 0:
            kept.append(words[at])
        at += step or 1
    return tuple(kept)
