"""LanguageModelGrounder: a frame and words in, boxes that a language model names and depth confirms out.

One frame's way: ``encode_frame`` -> prompt (``asking``) -> ``Generator`` under the box grammar -> lines
(``box_stream``) -> boxes in metres -> fitted to the points and scored (``listing``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType

from n3d_ros.codec.grammar import MAX_BOXES, GrammarState, box_grammar, free_text
from n3d_ros.codec.model_input import Prompt
from n3d_ros.codec.reasoning import split_thought
from n3d_ros.detection import Detection3D
from n3d_ros.errors import CancelledError
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.generation import Generation, GenerationConfig, Generator, Step
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult, Reasoning
from n3d_ros.inference.language_model.asking import Ask, ask_for
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.inference.language_model.frames import FrameStore, FrameWork
from n3d_ros.inference.language_model.listing import BoxListing, FoundBox
from n3d_ros.inference.language_model.loading import Progress, Runtime, input_options, load_runtime
from n3d_ros.inference.language_model.measured import MeasuredFrame
from n3d_ros.inference.language_model.scores import TokenEvidence
from n3d_ros.inference.language_model.stating import checked_prompt, scored_boxes, stated_question
from n3d_ros.inference.timing import Stages

_NOTED_SHARE = 0.005  # of the valid depth beyond what the model can express, from which on it is said


class LanguageModelGrounder:
    """Finds what words mean, in an open vocabulary.

    Args:
        config: the settings.
        on_progress: told a sentence and the share done while the model is loaded; it may raise to stop.
        runtime: takes this one instead of loading what the settings name; it is closed with the grounder.
    """

    name = "language_model"
    open_vocabulary = True
    """Any noun can be asked for, where other grounders know a vocabulary of their own."""

    def __init__(
        self,
        config: LanguageModelConfig | None = None,
        on_progress: Progress | None = None,
        *,
        runtime: Runtime | None = None,
    ) -> None:
        self._config = config or LanguageModelConfig()
        self._runtime = runtime or load_runtime(self._config, on_progress)
        backend, tokenizer = self._runtime.backend, self._runtime.tokenizer
        self.device = backend.device
        self.facts = self._runtime.facts
        """What the model is, in lines for people."""
        self._generator = Generator(backend, tokenizer, kept_prefixes=self._config.kept_images)
        self.last_found: tuple[FoundBox, ...] = ()
        """The boxes of the last list, in the model's order, with the evidence that calibrations are fitted to."""
        self._frames = FrameStore(input_options(self._config, self._runtime.options), self._config.kept_images)
        if on_progress is not None:
            on_progress("The language model is ready", 1.0)

    def ground(
        self,
        frame: RgbdFrame,
        request: GroundingRequest,
        *,
        on_detection: Callable[[Detection3D], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> GroundingResult:
        """The objects of one frame.

        Args:
            frame: the look at the world.
            request: what to look for.
            on_detection: called with each object as soon as its line is written, in the model's order.
            is_cancelled: asked before each step of the model.

        Returns:
            Refined boxes in the camera optical frame, best first, and the model's own beside them.

        Raises:
            GroundingError: the frame has no usable depth.
            QueryError: too many or too long words.
            CancelledError: the caller asked to stop.
            InputError: the prompt is longer than the capacity.
            BackendError: the device failed.
        """
        stages = Stages(lambda: _stop_if(is_cancelled))
        ask = ask_for(request)
        work = self._frames.work(frame, stages)
        prompt = self._prompt(ask.text, work)
        refining = Stages()  # without a place to stop: the generator asks between the model's steps
        with work.measuring(request.up) as measuring:  # beside the model, which needs none of it
            listing = BoxListing(
                self._config,
                work.context,
                measuring.result,
                self._runtime.calibration,
                max_objects=request.max_objects,
                stages=refining,
                on_detection=on_detection,
            )
            generation = self._generate(
                prompt,
                work,
                self._box_grammar(ask),
                max_new_tokens=self._config.max_new_tokens,
                on_tokens=lambda steps: listing.add(self._evidence(steps)),
                is_cancelled=lambda: listing.stop_reason is not None or _asks_to_stop(is_cancelled),
                deadline_s=request.deadline_s,
            )
            if generation.finish_reason == "cancelled" and listing.stop_reason is None:
                raise CancelledError("Grounding was cancelled by the caller.")
            listing.finish(complete=generation.finish_reason == "end")
            measured = measuring.result()
        self.last_found = tuple(listing.found)
        work.remember(listing.found)
        stages.add("geometry", measuring.duration_ms)
        _add_times(stages, generation)
        stages.add("refine", refining.stage_ms.get("refine", 0.0))
        return _result(listing, generation, work, measured, stages)

    def reason(
        self,
        frame: RgbdFrame,
        question: str,
        detections: tuple[Detection3D, ...],
        *,
        deadline_s: float | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> Reasoning:
        """The model's own answer to a question, given the boxes it found: the second step of N3D-VLM's two.

        Args:
            frame: the look at the world.
            question: in words.
            detections: as the model said them (``GroundingResult.raw_detections``), camera optical frame.
            deadline_s: ``time.monotonic()`` at which it stops, with what is there.
            is_cancelled: asked before each step of the model.

        Returns:
            Chain of thought and answer.

        Raises:
            GroundingError: the frame has no usable depth.
            QueryError: the question is empty or too long.
            CancelledError: the caller asked to stop.
            InputError: the prompt is longer than the capacity.
            BackendError: the device failed.
        """
        stages = Stages(lambda: _stop_if(is_cancelled))
        work = self._frames.work(frame, stages)
        asked = stated_question(
            self._runtime.tokenizer,
            question,
            scored_boxes(detections, work),
            image_tokens=work.image.token_count,
            capacity=self._runtime.backend.capacity,
            answer_tokens=self._config.max_answer_tokens,
        )
        generation = self._generate(
            asked.prompt,
            work,
            free_text(self._runtime.tokenizer),
            max_new_tokens=self._config.max_answer_tokens,
            is_cancelled=is_cancelled,
            deadline_s=deadline_s,
        )
        if generation.finish_reason == "cancelled":
            raise CancelledError("Reasoning was cancelled by the caller.")
        _add_times(stages, generation)
        thought, answer = split_thought(self._runtime.tokenizer.decode(generation.token_ids))
        return Reasoning(
            answer=answer,
            thought=thought,
            partial=generation.finish_reason != "end",
            stage_ms=MappingProxyType(dict(stages.stage_ms)),
            notes=asked.notes,
            counts=_counts(generation, boxes=asked.stated, boxes_left_out=asked.left_out),
        )

    def close(self) -> None:
        """Frees the model and all that was kept."""
        self._frames.clear()
        self._generator.forget()
        self._runtime.backend.close()

    def _prompt(self, text: str, work: FrameWork) -> Prompt:
        """The prompt for some words about a frame."""
        return checked_prompt(
            self._runtime.tokenizer,
            text,
            image_tokens=work.image.token_count,
            capacity=self._runtime.backend.capacity,
        )

    def _generate(
        self,
        prompt: Prompt,
        work: FrameWork,
        grammar: GrammarState,
        *,
        max_new_tokens: int,
        on_tokens: Callable[[Sequence[Step]], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
        deadline_s: float | None = None,
    ) -> Generation:
        """What the model writes about a frame."""
        return self._generator.generate(
            prompt,
            work.image,
            grammar=grammar,
            config=self._generation_config(max_new_tokens),
            on_tokens=on_tokens,
            is_cancelled=is_cancelled,
            deadline_s=deadline_s,
        )

    def _generation_config(self, max_new_tokens: int) -> GenerationConfig:
        config = self._config
        return GenerationConfig(
            max_new_tokens=max_new_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            top_k=config.top_k,
            seed=config.seed,
            forced_runs=config.forced_runs,
            expected_runs=config.expected_runs,
            drafting=config.drafting,
            draft_tokens=config.draft_tokens,
        )

    def _box_grammar(self, ask: Ask) -> GrammarState:
        """The form of the answer; names are open: the released model writes its own ("Hotair ballon")."""
        yaw = self._config.yaw
        if yaw == "auto":
            yaw = "zero" if self._runtime.position_code == "reference" else "free"
        classes = ask.classes if self._config.closed_classes and ask.classes else None
        return box_grammar(
            self._runtime.tokenizer, classes=classes, max_boxes=MAX_BOXES, yaw="zero" if yaw == "zero" else "free"
        )

    def _evidence(self, steps: Sequence[Step]) -> list[TokenEvidence]:
        piece = self._runtime.tokenizer.piece
        return [
            TokenEvidence(piece=piece(step.token_id), log_prob=step.log_prob, log_mass=step.log_mass) for step in steps
        ]


def _result(
    listing: BoxListing, generation: Generation, work: FrameWork, measured: MeasuredFrame, stages: Stages
) -> GroundingResult:
    """What a finished list amounts to."""
    ordered = listing.best_first
    return GroundingResult(
        detections=tuple(found.detection for found in ordered),
        surfaces=measured.surfaces,
        stage_ms=MappingProxyType(dict(stages.stage_ms)),
        notes=(*listing.notes, *_notes(generation, work, measured)),
        partial=generation.finish_reason == "deadline",
        raw_detections=tuple(found.raw for found in ordered),
        cut_off=generation.finish_reason not in ("end", "deadline"),
        counts=_counts(generation, rejected_lines=listing.rejected_count),
    )


def _counts(generation: Generation, **more: float) -> MappingProxyType[str, float]:
    """How much the model had to do."""
    own = {"passes": generation.passes, "tokens": len(generation.token_ids), "prefix_reused": generation.prefix_reused}
    return MappingProxyType({name: float(number) for name, number in (own | more).items()})


def _notes(generation: Generation, work: FrameWork, measured: MeasuredFrame) -> list[str]:
    """What a user should know about the frame and the answer's end."""
    notes = []
    if generation.finish_reason == "deadline":
        notes.append("The deadline came before the list of objects ended.")
    if generation.finish_reason == "length":
        notes.append(
            f"The list of objects was cut off after {len(generation.token_ids)} tokens; raise "
            "language_model.max_new_tokens or language_model.capacity for more."
        )
    extents = work.extents
    if extents.share_beyond_depth > _NOTED_SHARE:
        notes.append(
            f"{100 * extents.share_beyond_depth:.0f} % of the depth image lies beyond {extents.max_depth_m:.1f} m, "
            "where the model cannot place objects."
        )
    if not measured.up_is_known:
        notes.append("No gravity was given and no surface seen: up is taken from the camera.")
    return notes


def _add_times(stages: Stages, generation: Generation) -> None:
    """The model's steps among the others."""
    stages.add("vision", generation.vision_ms)
    stages.add("prefill", generation.prefill_ms)
    stages.add("decode", generation.decode_ms)


def _asks_to_stop(is_cancelled: Callable[[], bool] | None) -> bool:
    return is_cancelled is not None and is_cancelled()


def _stop_if(is_cancelled: Callable[[], bool] | None) -> None:
    if _asks_to_stop(is_cancelled):
        raise CancelledError("Grounding was cancelled by the caller.")
