"""Prefixes: kept for the same image and the same words, never for others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from n3d_ros.codec.model_input import ImageInput, Prompt
from n3d_ros.errors import BackendError, InputError
from n3d_ros.inference.backend import Chunk
from n3d_ros.inference.positions import text_positions
from n3d_ros.inference.prefix import Prefix, PrefixStore
from scripted_backend import ScriptedBackend, make_image

IMAGE = 9


class ComputedAtOnce(PrefixStore):
    """Prefixes that do not wait for their question."""

    def get(self, *args: Any, **kwargs: Any) -> Prefix:
        prefix = super().get(*args, **kwargs)
        prefix.complete(self._backend)
        return prefix


def make_store(kept: int = 1, kind: type[PrefixStore] = ComputedAtOnce) -> tuple[ScriptedBackend, PrefixStore]:
    backend = ScriptedBackend(vocab_size=50, image_token=IMAGE, capacity=64)
    return backend, kind(backend, image_token=IMAGE, kept=kept)


def make_question(image: ImageInput | None, first: int = 1) -> Prompt:
    visual = [IMAGE] * (0 if image is None else image.token_count)
    return Prompt(prefix_ids=np.array([first, 2, *visual, 3]), suffix_ids=np.array([4, 5]))


def changed(image: ImageInput, name: str, place: tuple[int, ...]) -> ImageInput:
    values = np.array(getattr(image, name))
    values[place] += 1e-3
    return replace(image, **{name: values})


def test_a_prefix_is_computed_once_and_rewound() -> None:
    backend, store = make_store()
    image = make_image()
    first = store.get(make_question(image), image)
    assert not first.is_reused and first.length == 9 and first.position == 6  # 2 words, 3 columns, 1 word
    backend.forward(first.cache, Chunk(token_ids=np.array([7]), position_ids=text_positions(6, 1)))
    again = store.get(make_question(image), image)
    assert again.is_reused and again.cache is first.cache and again.cache.length == 9
    assert (backend.images, backend.caches, backend.forwards) == (1, 1, 2)


def test_a_new_prefix_goes_with_its_question_in_one_forward() -> None:
    backend, store = make_store(kind=PrefixStore)
    image = make_image()
    prefix = store.get(make_question(image), image)
    question = Chunk(token_ids=np.array([4, 5]), position_ids=text_positions(prefix.position, 2))
    backend.forward(prefix.cache, prefix.with_question(question))
    assert (backend.forwards, prefix.cache.length) == (1, 11)
    whole = prefix.cache.entries  # type: ignore[attr-defined]
    backend, store = make_store()
    prefix = store.get(make_question(image), image)
    backend.forward(prefix.cache, prefix.with_question(question))
    assert (backend.forwards, prefix.cache.entries) == (2, whole)  # type: ignore[attr-defined]


def test_a_prefix_whose_question_never_came_keeps_its_encoded_image() -> None:
    backend, store = make_store(kind=PrefixStore)
    image = make_image()
    store.get(make_question(image), image)
    again = store.get(make_question(image), image)
    assert (backend.images, backend.forwards, again.is_reused, again.cache.length) == (1, 0, False, 0)


def test_frames_are_told_apart_without_reading_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    compare = np.array_equal

    def counted(one: np.ndarray, other: np.ndarray) -> bool:
        read.append(one.size)
        return compare(one, other)

    monkeypatch.setattr(np, "array_equal", counted)
    _, store = make_store(kept=2)
    images = [make_image(seed) for seed in range(3)]
    for image in images:
        store.get(make_question(image), image)
        store.get(make_question(image), image)  # the same object
    assert max(read) < images[0].pixel_values.size


def test_an_equal_image_in_another_object_is_the_same_image() -> None:
    backend, store = make_store()
    store.get(make_question(make_image()), make_image())
    assert store.get(make_question(make_image()), make_image()).is_reused
    assert backend.images == 1


@pytest.mark.parametrize(("name", "place"), [("pixel_values", (23, 11)), ("points", (7, 11, 2)), ("points", (0, 0, 3))])
def test_one_changed_value_is_another_image(name: str, place: tuple[int, ...]) -> None:
    backend, store = make_store(kept=2)
    image = make_image()
    first = store.get(make_question(image), image)
    other = store.get(make_question(image), changed(image, name, place))
    assert not other.is_reused and backend.images == 2
    assert other.cache.entries != first.cache.entries  # type: ignore[attr-defined]


def test_the_same_values_in_another_shape_are_another_image() -> None:
    _, store = make_store(kept=2)
    image = make_image(grid=(4, 6))
    turned = replace(image, grid=(6, 4))
    store.get(make_question(image), image)
    assert not store.get(make_question(turned), turned).is_reused
    flat = replace(image, points=np.array(image.points).reshape(12, 8, 4))
    assert not store.get(make_question(flat), flat).is_reused


def test_other_words_before_the_image_are_another_prefix() -> None:
    _, store = make_store(kept=2)
    image = make_image()
    store.get(make_question(image), image)
    assert not store.get(make_question(image, first=8), image).is_reused


def test_the_oldest_gives_its_cache_to_the_newest() -> None:
    backend, store = make_store(kept=2)
    images = [make_image(seed) for seed in range(3)]
    for image in (images[0], images[1], images[0], images[2]):  # the second is the oldest by then
        store.get(make_question(image), image)
    assert backend.caches == 2
    assert store.get(make_question(images[0]), images[0]).is_reused
    assert not store.get(make_question(images[1]), images[1]).is_reused


def test_a_prompt_without_image_has_a_prefix_too() -> None:
    backend, store = make_store()
    assert not store.get(make_question(None), None).is_reused
    assert store.get(make_question(None), None).is_reused
    assert backend.images == 0


def test_after_a_failure_nothing_is_kept() -> None:
    backend, store = make_store()
    backend.fail_at = 0
    image = make_image()
    with pytest.raises(BackendError):
        store.get(make_question(image), image)
    assert not store.get(make_question(image), image).is_reused


def test_forgotten_and_unsound_prefixes_are_computed_anew() -> None:
    _, store = make_store()
    image = make_image()
    store.get(make_question(image), image).is_sound = False
    found = store.get(make_question(image), image)
    assert not found.is_reused and found.is_sound
    store.forget()
    assert not store.get(make_question(image), image).is_reused


def test_a_checkpoint_stops_before_the_image_is_encoded() -> None:
    backend, store = make_store()

    def stop() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        store.get(make_question(make_image()), make_image(), checkpoint=stop)
    assert backend.images == 0


def test_an_image_of_another_size_and_an_empty_prefix_are_refused() -> None:
    _, store = make_store()
    with pytest.raises(InputError, match="image tokens"):
        store.get(make_question(make_image()), make_image(grid=(4, 4)))
    with pytest.raises(InputError, match="at least one token"):
        store.get(Prompt(prefix_ids=np.zeros(0, np.int64), suffix_ids=np.array([1])), None)
    with pytest.raises(InputError):
        make_store(kept=0)
