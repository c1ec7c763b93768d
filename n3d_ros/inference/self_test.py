"""Does a runtime compute what the model computes? Numbers of the exported network, and a runtime held against them.

``n3d export`` lets PyTorch look at a drawn scene and read some text, and keeps what it said beside the graphs. Every
runtime behind ``n3d_ros.inference.backend`` can be given the same: several versions of TensorRT compute transformers
wrongly without a word, so no engine is used that has not passed. Three things are compared:

* the visual tokens of the scene;
* the likeliest tokens after every place of the scene's answer, and of text after 448 and after 1472 other tokens, one
  token at a time and several at a time (the profiles of an engine): cosines of their logits, which is the likeliest,
  and the sum over the whole vocabulary that scores are shares of;
* the boxes that these choices write, in millimetres.

The tokens that are read are always the recorded ones, so one close call does not change what comes after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from n3d_ros.codec.box_code import decode_box
from n3d_ros.codec.box_text import ParsedBox, parse_line
from n3d_ros.codec.frame_input import encode_frame
from n3d_ros.codec.grammar import box_grammar
from n3d_ros.codec.input_options import InputOptions
from n3d_ros.codec.model_input import DecodeContext, ImageInput, Prompt
from n3d_ros.codec.prompts import build_prompt, detection_text
from n3d_ros.codec.token_set import TokenSet
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.inference.backend import Chunk, InferenceBackend, KvCache
from n3d_ros.inference.generation import GenerationConfig, Generator
from n3d_ros.inference.golden_scene import golden_frame
from n3d_ros.inference.graphs import Progress
from n3d_ros.inference.positions import next_position, prompt_positions, text_positions
from n3d_ros.weights.permissions import as_umask_says

FORMAT = 1
USUAL_SIZE = (640, 480)  # of the drawn scene, where graphs take any
ANSWER_TOKENS = 160  # of the scene, at most: four boxes
TOP = 32  # likeliest tokens whose logits are kept
STEPS = 64  # places of text that are compared
PREFIXES = (448, 1472)  # tokens before them; with the places 512, which every capacity holds, and 1536
WAYS: Mapping[str, tuple[int, ...]] = {"steps": (1,), "pieces": (16, 2, 4, 8, 34)}
"""Ways of reading text: so many tokens at a time, in turn."""
CLEAR_MARGIN = 0.02  # of the range of a place's logits: by so much the likeliest must lead to count
GOLDEN_CAPACITY = PREFIXES[-1] + STEPS

_SEED = 7
_LARGEST_HALF = 6e4
_PICTURE = "picture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a runtime must reach.

    Args:
        cosine: mean over places or visual tokens.
        least_cosine: of every single one.
        same_choice: share of the clear places at which the likeliest token is the same.
        log_sum: largest difference of the logarithm of the sum over the vocabulary.
        box_mm: mean distance that corners of boxes may move.
        same_boxes: share of boxes that are still boxes of the same name.
    """

    cosine: float
    least_cosine: float
    same_choice: float
    log_sum: float
    box_mm: float
    same_boxes: float


