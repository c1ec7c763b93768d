"""A depth model from its files: one network, a pair from two folders, or the two networks of a nested release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from n3d_ros.depth.model import DepthModel
from n3d_ros.depth.options import DepthOptions
from n3d_ros.errors import ConfigurationError

if TYPE_CHECKING:  # torch comes with these, and is imported when a model is loaded
    from n3d_ros.depth.checkpoint import LoadedNetwork
    from n3d_ros.depth.runner import DepthRunner
    from n3d_ros.weights.placement import DtypeName
    from n3d_ros.weights.sources import Progress


def load_depth_model(
    source: str | Path,
    *,
    metric: str | Path | None = None,
    device: str = "auto",
    dtype: DtypeName = "auto",
    options: DepthOptions | None = None,
    on_progress: Progress | None = None,
) -> DepthModel:
    """The model in a folder or a repository, ready to estimate depth.

    Args:
        source: folder with config.json and model.safetensors, or hub id, of any released model.
        metric: the same of a metric model, which makes an any-view model's depth metric; None without.
        device: "auto", "cpu", "cuda" or "cuda:i".
        dtype: "auto", "float32", "bfloat16" or "float16".
        options: how depth is estimated; None for the defaults.
        on_progress: told a sentence and the share done; what it raises ends the loading.

    Returns:
        The model.

    Raises:
        ConfigurationError: files that are missing, incomplete or of another kind, two models that are no pair, no such
            device, or torch is not installed.
    """
    try:
        from n3d_ros.depth.checkpoint import LoadedPair, load_network
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"depth model: {error.name} is not installed; depth from a model needs the extra [model]: "
            "pip install 'n3d_ros[model]'."
        ) from error
    tell = on_progress or (lambda _sentence, _share: None)
    share = 1.0 if metric is None else 0.5
    loaded = load_network(source, device=device, dtype=dtype, on_progress=lambda text, done: tell(text, share * done))
    if isinstance(loaded, LoadedPair):
        if metric is not None:
            raise ConfigurationError(
                f"depth model: {source} is nested, so it has its metric network already; leave the metric model out."
            )
        return _model(loaded.name, loaded.any_view, loaded.metric, options)
    gives_poses = loaded.network.config.gives_poses
    if metric is None:
        any_view, single = (loaded, None) if gives_poses else (None, loaded)
        return _model(loaded.name, any_view, single, options)
    if not gives_poses:
        raise ConfigurationError(_no_pair(loaded.name, str(metric)))
    second = load_network(
        metric, device=device, dtype=dtype, on_progress=lambda text, done: tell(text, share + share * done)
    )
    if isinstance(second, LoadedPair) or not second.is_metric:
        raise ConfigurationError(_no_pair(loaded.name, second.name))
    return _model(f"{loaded.name} + {second.name}", loaded, second, options)


def _no_pair(first: str, second: str) -> str:
    return (
        "depth model: expected an any-view model such as da3-small, and beside it a metric one such as "
        f"da3metric-large, got {first} and {second}."
    )


def _model(
    name: str, any_view: LoadedNetwork | None, single: LoadedNetwork | None, options: DepthOptions | None
) -> DepthModel:
    """The model made of one network or two."""
    parts = [part for part in (any_view, single) if part is not None]
    sources = list({id(part.source): part.source for part in parts}.values())  # a nested release has one for both
    numbers = f"{str(parts[0].dtype).removeprefix('torch.')} on {parts[0].device}"
    return DepthModel(
        name=name,
        device=str(parts[0].device),
        any_view=None if any_view is None else _runner(any_view),
        single=None if single is None else _runner(single),
        single_is_metric=single is not None and single.is_metric,
        options=options,
        facts=[*(sentence for source in sources for sentence in source.facts()), numbers],
    )


def _runner(loaded: LoadedNetwork) -> DepthRunner:
    """The boundary over a network."""
    from n3d_ros.depth.torch_runner import TorchRunner

    return TorchRunner(
        loaded.network,
        config=loaded.network.config,
        name=loaded.name,
        device=loaded.device,
        dtype=loaded.dtype,
    )
