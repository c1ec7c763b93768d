"""The things that a question names: what is handed to a grounder of open vocabulary."""

from __future__ import annotations

import pytest

from n3d_ros.scene.nouns import MAX_NOUNS
from n3d_ros.scene.query import nouns_of


@pytest.mark.parametrize(
    ("text", "nouns"),
    [
        ("How far is the red mug from the laptop?", ("red mug", "laptop")),
        ("Is the mug to the left of the small red box?", ("mug", "small red box")),
        ("What is the height of the cup of coffee?", ("cup of coffee",)),
        ("Is the man with the hat left of the woman?", ("man with the hat", "woman")),
        ("compare the mug with the bottle", ("mug", "bottle")),
        ("Which is closer to the camera, the Coca-Cola can or the bottle?", ("Coca-Cola can", "bottle")),
        ("which of these is closer: the mug or the bottle", ("mug", "bottle")),
        ("Is the red one bigger than the blue one?", ("red one", "blue one")),
        ("At what clock direction is the mug from the chair?", ("mug", "chair")),
        ("where is the clock?", ("clock",)),
        ("where is the orange/tangerine?", ("orange/tangerine",)),
        ("where is the person's hat?", ("person's hat",)),
        ("How wide is person 3?", ("person",)),
        ("are the two wheelchairs facing each other?", ("wheelchairs",)),
        ("Is the mug near the mug?", ("mug",)),
        ("où est la tasse", ("où est la tasse",)),
    ],
)
def test_articles_relations_and_measures_stay_out_and_names_keep_their_words(text: str, nouns: tuple[str, ...]) -> None:
    assert nouns_of(text) == nouns


@pytest.mark.parametrize("text", ["what do you see?", "how many objects are there?", "", "?!", "which is the largest?"])
def test_a_question_about_everything_names_nothing(text: str) -> None:
    assert nouns_of(text) == ()


def test_a_colour_alone_is_said_of_a_thing_unless_an_article_makes_it_one() -> None:
    assert nouns_of("is the box red?") == ("box",)
    assert nouns_of("where is the orange?") == ("orange",)
    assert nouns_of("how many oranges are there?") == ("oranges",)


def test_what_comes_back_is_bounded() -> None:
    assert len(nouns_of(", ".join(f"thing{n}" for n in range(50)))) == MAX_NOUNS
    assert nouns_of("x " * 500) == ()
    assert nouns_of("y" * 500) == ()