LIMITS: Mapping[str, Limits] = {
    "float32": Limits(cosine=0.9999, least_cosine=0.999, same_choice=1.0, log_sum=0.01, box_mm=1.0, same_boxes=1.0),
    "float16": Limits(cosine=0.999, least_cosine=0.97, same_choice=0.98, log_sum=0.1, box_mm=10.0, same_boxes=0.75),
    "bfloat16": Limits(cosine=0.98, least_cosine=0.7, same_choice=0.95, log_sum=0.3, box_mm=25.0, same_boxes=0.75),
}
"""By the dtype of the weights. Half precision: about twice as far as n3d-nano in that dtype is from itself in float32,
with PyTorch on a CPU (bfloat16: mean cosine 0.99, least 0.87, 97.7 % the same, 0.1, 7.5 mm; float16: 0.9999, 0.9987,
100 %, 3.4 mm). Nothing of it was measured on a GPU. Wrong kernels are much farther away."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """What may follow each token of a sequence.

    Args:
        token_ids: (T,) int64 tokens that are read.
        top_ids: (T, K) int64 likeliest tokens after each.
        logits: (T, K) float32 of them.
        log_sums: (T,) float32 log-sum-exp over the vocabulary.
    """

    token_ids: NDArray[np.int64]
    top_ids: NDArray[np.int64]
    logits: Float32Array
    log_sums: Float32Array

    def first(self, count: int) -> Places:
        """The first of them.

        Args:
            count: how many.

        Returns:
            A part.
        """
        return Places(
            token_ids=self.token_ids[:count],
            top_ids=self.top_ids[:count],
            logits=self.logits[:count],
            log_sums=self.log_sums[:count],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Goldens:
    """What the network said.

    Args:
        size: width and height of the drawn scene.
        yaw: of the boxes' grammar, "free" or "zero".
        visual: (M, h) float32 visual tokens.
        answer: (A,) int64 tokens of the answer about the scene.
        places: by name: "picture", the prompt's words and the answer behind the image; and one for each of
            ``PREFIXES``.
    """

    size: tuple[int, int]
    yaw: str
    visual: Float32Array
    answer: NDArray[np.int64]
    places: Mapping[str, Places]


def record_goldens(
    backend: InferenceBackend,
    tokenizer: Tokenizer,
    options: InputOptions,
    *,
    yaw: str,
    size: tuple[int, int] = USUAL_SIZE,
    on_progress: Progress | None = None,
) -> Goldens:
    """What a runtime says that is taken to be right.

    Args:
        backend: of a capacity of ``GOLDEN_CAPACITY`` and a long answer.
        tokenizer: of the model.
        options: how frames are shown to it.
        yaw: of the boxes' grammar, "free" or "zero".
        size: of the drawn scene.
        on_progress: told how far it is.

    Returns:
        The numbers.
    """
    tell = on_progress or (lambda _sentence, _share: None)
    scene = _Scene(backend, tokenizer, options, size)
    tell("Looking at the drawn scene", 0.0)
    generation = Generator(backend, tokenizer).generate(
        scene.prompt,
        scene.image,
        grammar=box_grammar(tokenizer, yaw="zero" if yaw == "zero" else "free"),
        config=GenerationConfig(max_new_tokens=ANSWER_TOKENS, expected_runs=False),
    )
    answer = np.array(generation.token_ids, dtype=np.int64)
    visual = _visual(backend, scene.image)
    tell("Reading its answer", 0.4)
    places = {_PICTURE: _recorded(backend, scene.begin(visual), scene.read(answer))}
    rest = _text(backend.vocab_size)
    cache = backend.new_cache()
    for length in PREFIXES:
        tell(f"Reading {length + STEPS} tokens of text", 0.5 + 0.5 * length / GOLDEN_CAPACITY)
        _forward_text(backend, cache, rest[cache.length : length])
        places[str(length)] = _recorded(backend, cache, _text_chunk(rest, length, STEPS))
    return Goldens(size=size, yaw=yaw, visual=_numbers(visual), answer=answer, places=places)


def write_goldens(file: Path, goldens: Goldens) -> None:
    """Writes the numbers.

    Args:
        file: to write.
        goldens: what to write; visual tokens in half precision where it holds them.

    Raises:
        BackendError: they are not finite.
    """
    tensors: dict[str, NDArray[Any]] = {
        "visual": goldens.visual.astype(np.float16 if np.abs(goldens.visual).max() < _LARGEST_HALF else np.float32),
        "answer": goldens.answer.astype(np.int32),
    }
    for name, places in goldens.places.items():
        tensors[f"{name}.token_ids"] = places.token_ids.astype(np.int32)
        tensors[f"{name}.top_ids"] = places.top_ids.astype(np.int32)
        tensors[f"{name}.logits"] = places.logits
        tensors[f"{name}.log_sums"] = places.log_sums
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise BackendError("What the network says of the drawn scene is no number; export in bfloat16 or float32.")
    about = {"format": FORMAT, "size": goldens.size, "yaw": goldens.yaw}
    save_file(tensors, file, metadata={"n3d_goldens": json.dumps(about)})
    as_umask_says(file)


def read_goldens(file: Path) -> Goldens:
    """The numbers of a file.

    Args:
        file: that ``write_goldens`` wrote.

    Returns:
        The numbers.

    Raises:
        ConfigurationError: the file is missing or of another version.
    """
    try:
        with safe_open(file, framework="np") as opened:
            about = json.loads((opened.metadata() or {}).get("n3d_goldens", "{}"))
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError, ValueError) as error:
        raise ConfigurationError(
            f"{file}: expected the numbers that `n3d export` keeps for a self-test ({error}); export the model again."
        ) from error
    names = {name.rpartition(".")[0] for name in tensors if name.endswith(".logits")}
    if about.get("format") != FORMAT or not {"visual", "answer"} <= set(tensors) or _PICTURE not in names:
        raise ConfigurationError(f"{file}: expected goldens of format {FORMAT}; export the model again.")
    return Goldens(
        size=(int(about["size"][0]), int(about["size"][1])),
        yaw=str(about["yaw"]),
        visual=tensors["visual"].astype(np.float32),
        answer=tensors["answer"].astype(np.int64),
        places={
            name: Places(
                token_ids=tensors[f"{name}.token_ids"].astype(np.int64),
                top_ids=tensors[f"{name}.top_ids"].astype(np.int64),
                logits=tensors[f"{name}.logits"],
                log_sums=tensors[f"{name}.log_sums"],
            )
            for name in names
        },
    )


def measure(
    backend: InferenceBackend,
    tokenizer: Tokenizer,
    options: InputOptions,
    goldens: Goldens,
    on_progress: Progress | None = None,
) -> dict[str, float]:
    """How far a runtime is from the numbers.

    Args:
        backend: to be tested.
        tokenizer: of the model.
        options: how frames are shown to it.
        goldens: of the same model.
        on_progress: told how far it is; what it raises ends the test.

    Returns:
        By name: for "vision", "picture" and each text ``..._cosine`` and ``..._least_cosine``; of the texts
        ``..._same_choice`` and ``..._log_sum``; "box_mm" and "same_boxes" where the answer has boxes.

    Raises:
        BackendError: the runtime failed.
    """
    tell = on_progress or (lambda _sentence, _share: None)
    scene = _Scene(backend, tokenizer, options, goldens.size)
    tell("Self-test: the picture", 0.0)
    visual = _visual(backend, scene.image)
    found = _cosines("vision", _cosine(_numbers(visual), goldens.visual))
    goldens = _fitting(goldens, scene, backend.capacity)
    golden = goldens.places[_PICTURE]
    for number, (way, sizes) in enumerate(WAYS.items() if len(golden.token_ids) else ()):
        tell(f"Self-test: the answer, {_told(sizes)}", 0.1 + 0.1 * number)
        chunk = scene.read(goldens.answer)
        found |= _compared(f"{_PICTURE}_{way}", golden, *_logits(backend, scene.begin(visual), chunk, golden, sizes))
    found |= _boxes(backend, scene, visual, goldens)
    lengths = [length for length in PREFIXES if length + STEPS <= backend.capacity]
    if not lengths:
        raise BackendError(
            f"Self-test: expected room for {PREFIXES[0] + STEPS} tokens, got {backend.capacity}; raise the capacity."
        )
    for number, length in enumerate(lengths):
        tell(f"Self-test: text of {length} tokens", 0.4 + 0.6 * number / len(lengths))
        found |= measure_text(backend, goldens, length, f"text{length}")
    return found


def measure_text(backend: InferenceBackend, goldens: Goldens, length: int, name: str) -> dict[str, float]:
    """How far a runtime is from the numbers of one text.

    Args:
        backend: to be tested.
        goldens: of the same model.
        length: tokens before the places that are compared, one of ``PREFIXES``.
        name: of the figures.

    Returns:
        As ``measure``.

    Raises:
        BackendError: the runtime failed, or the numbers lack this text.
    """
    if str(length) not in goldens.places:
        raise BackendError(f"Self-test: the kept numbers lack the text of {length} tokens; export the model again.")
    text, golden, cache = _text(backend.vocab_size), goldens.places[str(length)], backend.new_cache()
    _forward_text(backend, cache, text[:length])
    found: dict[str, float] = {}
    for way, sizes in WAYS.items():
        cache.truncate(length)
        read = _text_chunk(text, length, STEPS)
        found |= _compared(f"{name}_{way}", golden, *_logits(backend, cache, read, golden, sizes))
    return found


def golden_capacity(tokenizer: Tokenizer, options: InputOptions, size: tuple[int, int]) -> int:
    """How long a sequence a runtime must hold to record the numbers.

    Args:
        tokenizer: of the model.
        options: how frames are shown to it.
        size: of the drawn scene.

    Returns:
        Tokens.
    """
    image, _ = encode_frame(golden_frame(*size), options)
    prompt = build_prompt(tokenizer, detection_text(), image.token_count)
    return max(GOLDEN_CAPACITY, len(prompt.token_ids) + ANSWER_TOKENS)


def failures(found: Mapping[str, float], dtype: str) -> list[str]:
    """What a runtime does not reach.

    Args:
        found: of ``measure``.
        dtype: of the weights.

    Returns:
        Sentences; empty where it passes.
    """
    limits = LIMITS[dtype]
    kinds = (
        ("_least_cosine", limits.least_cosine, False),
        ("_cosine", limits.cosine, False),
        ("_same_choice", limits.same_choice, False),
        ("_log_sum", limits.log_sum, True),
        ("same_boxes", limits.same_boxes, False),
        ("box_mm", limits.box_mm, True),
    )
    told = []
    for name, value in found.items():
        _, limit, is_upper = next(kind for kind in kinds if name.endswith(kind[0]))
        if not (value <= limit if is_upper else value >= limit):  # NaN fails too
            told.append(f"{name} {value:.4g}, expected at {'most' if is_upper else 'least'} {limit:g}")
    return told


class _Scene:
    """The drawn scene as a model takes it.

    Args:
        backend: whose images and sequences these are.
        tokenizer: of the model.
        options: how frames are shown to it.
        size: width and height.
    """

    def __init__(
        self, backend: InferenceBackend, tokenizer: Tokenizer, options: InputOptions, size: tuple[int, int]
    ) -> None:
        self._backend, self.tokenizer = backend, tokenizer
        self.image: ImageInput
        self.context: DecodeContext
        self.image, self.context = encode_frame(golden_frame(*size), options)
        self.prompt: Prompt = build_prompt(tokenizer, detection_text(), self.image.token_count)
        self._positions = prompt_positions(
            self.prompt.prefix_ids, grids=(self.image.grid,), image_token=tokenizer.image_pad
        )

    def begin(self, visual: Any) -> KvCache:
        """A cache with the image's part of the prompt."""
        cache = self._backend.new_cache()
        prefix = Chunk(token_ids=self.prompt.prefix_ids, position_ids=self._positions, visual=(visual,))
        self._backend.forward(cache, prefix)
        return cache

    def read(self, answer: NDArray[np.int64]) -> Chunk:
        """The words behind the image, and an answer."""
        ids = np.concatenate([self.prompt.suffix_ids, answer])
        return Chunk(token_ids=ids, position_ids=text_positions(next_position(self._positions), len(ids)))


