"""A language model without weights: its logits are a hash of everything in its cache, so that any mistake shows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from n3d_ros.codec.box_code import BoxCode
from n3d_ros.codec.grammar import GrammarState
from n3d_ros.codec.model_input import ImageInput, Prompt
from n3d_ros.codec.token_set import TokenSet
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import BackendError
from n3d_ros.inference.backend import MAX_TOP_K, Choices, Chunk, InferenceBackend
from n3d_ros.inference.generation import Generation
from n3d_ros.inference.positions import prompt_positions
from n3d_ros.inference.sampling import Sampler


@dataclass(frozen=True)
class ScriptedVisual:
    """An image as its digest."""

    count: int
    digest: bytes


class ScriptedCache:
    """The tokens held, each with its positions and what it looked at, and a running hash of them all."""

    def __init__(self, backend: ScriptedBackend, entries: tuple[tuple[int, bytes], ...] = ()) -> None:
        self.backend = backend
        self.capacity = backend.capacity
        self.entries = list(entries)

    @property
    def length(self) -> int:
        return len(self.entries)

    @property
    def token_ids(self) -> list[int]:
        return [token for token, _ in self.entries]

    def truncate(self, length: int) -> None:
        assert 0 <= length <= len(self.entries), f"truncate to {length} of {len(self.entries)}"
        del self.entries[length:]

    def fork(self) -> ScriptedCache:
        self.backend.forks += 1
        return ScriptedCache(self.backend, tuple(self.entries))


@dataclass
class ScriptedBackend:
    """Deterministic in numpy alone. ``wishes`` maps a prompt to the answer it should give, ``margin`` logits above all
    others as long as what was written so far is the beginning of that answer; further tokens are hashed noise.

    ``fail_at`` names the forward (counted from 0) that raises; ``bad_logits_at`` the one that returns NaN.
    """

    vocab_size: int
    image_token: int
    capacity: int = 512
    seed: int = 0
    margin: float = 30.0
    wishes: dict[tuple[int, ...], tuple[int, ...]] = field(default_factory=dict)
    fail_at: int | None = None
    bad_logits_at: int | None = None
    name: str = "scripted"
    device: str = "none"
    dtype: str = "float32"
    forwards: int = 0
    images: int = 0
    caches: int = 0
    forks: int = 0
    chunk_lengths: list[int] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        random = np.random.default_rng(0)
        self._noise = np.round(random.standard_normal((3, 97, self.vocab_size)).astype(np.float32), 1)

    def wish(self, prompt: Sequence[int], answer: Sequence[int]) -> None:
        self.wishes[tuple(int(token) for token in prompt)] = tuple(int(token) for token in answer)

    def encode_image(self, image: ImageInput) -> ScriptedVisual:
        self.images += 1
        digest = hashlib.blake2b(image.pixel_values.tobytes() + image.points.tobytes(), digest_size=8).digest()
        return ScriptedVisual(image.token_count, digest)

    def new_cache(self) -> ScriptedCache:
        self.caches += 1
        return ScriptedCache(self)

    def forward(
        self, cache: ScriptedCache, chunk: Chunk, *, choose: Sequence[TokenSet | None] = (), top_k: int = 1
    ) -> Choices | None:
        assert not self.closed and cache.backend is self
        assert 1 <= top_k <= MAX_TOP_K
        assert len(choose) <= len(chunk.token_ids)
        if cache.length + len(chunk.token_ids) > self.capacity:
            raise BackendError(f"Cache: {cache.length} + {len(chunk.token_ids)} tokens do not fit {self.capacity}.")
        if self.forwards == self.fail_at:
            self.forwards += 1
            cache.entries.extend([(-1, b"damaged")] * (len(chunk.token_ids) // 2))
            raise BackendError("Device: out of memory (asked for by the test).")
        self._append(cache, chunk)
        self.forwards += 1
        self.chunk_lengths.append(len(chunk.token_ids))
        if not choose:
            return None
        ends = range(cache.length - len(choose) + 1, cache.length + 1)
        rows = [self._choices(cache, end, allowed, top_k) for end, allowed in zip(ends, choose, strict=True)]
        ids, logits, log_allowed, log_all = zip(*rows, strict=True)
        choices = Choices(
            token_ids=np.stack(ids),
            logits=np.stack(logits),
            log_allowed=np.array(log_allowed, np.float32),
            log_all=np.array(log_all, np.float32),
        )
        if self.forwards - 1 == self.bad_logits_at:
            choices.logits[:] = np.nan
        return choices

    def _append(self, cache: ScriptedCache, chunk: Chunk) -> None:
        places = [visual.digest + bytes([k % 251, k // 251]) for visual in chunk.visual for k in range(visual.count)]
        assert int((chunk.token_ids == self.image_token).sum()) == len(places), "image tokens do not match images"
        looks = iter(places)
        for token, position in zip(chunk.token_ids.tolist(), chunk.position_ids.T.tolist(), strict=True):
            assert 0 <= token < self.vocab_size, f"token {token} is not in the vocabulary"
            seen = next(looks) if token == self.image_token else b""
            before = cache.entries[-1][1] if cache.entries else b"start"
            content = before + repr((token, position)).encode() + seen
            cache.entries.append((token, hashlib.blake2b(content, digest_size=8).digest()))

    def logits(self, cache: ScriptedCache, end: int) -> np.ndarray:
        """(V,) float32 after the first ``end`` tokens; some are equal, so that ties are met."""
        content = int.from_bytes(cache.entries[end - 1][1], "little") ^ self.seed
        logits = (
            self._noise[0, content % 97] + self._noise[1, (content >> 20) % 97] + self._noise[2, (content >> 40) % 97]
        )
        tokens = tuple(cache.token_ids[:end])
        for prompt, answer in self.wishes.items():
            written = tokens[len(prompt) :]
            if tokens[: len(prompt)] == prompt and len(written) < len(answer) and answer[: len(written)] == written:
                logits[answer[len(written)]] += self.margin
        return logits

    def _choices(
        self, cache: ScriptedCache, end: int, allowed: TokenSet | None, top_k: int
    ) -> tuple[np.ndarray, np.ndarray, float, float]:
        logits = self.logits(cache, end)
        masked = logits if allowed is None else np.full_like(logits, -np.inf)
        if allowed is not None:
            masked[allowed.ids] = logits[allowed.ids]
        # Both take the lowest id first among equal logits.
        order = masked.argmax(keepdims=True) if top_k == 1 else np.argsort(-masked, kind="stable")[:top_k]
        return order.astype(np.int64), masked[order], _log_sum_exp(masked), _log_sum_exp(logits)

    def close(self) -> None:
        self.closed = True


def _log_sum_exp(logits: np.ndarray) -> float:
    top = float(logits.max())
    return top + float(np.log(np.exp(logits.astype(np.float64) - top).sum()))


def make_image(seed: int = 0, grid: tuple[int, int] = (4, 6)) -> ImageInput:
    """A small image of noise; patches are shorter than real ones."""
    random = np.random.default_rng(seed)
    return ImageInput(
        pixel_values=random.normal(size=(grid[0] * grid[1], 12)).astype(np.float32),
        grid=grid,
        points=random.normal(size=(8, 12, 4)).astype(np.float32),
    )


def make_prompt(tokenizer: Tokenizer, question: str = "Detect boxes.", image: ImageInput | None = None) -> Prompt:
    """A question behind an image, or alone."""
    visual = [] if image is None else [tokenizer.vision_start, *[tokenizer.image_pad] * image.token_count]
    closing = [] if image is None else [tokenizer.vision_end]
    return Prompt(
        prefix_ids=np.array([*tokenizer.encode("system"), *visual, *closing], dtype=np.int64),
        suffix_ids=np.array([*tokenizer.encode(question), tokenizer.im_end], dtype=np.int64),
    )


def make_box_code(label: str = "chair", bins: Sequence[int] = (512, 433, 287, 500, 62, 150, 71)) -> BoxCode:
    """A box from its seven integers."""
    u, v, depth, angle, size_x, size_y, size_z = bins
    return BoxCode(label=label, u=u, v=v, depth=depth, angle=angle, size_x=size_x, size_y=size_y, size_z=size_z)


def answer_without_cache(
    backend: InferenceBackend,
    prompt: Prompt,
    image: ImageInput | None,
    image_token: int,
    grammar: GrammarState,
    limit: int,
    sampler: Sampler | None = None,
) -> list[int]:
    """The reference: for every token the whole sequence anew, masked, nothing forced, drafted or kept."""
    sampler = sampler or Sampler()
    visual = () if image is None else (backend.encode_image(image),)
    grids = () if image is None else (image.grid,)
    answer: list[int] = []
    while len(answer) < limit:
        ids = np.array([*prompt.token_ids, *answer])
        positions = prompt_positions(ids, grids=grids, image_token=image_token)
        chunk = Chunk(token_ids=ids, position_ids=positions, visual=visual)
        choices = backend.forward(backend.new_cache(), chunk, choose=[grammar.allowed], top_k=sampler.candidates)
        assert choices is not None
        token = sampler.pick(choices, 0).token_id if grammar.only is None else grammar.only
        grammar = grammar.after(token)
        if grammar.is_end:
            break
        answer.append(token)
    return answer


def same_answer(left: Generation, right: Generation) -> bool:
    """Whether two answers have the same tokens for the same reasons, to the last bit."""
    return (
        left.token_ids == right.token_ids
        and left.finish_reason == right.finish_reason
        and np.array_equal(left.log_probs, right.log_probs, equal_nan=True)
        and np.array_equal(left.log_mass, right.log_mass, equal_nan=True)
        and np.array_equal(left.forced, right.forced)
    )
