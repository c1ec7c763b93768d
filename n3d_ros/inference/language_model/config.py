"""What can be set about the language model grounder, with unit, meaning and range of each field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from n3d_ros.codec.box_code import checked_label
from n3d_ros.codec.prompts import tidy_name
from n3d_ros.errors import ConfigurationError, InputError, QueryError
from n3d_ros.inference.grounder import MAX_NOUNS, GroundingRequest
from n3d_ros.inference.language_model.asking import ask_for, split_names
from n3d_ros.settings import check, number

MIN_LONG_SIDE_PX = 112  # one attention window of the released vision tower

BACKENDS: Mapping[str, str] = MappingProxyType(
    {
        "auto": "n3d_ros.inference.language_model.ladder:load_fitting",
        "tensorrt": "n3d_ros.inference.language_model.engine_loading:load_tensorrt",
        "torch": "n3d_ros.inference.language_model.loading:load_torch",
        "onnx": "n3d_ros.inference.language_model.loading:load_onnx",
        "replay": "n3d_ros.inference.language_model.loading:load_replay",
    }
)
"""Name of each runtime and the function that loads it; imported only when it is asked for."""


def _choice(default: str, meaning: str, *choices: str) -> Any:
    """One word of several."""
    return field(default=default, metadata={"meaning": meaning, "choices": choices})


def _text(default: str, meaning: str, **more: Any) -> Any:
    """Free text."""
    return field(default=default, metadata={"meaning": meaning, **more})


def _flag(meaning: str, *, default: bool) -> Any:
    """On or off."""
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModelConfig:
    """Which model is loaded, how it runs and how its words become boxes. Ranges are inclusive and checked."""

    model: str = _text(
        "",
        "the language model: a folder with config.json, *.safetensors and the tokenizer, or one that `n3d export` "
        "wrote, or a hub id such as yuxinhk/N3D-VLM, which is downloaded, or n3d-nano, which comes with the package; "
        "empty: none",
        name="model",
        live=True,
    )
    backend: str = _choice(
        "auto",
        'what computes: "torch" a checkpoint in PyTorch, "onnx" a folder that `n3d export` wrote in ONNX Runtime, '
        '"tensorrt" the engine that `n3d engine build` made of such a folder; "auto" takes the fastest that files and '
        'machine allow, and the next one where that fails; "replay" plays recorded answers from a folder with '
        "replay.json and a tokenizer",
        *BACKENDS,
    )
    device: str = _text(
        "auto",
        'where it computes: "cpu", "cuda", "cuda:1"; "auto" takes the first GPU there is, and for exported graphs the '
        "CPU where ONNX Runtime has no CUDA",
    )
    dtype: str = _choice(
        "auto",
        'numbers of the weights; "auto" takes those of the files on a GPU that has them, and float32 on a CPU; '
        "exported graphs are made in one",
        *("auto", "bfloat16", "float16", "float32"),
    )
    position_code: str = _choice(
        "auto",
        'how 3-D positions are added to the image: "reference" as the released weights learnt it, "aligned" each to '
        'its own place, "none"; "auto" does what the model\'s config.json says',
        *("auto", "reference", "aligned", "none"),
    )
    capacity: int = number(
        2048,
        "longest prompt and answer together; memory is set aside for it per kept image",
        unit="tokens",
        minimum=512,
        maximum=32_768,
    )
    kept_images: int = number(
        2,
        "images whose computation is kept, so that a further question about one costs only its own words",
        unit="images",
        minimum=1,
        maximum=16,
    )
    memory_limit_gb: float = number(
        0.0,
        "models that need more are refused before they are loaded; 0: what is free on the device",
        unit="GB",
        minimum=0.0,
        maximum=4096.0,
    )
    cuda_graphs: str = _choice(
        "auto", "decode steps as CUDA graphs, where there is a GPU; of no use to ONNX Runtime", "auto", "on", "off"
    )
    build_engine: bool = _flag(
        "build a TensorRT engine of exported graphs at the start where the cache has none; takes minutes, which "
        "/diagnostics counts",
        default=False,
    )
    engine_cache: str = _text("", "folder of TensorRT engines; empty: n3d_ros in the user's cache folder")
    compile: bool = _flag(
        "compile the network with torch.compile; takes minutes at the start; of no use to exported graphs",
        default=False,
    )
    prompt: str = _text(
        "",
        'what is looked for when nobody asks: phrases separated by ";" ("mug; red box"); empty: everything',
        live=True,
    )
    closed_classes: bool = _flag(
        "a box's name must be one of the phrases asked for, letter by letter; otherwise the model chooses it",
        default=False,
    )
    yaw: str = _choice(
        "auto",
        'the angle that the model writes: "free" as it says, "zero" always 0 (fewer steps); "auto" is zero for models '
        "with the reference's position code, whose published boxes all have 0, and free for others",
        *("auto", "free", "zero"),
    )
    normalization: str = _choice(
        "auto",
        'scale of the scene given to the model: "mean" from all points as the released weights learnt it, "robust" '
        'without the farthest and nearest few, for noisy sensors; "auto" does what the checkpoint says, and "mean" '
        "where it says nothing",
        *("auto", "mean", "robust"),
    )
    long_side: int = number(
        0,
        "longer side of the image given to the model, 112 or more; fewer are faster; 0: what the checkpoint says, and "
        "640, which the released weights learnt, where it says nothing",
        unit="px",
        minimum=0,
        maximum=1288,
    )
    refine: bool = _flag(
        "boxes are fitted to the measured points they mean; the model's own are kept as raw ones",
        default=True,
    )
    max_new_tokens: int = number(
        1024, "longest list of boxes; about 35 tokens a box", unit="tokens", minimum=16, maximum=8192
    )
    max_answer_tokens: int = number(
        1024, "longest answer in the model's own words", unit="tokens", minimum=16, maximum=8192
    )
    temperature: float = number(
        0.0,
        "0 takes the likeliest token always; more draws by chance, the same way for a seed",
        minimum=0.0,
        maximum=2.0,
    )
    top_p: float = number(0.95, "when drawing: the likeliest tokens of this share together", minimum=0.01, maximum=1.0)
    top_k: int = number(10, "when drawing: at most so many tokens", minimum=1, maximum=64)
    seed: int = number(0, "when drawing: where chance begins", minimum=0, maximum=2**31 - 1)
    forced_runs: bool = _flag(
        "tokens that the box's form alone allows are appended without asking the model; same result, fewer steps",
        default=True,
    )
    drafting: bool = _flag(
        "guess several tokens from earlier text and verify them in one step; same result", default=False
    )
    expected_runs: bool = _flag(
        "guess what a box's form makes likely and verify it in one step; same result up to the last bits of half "
        "precision, fewer steps",
        default=True,
    )
    draft_tokens: int = number(12, "most tokens of a guess", unit="tokens", minimum=1, maximum=64)
    duplicate_iou: float = number(0.7, "boxes of one name that overlap more are one object", minimum=0.05, maximum=1.0)
    max_repeats: int = number(
        3, "so many boxes in a row that were there before end the list; 0: never", unit="boxes", minimum=0, maximum=64
    )
    min_score: float = number(0.0, "boxes of less confidence are left out", minimum=0.0, maximum=1.0)

    def __post_init__(self) -> None:
        """Refuses values outside the range that their field states.

        Raises:
            ConfigurationError: naming the field, what is allowed and the value.
        """
        check(self, "language_model")
        if 0 < self.long_side < MIN_LONG_SIDE_PX:
            raise ConfigurationError(
                f"language_model long_side: expected 0, or {MIN_LONG_SIDE_PX} to 1288 px, got {self.long_side}."
            )
        self._check_prompt()
        if self.max_new_tokens >= self.capacity:
            raise ConfigurationError(
                "language_model max_new_tokens: expected less than capacity, which holds the prompt too, got "
                f"{self.max_new_tokens} and {self.capacity}."
            )

    @property
    def nouns(self) -> tuple[str, ...]:
        """The phrases of ``prompt``, without blanks around them; empty: everything is looked for."""
        return tuple(name for name in split_names(self.prompt) if tidy_name(name))

    def _check_prompt(self) -> None:
        """Refuses a standing prompt that could not be asked, by the function that asks it with every frame."""
        if len(self.nouns) > MAX_NOUNS:
            raise ConfigurationError(
                f"language_model prompt: expected at most {MAX_NOUNS} phrases, got {len(self.nouns)}."
            )
        try:
            classes = ask_for(GroundingRequest(nouns=self.nouns)).classes
            for name in classes if self.closed_classes else ():
                checked_label(name)
        except (InputError, QueryError) as error:
            raise ConfigurationError(f"language_model prompt: {error.message}") from error