def _fitting(goldens: Goldens, scene: _Scene, capacity: int) -> Goldens:
    """As much of the answer about the scene as a capacity holds behind the prompt; none where that does not fit."""
    room = capacity - len(scene.prompt.prefix_ids) - len(scene.prompt.suffix_ids)
    if room >= len(goldens.answer):
        return goldens
    answer = goldens.answer[: max(room, 0)]
    kept = len(scene.prompt.suffix_ids) + len(answer) if room >= 0 else 0
    part = goldens.places[_PICTURE].first(kept)
    return replace(goldens, answer=answer, places={**goldens.places, _PICTURE: part})


def _visual(backend: InferenceBackend, image: ImageInput) -> Any:
    return backend.encode_image(image)


def _numbers(visual: Any) -> Float32Array:
    """(M, h) of encoded images."""
    embeds: torch.Tensor = visual.embeds
    found: Float32Array = embeds.float().cpu().numpy()
    return found


def _recorded(backend: InferenceBackend, cache: KvCache, chunk: Chunk) -> Places:
    """The likeliest tokens after every token of a chunk."""
    choices = backend.forward(cache, chunk, choose=[None] * len(chunk.token_ids), top_k=min(TOP, backend.vocab_size))
    assert choices is not None
    return Places(token_ids=chunk.token_ids, top_ids=choices.token_ids, logits=choices.logits, log_sums=choices.log_all)


