"""The words that a small model writes and reads as one token each.

Any other word is written in pieces, down to single bytes, so that no label is out of reach.
"""

from __future__ import annotations

from model_training.models.stand_in_tokenizer import ADJECTIVES, NOUNS
from n3d_ros.refine.attributes import COLOR_WORDS, SHAPE_WORDS


def _words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


CATALOGUE_WORDS = _words(
    """
    apple ball bin book bottle bowl box cabinet can carton cereal chair cup desk floor lamp jar keyboard laptop
    monitor mug orange parcel pear plant plate potted shelf sofa stool table vase armchair bench bed nightstand
    dresser wardrobe bookcase bucket basket candle clock banana lemon tomato bread teapot kettle pan pot tray jug
    wine glass tin can dish speaker printer mouse phone tablet remote router screen television tv radio toy block
    cube cylinder cone sphere brick crate drum barrel tube pipe roll paper tissue towel pillow cushion rug mirror
    picture frame globe trophy hat shoe backpack bag suitcase umbrella hammer drill toolbox wrench screwdriver tape
    marker pen pencil stapler notebook folder dumbbell helmet racket bat skittle pin stand side coffee dining office
    round square small large trash waste storage milk juice soda water spray detergent shampoo soap sugar flour rice
    tea cracker chips food camera chest of drawers cooking refrigerator fridge control teddy bear doll car truck
    washing machine microwave oven dishwasher heater fan sink toilet watering guitar tripod ladder stairs door
    window rack
    """
)
"""Words of the names of what this project renders, and of what else stands on tables and in rooms."""

COLOR_NAMES = _words("red orange yellow green blue purple pink brown black white gray grey cyan silver gold beige")

MATERIALS = ("wooden", "metal", "plastic", "glass", "paper", "ceramic", "steel", "cardboard", "leather", "fabric")

RELATIONS = _words(
    """
    left right behind front above below under beneath over on in inside into top bottom next near beside between
    closest closer nearest farthest furthest far farther away same opposite side camera viewpoint view standing
    facing side wider widest thin thinner thinnest wide width tall taller tallest short shorter shortest height high
    higher low lower big bigger biggest small smaller smallest large larger largest size long longer longest length
    deep depth distance horizontal vertical horizontally vertically direction clock o'clock order first second third
    fourth last
    """
)

QUESTION_WORDS = _words(
    """
    a an the is are was were be been does do did can could will would should there here it its they their them this
    that these those which what where who how many much far of from to at by with without for and or not no yes as
    if you me my your i we one two three four five six seven eight nine ten object objects thing things item items
    box boxes scene image picture find show tell give name list detect identify locate look see seen compare
    compared than more less most least has have having located placed lies stands sits sitting lying true false
    correct answer question about around approximately meters meter metres metre centimeters cm m degrees degree
    angle center centre coordinate coordinates point position axis value values difference equals equal sum square
    root calculate compute therefore so because since then thus hence we get know step given following their
    respectively all both each any some only other another into out up down forward backward towards toward apart
    along across reference code followed aforementioned sizes sort sorted place room table floor wall shelf close
    closest got call follows further vector vectors decimals normalized normalize atan rad radians positioned number
    leftmost rightmost determine ground plane cross product relative highest lowest relationship centers hour
    corresponds measure appear greater known half arc once considering volume measuring tilted viewer x y z
    distances angles few convert perspective when narrower nearer order others before axes ask say said
    """
)

OPENING_WORDS = _words(
    """
    What Which Where Who How Is Are Does Do Can Will If From The There It Yes No True False Detect Identify Find
    Locate Show List Name Tell Give Seen Standing Looking Compare Compared Between Among Of So Then Thus Therefore
    Hence First Next Finally Step We To In On At As For And But Since Because Their They Both This That Please
    Viewed Suppose Imagine Bbox bbox bounding assistant user system Would Could Calculate Determine Normalize
    Convert You When Order Sort Measure Nothing X Y Z A B C
    """
)

QUOTED_OPENINGS = ("the", "a", "an", "all", "two", "three")
"""Words that begin a quoted expression, right behind its quote."""

SIGNS = (
    ". ", ", ", "? ", ": ", " '", "'", "',", "'.", "'?", " [", "],", "].", "),", ").", ")\n", "\n", ".\n", " =", " -",
    " +", " <", " >", "<think", "</", "think", ">", "><", "-view", "2D", "3D", "'s",
)  # fmt: skip


def label_words() -> tuple[str, ...]:
    """Words that stand in labels of what this project renders, each once, in a fixed order.

    Returns:
        Nouns of the catalogue, colours, shapes and materials.
    """
    return tuple(dict.fromkeys([*CATALOGUE_WORDS, *COLOR_NAMES, *COLOR_WORDS, *SHAPE_WORDS, *MATERIALS]))


def whole_words() -> tuple[str, ...]:
    """The pieces that are to be one token, as the split leaves them, each once, in a fixed order.

    A word stands behind a blank in a text, behind a parenthesis where a label begins, and bare behind a quote.

    Returns:
        Pieces of text.
    """
    labels, further = label_words(), (*NOUNS, *ADJECTIVES)
    pieces = [form + word for word in labels for form in (" ", "(", "")]
    pieces += [form + word for word in further for form in (" ", "(")]
    pieces += [f" {word}s" for word in (*labels, *NOUNS) if not word.endswith("s")][: len(labels)]
    pieces += [f" {word}" for word in (*RELATIONS, *QUESTION_WORDS)]
    return tuple(dict.fromkeys([*pieces, *OPENING_WORDS, *QUOTED_OPENINGS, *SIGNS]))
