"""Generator: answers of a language model, token by token, within a grammar.

One pass of the loop appends the tokens that are certain (the last one chosen, and what the grammar forces behind it)
together with a draft, asks the backend what may follow each, and keeps the draft as far as the model agrees::

    cache | certain ... | draft ...           one forward
                      ^       ^     ^         a choice behind each; the first that differs from the draft ends the pass

The tokens are those of the plain loop, which writes one token per forward and only masks: greedy decoding takes the
likeliest allowed token either way, and sampling draws one random number per choice in the order of the text. What a
backend computes for a token may differ in the last bits with the number of tokens beside it; only where two tokens are
that close can the ways of writing part.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from n3d_ros.codec.grammar import GrammarState
from n3d_ros.codec.model_input import ImageInput, Prompt
from n3d_ros.codec.token_set import TokenSet
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import BoolArray, Float32Array
from n3d_ros.inference.backend import Chunk, InferenceBackend, KvCache
from n3d_ros.inference.drafting import Drafter
from n3d_ros.inference.positions import text_positions
from n3d_ros.inference.prefix import Prefix, PrefixStore
from n3d_ros.inference.sampling import Sampler

if TYPE_CHECKING:
    from n3d_ros.codec.tokenizer import Tokenizer

MAX_DRAFT_TOKENS = 64
MAX_PARALLEL = 4  # questions answered side by side; each takes a cache of its own

FinishReason = Literal["end", "length", "deadline", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationConfig:
    """How an answer is written.

    Args:
        max_new_tokens: at most so many tokens; fewer where the backend's capacity ends before.
        temperature: 0 takes the likeliest allowed token; above, tokens are drawn.
        top_p: drawn from the likeliest tokens that hold this share, above 0 to 1.
        top_k: drawn from at most so many, 1 to 64; 0 means 64.
        seed: of the draws.
        forced_runs: tokens that the grammar forces go with the next forward instead of one each.
        expected_runs: so do tokens that are expected (another box, of the class before, not turned), verified; the
            answer is the same.
        drafting: so do tokens that repeat earlier boxes' numbers or the text before, verified; the answer is the same.
        draft_tokens: at most so many tokens are guessed at once, 1 to 64.
    """

    max_new_tokens: int = 1024
    temperature: float = 0.0
    top_p: float = 0.95
    top_k: int = 10
    seed: int = 0
    forced_runs: bool = True
    expected_runs: bool = True
    drafting: bool = False
    draft_tokens: int = 12

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            InputError: a value out of its range.
        """
        if self.max_new_tokens < 1:
            raise InputError(f"max_new_tokens: expected 1 or more, got {self.max_new_tokens}.")
        if not 1 <= self.draft_tokens <= MAX_DRAFT_TOKENS:
            raise InputError(f"draft_tokens: expected 1 to {MAX_DRAFT_TOKENS}, got {self.draft_tokens}.")
        self.sampler()

    def sampler(self) -> Sampler:
        """A new sampler, at the beginning of its random numbers.

        Returns:
            The sampler.
        """
        return Sampler(temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One token of an answer.

    Args:
        token_id: the token.
        log_prob: log of its share among the allowed tokens; NaN where it was forced.
        log_mass: log of the allowed tokens' share of the vocabulary; NaN where it was forced.
        forced: the grammar left no choice.
    """

    token_id: int
    log_prob: float
    log_mass: float
    forced: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Generation:
    """An answer.

    Args:
        token_ids: of length T, without prompt and without the token that ends it.
        log_probs: (T,) float32 log share of each token among those allowed; NaN where it was forced.
        log_mass: (T,) float32 log share of the vocabulary that was allowed; NaN where the token was forced.
        forced: (T,) bool, where the grammar left no choice.
        finish_reason: "end" the answer is complete; "length" the limit of tokens or the capacity came first;
            "deadline"; "cancelled".
        passes: forwards after the one of the question.
        prefix_reused: the image's part of the prompt was there already.
        vision_ms: encoding the image; 0 when its part of the prompt was reused.
        prefill_ms: the prompt, image part and question.
        first_token_ms: from the call to the first token, all before included; NaN when there is none.
        decode_ms: all forwards after the one of the question.
    """

    token_ids: tuple[int, ...]
    log_probs: Float32Array
    log_mass: Float32Array
    forced: BoolArray
    finish_reason: FinishReason
    passes: int
    prefix_reused: bool
    vision_ms: float
    prefill_ms: float
    first_token_ms: float
    decode_ms: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GenerationRequest:
    """One question, with all that belongs to its answer.

    Args:
        prompt: the question behind its prefix.
        grammar: the answer's first state.
        config: how it is written.
        on_tokens: called with the new tokens after every forward that brought some.
        is_cancelled: asked before every forward; once true, the answer ends with what is there.
        deadline_s: ``time.monotonic()`` at which the answer ends with what is there.
    """

    prompt: Prompt
    grammar: GrammarState
    config: GenerationConfig = GenerationConfig()
    on_tokens: Callable[[Sequence[Step]], None] | None = None
    is_cancelled: Callable[[], bool] | None = None
    deadline_s: float | None = None

    def stop_reason(self) -> FinishReason | None:
        """Why to stop now; None to go on."""
        if self.is_cancelled is not None and self.is_cancelled():
            return "cancelled"
        if self.deadline_s is not None and time.monotonic() >= self.deadline_s:
            return "deadline"
        return None


class Generator:
    """Answers questions about images. Owned and called by one thread.

    Args:
        backend: runs the networks.
        tokenizer: of the model; only its image token is used.
        kept_prefixes: how many images (or prompts without image) stay ready for a further question, each in a cache of
            the backend's capacity.
        max_parallel: how many questions of one call are answered side by side, each in a cache of its own.

    Raises:
        InputError: a count below one.
    """

    def __init__(
        self,
        backend: InferenceBackend,
        tokenizer: Tokenizer,
        *,
        kept_prefixes: int = 1,
        max_parallel: int = MAX_PARALLEL,
    ) -> None:
        if max_parallel < 1:
            raise InputError(f"max_parallel: expected at least 1, got {max_parallel}.")
        self._backend = backend
        self._prefixes = PrefixStore(backend, image_token=tokenizer.image_pad, kept=kept_prefixes)
        self._max_parallel = max_parallel

    def generate(
        self,
        prompt: Prompt,
        image: ImageInput | None,
        *,
        grammar: GrammarState,
        config: GenerationConfig | None = None,
        on_tokens: Callable[[Sequence[Step]], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
        deadline_s: float | None = None,
    ) -> Generation:
        """The answer to one question.

        Args:
            prompt: the question behind its prefix.
            image: what it is about; None for text alone.
            grammar: the answer's first state.
            config: how it is written; None: greedily.
            on_tokens: called with the new tokens after every forward that brought some.
            is_cancelled: asked before every forward; once true, the answer ends with what is there.
            deadline_s: ``time.monotonic()`` at which the answer ends with what is there.

        Returns:
            The answer, complete or not: see its ``finish_reason``.

        Raises:
            InputError: the prompt is longer than the capacity, or does not match the image.
            BackendError: the device failed.
        """
        request = GenerationRequest(
            prompt=prompt,
            grammar=grammar,
            config=config or GenerationConfig(),
            on_tokens=on_tokens,
            is_cancelled=is_cancelled,
            deadline_s=deadline_s,
        )
        return self.generate_many([request], image)[0]

    def generate_many(self, requests: Sequence[GenerationRequest], image: ImageInput | None) -> tuple[Generation, ...]:
        """The answers to several questions about one image, as if each were asked alone.

        The prefix is computed once and forked. Answers are written side by side, one forward each in turn.

        Args:
            requests: the questions. Those of another prefix than the first come after the others.
            image: what they are about; None for text alone.

        Returns:
            The answers in the order of the questions.

        Raises:
            InputError: a prompt is longer than the capacity, or does not match the image.
            BackendError: the device failed.
        """
        start = time.perf_counter()
        for request in requests:
            self._check_length(request.prompt)
        groups: dict[bytes, list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(request.prompt.prefix_ids.tobytes(), []).append(index)
        answers: dict[int, Generation] = {}
        for group in groups.values():
            answers.update(self._generate_group({index: requests[index] for index in group}, image, start))
        return tuple(answers[index] for index in range(len(requests)))

    def forget(self) -> None:
        """Drops the kept prefixes."""
        self._prefixes.forget()

    def _check_length(self, prompt: Prompt) -> None:
        length, capacity = len(prompt.prefix_ids) + len(prompt.suffix_ids), self._backend.capacity
        if length >= capacity:
            raise InputError(
                f"Prompt: expected at most {capacity - 1} tokens (capacity {capacity}, one for the answer), got "
                f"{length}. Shorten the question, use a smaller image or raise the capacity."
            )
        if len(prompt.suffix_ids) == 0:
            raise InputError("Prompt.suffix_ids: expected at least one token, got none.")

    def _generate_group(
        self, requests: dict[int, GenerationRequest], image: ImageInput | None, start: float
    ) -> dict[int, Generation]:
        """The answers to questions that share a prefix."""
        stops: dict[int, FinishReason] = {}

        def checkpoint() -> None:
            """Raises once nobody waits for an answer any more."""
            for index, request in requests.items():
                reason = stops.get(index) or request.stop_reason()
                if reason is None:
                    return
                stops[index] = reason
            raise _NobodyWaitsError

        try:
            prefix = self._prefixes.get(next(iter(requests.values())).prompt, image, checkpoint=checkpoint)
        except _NobodyWaitsError:
            return {index: _nothing(stops[index]) for index in requests}
        try:
            return self._answer_side_by_side(requests, prefix, start)
        finally:
            if not prefix.is_sound:
                self._prefixes.forget()

    def _answer_side_by_side(
        self, requests: dict[int, GenerationRequest], prefix: Prefix, start: float
    ) -> dict[int, Generation]:
        waiting = deque(requests.items())
        forks = min(len(requests), self._max_parallel) - 1
        if forks:
            prefix.complete(self._backend)
        free = [*(prefix.cache.fork() for _ in range(forks)), prefix.cache]
        running: deque[tuple[int, _Answer]] = deque()
        answers: dict[int, Generation] = {}
        while waiting or running:
            while waiting and free:
                index, request = waiting.popleft()
                running.append((index, _Answer(self._backend, free.pop(), prefix, request, start)))
            index, answer = running.popleft()
            if answer.advance():
                running.append((index, answer))
            else:
                answers[index] = answer.result()
                prefix.rewind(answer.cache)
                free.append(answer.cache)
        return answers


class _NobodyWaitsError(Exception):
    """All questions were cancelled or timed out before the prompt was computed."""


class _Answer:
    """One answer while it is written.

    Args:
        backend: runs the networks.
        cache: holds the prefix.
        prefix: what it is.
        request: the question.
        start: ``time.perf_counter()`` of the call.
    """

    def __init__(
        self, backend: InferenceBackend, cache: KvCache, prefix: Prefix, request: GenerationRequest, start: float
    ) -> None:
        config = request.config
        self.cache = cache
        self._backend = backend
        self._prefix = prefix
        self._request = request
        self._start = start
        self._offset = prefix.position - prefix.length  # from a token's place in the cache to its position
        self._state = request.grammar
        self._certain = request.prompt.suffix_ids.tolist()  # not yet in the cache
        self._limit = min(config.max_new_tokens, cache.capacity - prefix.length - len(self._certain))
        self._sampler = config.sampler()
        self._drafter = Drafter(
            request.prompt.token_ids.tolist() if config.drafting else (),
            expected=config.expected_runs,
            repeats=config.drafting,
        )
        self._steps: list[Step] = []
        self._told = 0
        self._reason: FinishReason | None = None
        self._forwards = 0
        self._prompt_ms = self._decode_ms = 0.0
        self._first_token_ms = float("nan")
        self._write_forced()

    def advance(self) -> bool:
        """Does one forward.

        Returns:
            Whether there is more to come.
        """
        self._reason = self._reason or self._request.stop_reason()
        if self._reason is None:
            began = time.perf_counter()
            self._forward()
            self._write_forced()
            self._take_time(began)
        self._tell()
        return self._reason is None

    def result(self) -> Generation:
        """The answer so far."""
        steps, prefix, is_first = self._steps, self._prefix, self._forwards > 0
        return Generation(
            token_ids=tuple(step.token_id for step in steps),
            log_probs=np.array([step.log_prob for step in steps], dtype=np.float32),
            log_mass=np.array([step.log_mass for step in steps], dtype=np.float32),
            forced=np.array([step.forced for step in steps], dtype=np.bool_),
            finish_reason=self._reason or "length",
            passes=self._forwards - 1 if is_first else 0,
            prefix_reused=prefix.is_reused,
            vision_ms=prefix.vision_ms,
            prefill_ms=prefix.prefill_ms + self._prompt_ms,
            first_token_ms=self._first_token_ms,
            decode_ms=self._decode_ms,
        )

    def _forward(self) -> None:
        """Appends what is certain and a draft, and takes tokens as far as the draft was right."""
        room = min(self._request.config.draft_tokens, self._limit - len(self._steps) - 1)
        draft = self._drafter.draft(self._state, room) if self._drafts else []
        begin = self.cache.length if self._prefix.pending is None else self._prefix.length
        certain_end = begin + len(self._certain)
        chunk = np.array([*self._certain, *draft], dtype=np.int64)
        positions = text_positions(self._offset + begin, len(chunk))
        self._prefix.is_sound = False  # until the forward is over: one that fails may leave half of it in the cache
        choices = self._backend.forward(
            self.cache,
            self._prefix.with_question(Chunk(token_ids=chunk, position_ids=positions)),
            choose=self._allowed_along(draft),
            top_k=self._sampler.candidates,
        )
        self._prefix.is_sound = True
        assert choices is not None
        self._forwards += 1
        for row, guess in enumerate([*draft, None]):
            token = self._state.only
            if token is None:
                pick = self._sampler.pick(choices, row)
                token = pick.token_id
                self._write(token, pick.log_prob, pick.log_mass)
            else:
                self._write(token)
            if token != guess or self._reason is not None:
                break
        self.cache.truncate(certain_end + row)
        self._certain = [token]

    @property
    def _drafts(self) -> bool:
        config = self._request.config
        return config.expected_runs or config.drafting

    def _allowed_along(self, draft: list[int]) -> list[TokenSet | None]:
        """What is allowed behind the certain tokens and behind each of the draft."""
        state = self._state
        allowed = [state.allowed]
        for token in draft:
            state = state.after(token)
            allowed.append(state.allowed)
        return allowed

    def _write_forced(self) -> None:
        """Writes what the grammar forces next, without asking the model; it goes with the next forward."""
        while self._request.config.forced_runs and self._reason is None:
            token = self._state.only
            if token is None:
                return
            self._write(token)
            self._certain.append(token)

    def _write(self, token: int, log_prob: float = float("nan"), log_mass: float = float("nan")) -> None:
        """Takes one token into the answer, or ends it."""
        after = self._state.after(token)
        if after.is_end:
            self._reason = "end"
            return
        self._drafter.accept(self._state, token)
        is_forced = self._state.only is not None
        self._state = after
        self._steps.append(Step(token_id=token, log_prob=log_prob, log_mass=log_mass, forced=is_forced))
        if len(self._steps) >= self._limit:
            self._reason = "length"

    def _take_time(self, began: float) -> None:
        now = time.perf_counter()
        if self._forwards == 1:
            self._prompt_ms = (now - began) * 1e3
        else:
            self._decode_ms += (now - began) * 1e3
        if self._steps and np.isnan(self._first_token_ms):
            self._first_token_ms = (now - self._start) * 1e3

    def _tell(self) -> None:
        """Hands new tokens to the listener."""
        new, self._told = self._steps[self._told :], len(self._steps)
        if new and self._request.on_tokens is not None:
            self._request.on_tokens(new)


def _nothing(reason: FinishReason) -> Generation:
    """The answer that was stopped before it began."""
    none = np.zeros(0, dtype=np.float32)
    return Generation(
        token_ids=(),
        log_probs=none,
        log_mass=none,
        forced=np.zeros(0, dtype=np.bool_),
        finish_reason=reason,
        passes=0,
        prefix_reused=False,
        vision_ms=0.0,
        prefill_ms=0.0,
        first_token_ms=float("nan"),
        decode_ms=0.0,
    )
