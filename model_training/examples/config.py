"""What decides how records become examples."""

from __future__ import annotations

from dataclasses import dataclass, field

from n3d_ros.codec.image_patches import LONG_SIDE_PX, MAX_PIXELS, MIN_PIXELS
from n3d_ros.codec.input_options import InputOptions
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.settings import check, number

TARGET_BOXES = ("visible", "full")
ORDERS = ("left_to_right", "near_to_far", "given")


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Changes of a frame that keep its words and boxes true. All are drawn anew each time a frame is seen.

    Args:
        color: 0: none; 1: brightness, contrast and saturation by up to a half, noise of 8 grey levels. Cameras differ.
        blur: chance of a slight blur (deviation up to 1.2 px), as of motion or a soft lens.
        crop: chance of a crop with zoom. The intrinsics follow, so boxes in metres stay as they are; a crop that would
            cut an object is not taken.
        max_zoom: the closest crop, as a factor on the focal length.
        depth_dropout: chance that depth is missing in up to 6 patches and up to 5 % of single pixels, as on dark,
            shiny and far surfaces.
        flip: chance of a mirror image, taken only where no word of the frame's questions depends on sides.
    """

    color: float = number(0.0, "strength of colour changes", minimum=0, maximum=1)
    blur: float = number(0.0, "chance of a blur", minimum=0, maximum=1)
    crop: float = number(0.0, "chance of a crop", minimum=0, maximum=1)
    max_zoom: float = number(1.25, "closest crop", minimum=1, maximum=4)
    depth_dropout: float = number(0.0, "chance of missing depth", minimum=0, maximum=1)
    flip: float = number(0.0, "chance of a mirror image", minimum=0, maximum=1)

    def __post_init__(self) -> None:
        """Checks every field."""
        check(self, "examples augment")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleConfig:
    """How frames and questions become examples.

    Args:
        target_box: "visible": the box around what is seen, along the camera's axes, as the paper's labels are; "full":
            the whole object's box with its turn about the camera's vertical.
        order: in which boxes are written where the question has no order of its own: "left_to_right" (a small model
            learns it soonest), "near_to_far", or "given" as the data set has it.
        learn_forced: whether tokens that the grammar alone allows ("bbox_0=Bbox", commas after full numbers) count in
            the loss. The node never asks the model for them; leaving them out keeps the loss on what is to be learnt.
        learn_answers: whether the second step of a question to reason about, its thought and its answer in words, is
            learnt beside the first, which is where its objects are. False for a small model: those texts are most of
            the tokens, and the node's own arithmetic answers from the boxes.
        questions_per_frame: most questions of one frame in one example; they share the image's tokens.
        max_tokens: longest example, image included; questions that no longer fit are left out.
        max_objects: most boxes of one answer; questions with more are left out. The node's grammar ends there too.
        class_buckets: classes of the dense head; labels are spread over them by a hash, so that no list is needed.
        long_side: pixels of the picture's and the point map's longer side, as for ``InputOptions``.
        normalization: as for ``InputOptions``.
        min_pixels: as for ``InputOptions``.
        max_pixels: as for ``InputOptions``.
        augment: changes of frames.
    """

    target_box: str = field(default="visible", metadata={"choices": TARGET_BOXES})
    order: str = field(default="left_to_right", metadata={"choices": ORDERS})
    learn_forced: bool = False
    learn_answers: bool = True
    questions_per_frame: int = number(4, "most questions of one frame", minimum=1, maximum=64)
    max_tokens: int = number(2048, "longest example", unit="tokens", minimum=64, maximum=65_536)
    max_objects: int = number(64, "most boxes of an answer", minimum=1, maximum=256)
    class_buckets: int = number(1024, "classes of the dense head", minimum=2, maximum=65_536)
    long_side: int = number(LONG_SIDE_PX, "longer side of the picture", unit="px", minimum=28, maximum=2048)
    normalization: str = field(default="mean", metadata={"choices": ("mean", "robust")})
    min_pixels: int = number(MIN_PIXELS, "least area", unit="px", minimum=MIN_PIXELS, maximum=MAX_PIXELS)
    max_pixels: int = number(MAX_PIXELS, "largest area", unit="px", minimum=MIN_PIXELS, maximum=MAX_PIXELS)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ConfigurationError: a value outside its range.
        """
        check(self, "examples")
        try:
            self.input_options()
        except InputError as error:
            raise ConfigurationError(f"examples: {error.message}") from error

    def input_options(self) -> InputOptions:
        """How frames are shown to the model.

        Returns:
            The node's own options.
        """
        return InputOptions(
            long_side=self.long_side,
            normalization=self.normalization,
            min_pixels=self.min_pixels,
            max_pixels=self.max_pixels,
        )