def _logits(
    backend: InferenceBackend, cache: KvCache, chunk: Chunk, golden: Places, sizes: tuple[int, ...]
) -> tuple[Float32Array, Float32Array]:
    """(T, K) logits of the recorded tokens and (T,) log-sum-exp after every token of a chunk, some at a time."""
    if not np.array_equal(chunk.token_ids, golden.token_ids):
        raise BackendError("Self-test: the numbers were kept of another tokenizer or prompt; export the model again.")
    rows, sums = [], []
    for part, piece in _pieces(chunk, sizes):
        ids = golden.top_ids[part]
        choices = backend.forward(cache, piece, choose=[TokenSet(row) for row in ids], top_k=ids.shape[1])
        assert choices is not None
        order, wanted = np.argsort(choices.token_ids, axis=1), np.argsort(np.argsort(ids, axis=1), axis=1)
        rows.append(np.take_along_axis(np.take_along_axis(choices.logits, order, axis=1), wanted, axis=1))
        sums.append(choices.log_all)
    return np.concatenate(rows), np.concatenate(sums)


def _pieces(chunk: Chunk, sizes: tuple[int, ...]) -> Iterator[tuple[slice, Chunk]]:
    """A chunk without images, so many tokens at a time in turn."""
    begin, turn = 0, 0
    while begin < len(chunk.token_ids):
        part = slice(begin, begin + sizes[turn % len(sizes)])
        yield part, Chunk(token_ids=chunk.token_ids[part], position_ids=chunk.position_ids[:, part])
        begin, turn = part.stop, turn + 1


