"""Everything that can be set on the node, as frozen dataclasses; each field is the ROS parameter of the same name."""

from __future__ import annotations

from dataclasses import dataclass, field

from n3d_ros.errors import ConfigurationError
from n3d_ros.inference.depth_config import DepthModelConfig
from n3d_ros.inference.depth_source import CAMERA, DEPTH_SOURCES
from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.grounder import GROUNDERS, MAX_OBJECTS
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.ros.frame_assembly import FrameConfig
from n3d_ros.ros.pairing import PairingConfig
from n3d_ros.scene.config import HistoryConfig, SceneConfig

AUTO = "auto"
NONE = "none"
GEOMETRIC, LANGUAGE_MODEL = "geometric", "language_model"
TF_MARGIN_S = 2.0  # longer than images are kept, so that the oldest lies between two transforms
BOXES, MODEL, BOTH = "boxes", "model", "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class TfConfig:
    """How transforms are looked up.

    Args:
        wait_s: longest wait for a transform at the image's stamp; it arrives a little after the image on most robots.
        cache_s: how long transforms are kept.
    """

    wait_s: float = field(default=0.1, metadata={"minimum": 0.0, "maximum": 5.0, "unit": "s", "live": True})
    cache_s: float = field(default=10.0, metadata={"minimum": 0.1, "maximum": 600.0, "unit": "s"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineConfig:
    """From a pair of images to objects in a scene.

    Args:
        output_frame: frame in which objects are published; empty is the image's own.
        scene_frame: fixed frame in which objects are remembered; "auto" takes the first of map, odom and world that tf
            connects with the camera, else the image's own frame.
        gravity_frame: frame whose z axis points up; "auto" takes the first of map, odom, world and base_link that tf
            connects with the camera, and lets the grounder estimate when there is none; "none" always estimates.
        max_objects: most objects of one frame, best first.
        tf: see ``TfConfig``.
        frames: see ``FrameConfig``.
        scene: see ``SceneConfig``.
        history: see ``HistoryConfig``.
    """

    output_frame: str = field(default="", metadata={"live": True})
    scene_frame: str = field(default=AUTO, metadata={"name": "scene.frame"})
    gravity_frame: str = field(default=AUTO, metadata={"name": "gravity.frame", "live": True})
    max_objects: int = field(default=64, metadata={"minimum": 1, "maximum": MAX_OBJECTS, "live": True})
    tf: TfConfig = field(default_factory=TfConfig)
    frames: FrameConfig = field(default_factory=FrameConfig)
    scene: SceneConfig = field(default_factory=SceneConfig, metadata={"live": True})
    history: HistoryConfig = field(default_factory=HistoryConfig)

    def __post_init__(self) -> None:
        """Checks that frames have names.

        Raises:
            ConfigurationError: a frame with an empty name or a leading slash.
        """
        for name, value in (("scene.frame", self.scene_frame), ("gravity.frame", self.gravity_frame)):
            if not value:
                raise ConfigurationError(f"Parameter {name}: expected a frame's name or 'auto', got an empty string.")
        for value in (self.output_frame, self.scene_frame, self.gravity_frame):
            if value.startswith("/"):
                raise ConfigurationError(f"Frame {value!r}: expected a name without a leading slash, as tf2 uses.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConfig:
    """Images that are kept, so that a request may name a moment and have its image looked at again.

    Args:
        frames_s: how long images are kept; 0 keeps none. Transforms are kept at least as long.
        rate_hz: most images kept per second of their stamps.
        max_mb: most memory that they may take, in millions of bytes; beyond it the images lie further apart in time.
    """

    frames_s: float = field(default=10.0, metadata={"minimum": 0.0, "maximum": 600.0, "unit": "s", "live": True})
    rate_hz: float = field(default=5.0, metadata={"minimum": 0.1, "maximum": 120.0, "unit": "Hz", "live": True})
    max_mb: float = field(default=128.0, metadata={"minimum": 0.0, "maximum": 65536.0, "unit": "MB", "live": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorInputConfig:
    """Where colour comes from.

    Args:
        transport: "raw" subscribes to rgb/image, "compressed" (JPEG or PNG) to rgb/image/compressed.
    """

    transport: str = field(default="raw", metadata={"choices": ("raw", "compressed")})


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthInputConfig:
    """Where depth comes from.

    Args:
        transport: "raw" subscribes to depth/image, "compressedDepth" to depth/image/compressedDepth.
    """

    transport: str = field(default="raw", metadata={"choices": ("raw", "compressedDepth")})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestConfig:
    """How services and the action behave.

    Args:
        timeout_s: time a request is given when it names none; with a language model, the longest wait for an image.
        model_timeout_s: the same while a language model finds the objects, which takes seconds on a GPU and a minute
            without one, or a depth model the depth.
        queue_size: most requests that may wait.
        max_frame_age_s: an image older than this is stale: a request waits for a newer one.
        answer_mode: who answers questions: "boxes" computes from the boxes found, "model" lets the language model think
            in its own words, "both" computes and says whether the model agrees.
    """

    timeout_s: float = field(default=5.0, metadata={"minimum": 0.01, "maximum": 600.0, "unit": "s", "live": True})
    model_timeout_s: float = field(
        default=60.0, metadata={"minimum": 0.01, "maximum": 600.0, "unit": "s", "live": True}
    )
    queue_size: int = field(default=16, metadata={"minimum": 1, "maximum": 1000})
    max_frame_age_s: float = field(default=2.0, metadata={"minimum": 0.05, "maximum": 600.0, "unit": "s", "live": True})
    answer_mode: str = field(
        default=BOXES, metadata={"name": "answer_mode", "choices": (BOXES, MODEL, BOTH), "live": True}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerConfig:
    """What RViz and Foxglove show.

    Args:
        lifetime_s: markers vanish by themselves after this time without an update; 0 keeps them until deleted.
        opacity: of the box faces, 0 is invisible and 1 is solid.
        text_height_m: height of the letters of labels.
    """

    lifetime_s: float = field(default=2.0, metadata={"minimum": 0.0, "maximum": 3600.0, "unit": "s", "live": True})
    opacity: float = field(default=0.35, metadata={"minimum": 0.0, "maximum": 1.0, "live": True})
    text_height_m: float = field(default=0.04, metadata={"minimum": 0.001, "maximum": 5.0, "unit": "m", "live": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class DebugConfig:
    """The annotated image.

    Args:
        max_rate_hz: most debug images per second; drawing and sending them costs time.
    """

    max_rate_hz: float = field(default=10.0, metadata={"minimum": 0.1, "maximum": 120.0, "unit": "Hz", "live": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """The node as a whole.

    Args:
        autostart: configure and activate at the start; false waits for the lifecycle services.
        grounder: what finds the objects; "auto" takes the language model when one is named (model), else the geometric
            grounder.
        continuous: ground every image; false looks only when a request asks.
        continuous_rate_hz: most images per second that are grounded without a request, by their stamps; 0: as many as
            the grounder can.
        depth_source: where depth comes from: "camera" takes the depth image, "model" finds it in the colour image and
            subscribes to no depth, "fused" fills with a model what the depth image lacks (depth_model.model).
        geometric: see ``GeometricConfig``.
        depth_model: see ``DepthModelConfig``.
        language_model: see ``LanguageModelConfig``.
        pipeline: see ``PipelineConfig``.
        rgb: see ``ColorInputConfig``.
        depth: see ``DepthInputConfig``.
        sync: see ``PairingConfig``.
        request: see ``RequestConfig``.
        memory: see ``MemoryConfig``.
        markers: see ``MarkerConfig``.
        debug: see ``DebugConfig``.
    """

    autostart: bool = True
    grounder: str = field(default=AUTO, metadata={"choices": (AUTO, *GROUNDERS)})
    continuous: bool = field(default=True, metadata={"live": True})
    continuous_rate_hz: float = field(
        default=0.0, metadata={"minimum": 0.0, "maximum": 1000.0, "unit": "Hz", "live": True}
    )
    depth_source: str = field(default=CAMERA, metadata={"choices": DEPTH_SOURCES})
    pipeline: PipelineConfig = field(default_factory=PipelineConfig, metadata={"prefix": ""})
    depth_model: DepthModelConfig = field(default_factory=DepthModelConfig)
    geometric: GeometricConfig = field(default_factory=GeometricConfig)
    language_model: LanguageModelConfig = field(default_factory=LanguageModelConfig)
    rgb: ColorInputConfig = field(default_factory=ColorInputConfig)
    depth: DepthInputConfig = field(default_factory=DepthInputConfig)
    sync: PairingConfig = field(default_factory=PairingConfig)
    request: RequestConfig = field(default_factory=RequestConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    markers: MarkerConfig = field(default_factory=MarkerConfig)
    debug: DebugConfig = field(default_factory=DebugConfig)

    @property
    def tf_cache_s(self) -> float:
        """How long transforms are kept: as long as the images that may be looked at again."""
        return max(self.pipeline.tf.cache_s, self.memory.frames_s + TF_MARGIN_S)

    @property
    def chosen_grounder(self) -> str:
        """The grounder that the settings come to: a key of ``GROUNDERS``."""
        if self.grounder != AUTO:
            return self.grounder
        return LANGUAGE_MODEL if self.language_model.model else GEOMETRIC
