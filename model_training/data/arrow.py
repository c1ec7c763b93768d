"""pyarrow, which belongs to the extra [train]: a sentence where it is not installed."""

from __future__ import annotations

from n3d_ros.errors import ConfigurationError

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ModuleNotFoundError as missing:
    raise ConfigurationError(
        f"Data sets are Parquet files, and {missing.name} is not installed: `make setup TRAIN=1`, or install "
        "requirements/train.txt."
    ) from missing

__all__ = ["pa", "pq"]