def _told(sizes: tuple[int, ...]) -> str:
    return "one by one" if sizes == (1,) else "several at a time"


def _compared(name: str, golden: Places, logits: Float32Array, log_sums: Float32Array) -> dict[str, float]:
    """Figures of one way of reading a text."""
    centered = (each - each.mean(axis=1, keepdims=True) for each in (logits, golden.logits))
    spread = golden.logits.max(axis=1) - golden.logits.min(axis=1)
    is_clear = golden.logits[:, 0] - golden.logits[:, 1] > CLEAR_MARGIN * spread
    same = logits.argmax(axis=1) == golden.logits.argmax(axis=1)
    figures = _cosines(name, _cosine(*centered))
    return {
        **figures,
        f"{name}_same_choice": float(same[is_clear].mean()) if is_clear.any() else 1.0,
        f"{name}_log_sum": float(np.abs(log_sums - golden.log_sums).max()),
    }


def _cosines(name: str, cosines: Float32Array) -> dict[str, float]:
    return {f"{name}_cosine": float(cosines.mean()), f"{name}_least_cosine": float(cosines.min())}


def _cosine(found: Float32Array, golden: Float32Array) -> Float32Array:
    """(N,) of (N, D) each; NaN where sizes differ or a number is none."""
    if found.shape != golden.shape:
        return np.full(max(len(golden), 1), np.nan, dtype=np.float32)
    one, other = found.astype(np.float64), golden.astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    same = (lengths == 0) & (one == other).all(axis=1)
    cosines = np.where(same, 1.0, (one * other).sum(axis=1) / np.where(lengths == 0, np.nan, lengths))
    return cosines.astype(np.float32)


