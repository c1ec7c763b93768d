"""The things that a question names, in its own words: for grounders of open vocabulary, which find what they are told.

No dictionary of things is needed: words that ask, relate, measure or point are known and part the text; what lies
between them names something. ::

    "How far is the red mug from the laptop?"  ->  ("red mug", "laptop")
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from n3d_ros.scene.phrases import ANYTHING, COLORS, FILLERS, MAX_PHRASE_WORDS, QUALIFIERS, singular
from n3d_ros.scene.questions.reading import named_things, read

MAX_NOUNS = 16  # of one question; the bound of a request to a grounder
MAX_NOUN_CHARS = 120  # of one noun phrase; longer ones are no names

_WORD = re.compile(r"[^\W_]+(?:[-./'\u2019][^\W_]+)*|[,;:?!]")  # "t-shirt" and "orange/tangerine" are one word
_CLOCK = re.compile(r"\bo\W?clock\b|\bclock(?:[ -]?(?:wise|direction|position|face|hour)s?)\b", re.IGNORECASE)

_PARTING = frozenset((
    # asking
    "what", "whats", "which", "who", "whom", "whose", "where", "wheres", "when", "why", "how", "whether", "if",
    # verbs that tell nothing of a thing
    "is", "are", "was", "were", "be", "been", "being", "am", "isnt", "arent", "do", "does", "did", "dont", "doesnt",
    "has", "have", "had", "could", "will", "would", "should", "may", "might", "must", "shall",
    "see", "sees", "seen", "find", "found", "locate", "located", "show", "shown", "count", "list", "name", "names",
    "named", "tell", "say", "give", "compare", "compared", "describe", "enumerate", "measure", "detect", "identify",
    "estimate", "determine", "calculate", "point", "look", "looking", "search", "appear", "appears", "visible", "know",
    "sit", "sits", "sitting", "stand", "stands", "standing", "lie", "lies", "lying", "laying", "hang", "hangs",
    "hanging", "hold", "holds", "holding", "wear", "wearing", "facing", "placed", "positioned", "situated", "leaning",
    "touching", "touch", "fit", "fits", "take", "takes", "bring", "get", "put", "pick", "reach", "grasp", "belongs",
    "measured", "come", "comes", "go", "need", "want", "please", "exist", "exists",
    # who asks and who looks
    "i", "me", "we", "us", "you", "he", "she", "it", "they", "them", "there", "here", "mine", "yours", "myself",
    "camera", "viewer", "viewpoint", "observer", "robot", "perspective",
    # relations
    "left", "right", "front", "back", "behind", "above", "below", "over", "under", "beneath", "underneath", "on", "in",
    "inside", "into", "onto", "next", "beside", "besides", "near", "nearer", "nearest", "close", "closer", "closest",
    "far", "farther", "farthest", "further", "furthest", "between", "among", "from", "to", "toward", "towards", "at",
    "by", "than", "as", "or", "and", "nor", "not", "no", "but", "for", "against", "across", "along", "around", "away",
    "apart", "together", "opposite", "top", "bottom", "middle", "center", "centre", "side", "sides", "up", "down",
    "leftmost", "rightmost", "then", "with", "without", "same", "different", "relative", "respect", "other", "another",
    # comparing and measuring
    "more", "less", "most", "least", "much", "many", "few", "several", "larger", "largest", "bigger", "biggest",
    "smaller", "smallest", "taller", "tallest", "shorter", "shortest", "wider", "widest", "thinner", "thinnest",
    "thicker", "thickest", "longer", "longest", "higher", "highest", "lower", "lowest", "deeper", "deepest",
    "narrower", "narrowest", "heavier", "lighter", "greater", "greatest", "equal",
    "distance", "distances", "height", "heights", "width", "widths", "length", "lengths", "size", "sizes", "depth",
    "volume", "area", "number", "amount", "total", "direction", "directions", "position", "location", "place",
    "orientation", "angle", "dimensions", "difference", "order", "true", "false", "yes",
    "meter", "meters", "metre", "metres", "cm", "mm", "m", "centimeter", "centimeters", "centimetre", "centimetres",
    "millimeters", "millimetres", "foot", "feet", "inch", "inches", "degrees", "horizontal", "horizontally",
    "vertical", "vertically", "approximately", "roughly", "exactly", "currently", "now", "also", "just", "only",
    "any", "anywhere", "somewhere", "scene", "picture", "image", "photo", "view", "sight",
))  # fmt: skip
"""Words that no thing is called by in a question; each ends the name before it."""
_JOINING = frozenset({"of", "with"})
"""Between two words that name, part of the name: "cup of coffee", "man with the hat"."""
_NUMBERS = frozenset(
    ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "both", "all", "each", "every"]
)
_POINTED = frozenset(
    ["the", "a", "an", "this", "that", "these", "those", "my", "your", "his", "her", "its", "our", "their"]
)
_PLACEHOLDERS = frozenset({"one", "ones"})
_DESCRIBING = QUALIFIERS | COLORS.keys() | {"high"}
_ALSO_NAMES = frozenset({"light", "rose"})  # describing words that end a name: "traffic light"
_SUBJECTS = frozenset(["i", "you", "we", "he", "she", "it", "they"])  # after "can", a verb
_BARE = FILLERS - _JOINING


def nouns_of(text: str) -> tuple[str, ...]:
    """The things that a text names, open vocabulary.

    Args:
        text: a question or request, in words.

    Returns:
        Noun phrases without article, as the text has them, in its order, each once, at most ``MAX_NOUNS``; empty when
        it asks about nothing in particular ("what do you see?"). A question that was read tells them exactly; of any
        other text, what lies between the words that ask and relate is taken.
    """
    question = read(text).question
    if question is not None:
        return tuple(noun for noun in named_things(question) if len(noun) <= MAX_NOUN_CHARS)[:MAX_NOUNS]
    found: dict[str, str] = {}
    compares = re.match(r"\W*compare\b", text, re.IGNORECASE) is not None
    for chunk, is_pointed in _chunks(_CLOCK.sub(" which ", text), joining=frozenset({"of"}) if compares else _JOINING):
        noun = " ".join(chunk)
        if len(chunk) <= MAX_PHRASE_WORDS and len(noun) <= MAX_NOUN_CHARS and _names_something(chunk, is_pointed):
            found.setdefault(noun.casefold(), noun)
    return tuple(found.values())[:MAX_NOUNS]


def _chunks(text: str, *, joining: frozenset[str]) -> Iterator[tuple[list[str], bool]]:
    """Runs of words that name, without what stands around them, and whether an article or the like points at them."""
    chunk: list[str] = []
    is_pointed = False
    words = [*_WORD.findall(text), ","]
    for word, following in zip(words, [*words[1:], ","], strict=True):
        plain = word.replace("'", "").replace("\u2019", "").casefold()
        if plain in joining and chunk:
            chunk.append(word)
            continue
        continues = bool(chunk) and chunk[-1].casefold() in joining
        if plain in _POINTED and (continues or not chunk):
            is_pointed = is_pointed or not chunk
            chunk += [word] if continues else []
            continue
        if not chunk and (plain in _NUMBERS - _PLACEHOLDERS or plain in FILLERS - _PLACEHOLDERS):
            continue
        is_verb = plain == "can" and (not (chunk or is_pointed) or following.casefold() in _SUBJECTS)
        if is_verb or plain in _PARTING or plain in _POINTED or plain.isdigit() or word in ",;:?!":
            yield _trimmed(chunk, joining), is_pointed
            chunk, is_pointed = [], plain in _POINTED
            continue
        chunk.append(word)


def _trimmed(chunk: list[str], joining: frozenset[str]) -> list[str]:
    """A run without joining words, articles and what is said of it ("the box red") at its end, nor a possessive."""
    while chunk and (chunk[-1].casefold() in joining or chunk[-1].casefold() in _POINTED):
        chunk = chunk[:-1]
    said = _DESCRIBING - _ALSO_NAMES
    while len(chunk) > 1 and chunk[-1].casefold() in said and any(w.casefold() not in said for w in chunk[:-1]):
        chunk = chunk[:-1]
    if chunk and re.search(r"['\u2019]s?$", chunk[-1]):
        chunk = [*chunk[:-1], re.sub(r"['\u2019]s?$", "", chunk[-1])]
    return chunk


def _names_something(chunk: list[str], is_pointed: bool) -> bool:
    """Whether a run names a thing: "red" alone does not, "the orange" and "red one" do, "objects" means everything."""
    plain = [word.casefold() for word in chunk]
    naming = [word for word in plain if word not in _BARE and singular(word) not in ANYTHING]
    if not naming:
        return False
    if any(word not in _DESCRIBING for word in naming):
        return True
    return is_pointed or len(plain) > len(naming) or singular(plain[-1]) != plain[-1]