def _boxes(backend: InferenceBackend, scene: _Scene, visual: Any, goldens: Goldens) -> dict[str, float]:
    """How far boxes move when each token of the answer is the runtime's own choice behind the recorded ones."""
    state = box_grammar(scene.tokenizer, yaw="zero" if goldens.yaw == "zero" else "free")
    allowed: list[TokenSet | None] = []
    for token in goldens.answer:
        allowed.append(state.allowed)
        state = state.after(int(token))
    if not allowed:
        return {}
    chunk, cache = scene.read(goldens.answer[:-1]), scene.begin(visual)
    behind = len(scene.prompt.suffix_ids) - 1
    chosen: list[int] = []
    for part, piece in _pieces(chunk, WAYS["pieces"]):
        places = range(part.start, part.start + len(piece.token_ids))
        wanted = [place for place in places if place >= behind]
        choices = backend.forward(cache, piece, choose=[allowed[place - behind] for place in wanted])
        chosen += [] if choices is None else [int(token) for token in choices.token_ids[:, 0]]
    return _moved(scene, goldens.answer, np.array(chosen, dtype=np.int64))


def _moved(scene: _Scene, answer: NDArray[np.int64], chosen: NDArray[np.int64]) -> dict[str, float]:
    """The figures of two answers whose lines have the same tokens, but for the choices."""
    moves, same = [], []
    for part in _lines(scene.tokenizer, answer):
        expected, found = (parse_line(scene.tokenizer.decode(ids[part]).strip()) for ids in (answer, chosen))
        if not isinstance(expected, ParsedBox):
            continue
        is_same = isinstance(found, ParsedBox) and found.code.label == expected.code.label
        same.append(is_same)
        if is_same and isinstance(found, ParsedBox):
            corners = [decode_box(each.code, scene.context).corners for each in (expected, found)]
            moves.append(float(np.linalg.norm(corners[0] - corners[1], axis=1).mean()) * 1e3)
    if not same:
        return {}
    return {"same_boxes": float(np.mean(same)), "box_mm": float(np.mean(moves)) if moves else float("nan")}


def _lines(tokenizer: Tokenizer, answer: Sequence[int] | NDArray[np.int64]) -> list[slice]:
    """The tokens of each whole line."""
    ends = [place + 1 for place, token in enumerate(answer) if "\n" in tokenizer.decode([int(token)])]
    return [slice(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]


def _text(vocab_size: int) -> NDArray[np.int64]:
    """Tokens that mean nothing, the same everywhere; low ids, which every model has and which are no special ones."""
    return np.random.default_rng(_SEED).integers(0, min(vocab_size, 1000), GOLDEN_CAPACITY)


def _text_chunk(text: NDArray[np.int64], begin: int, count: int) -> Chunk:
    return Chunk(token_ids=text[begin : begin + count], position_ids=text_positions(begin, count))


def _forward_text(backend: InferenceBackend, cache: KvCache, ids: NDArray[np.int64]) -> None:
    """Reads text behind what is in a cache."""
    if len(ids):
        backend.forward(cache, Chunk(token_ids=ids, position_ids=text_positions(cache.length, len(ids))))
