"""safetensors files read as streams: every header is checked before a weight is read, and hashes are made in passing.

The format is eight bytes of length, a JSON header of names, dtypes, shapes and offsets, and the tensors without gaps.
It is read here rather than through a memory map because mapped pages count twice (file and copy) against the memory of
a small machine, and because one pass then serves both the copy and the hash.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch

from n3d_ros.errors import ConfigurationError
from n3d_ros.weights.json_files import read_json

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
MAX_HEADER_BYTES = 100_000_000  # the limit of the format's own library
BLOCK_BYTES = 32 << 20  # read at a time; two such buffers are all the memory that reading takes
DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
DTYPE_BITS: Mapping[str, int] = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "U64": 64, "I32": 32, "U32": 32, "I16": 16, "U16": 16,
    "I8": 8, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "C64": 64, "F4": 4, "F6_E2M3": 6,
    "F6_E3M2": 6,
}  # fmt: skip
SHA256_NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """Where a tensor lies in a file.

    Args:
        name: as stored.
        dtype: the format's word, such as "BF16".
        shape: its sizes.
        begin: first byte, counted from the start of the file.
        end: one past the last byte.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """One safetensors file and what its header promises.

    Args:
        path: of the file.
        size_bytes: of the file.
        tensors: in the order in which they lie in the file, without gaps.
    """

    path: Path
    size_bytes: int
    tensors: tuple[StoredTensor, ...]


def find_weight_files(folder: Path) -> list[WeightFile]:
    """The weight files of a folder, their headers read: a single one, or those that the index names.

    Args:
        folder: of the checkpoint.

    Returns:
        At least one file.

    Raises:
        ConfigurationError: there is none, one is absent, unreadable or not whole, or the index contradicts them.
    """
    if (folder / SINGLE_FILE).is_file():
        return [read_header(folder / SINGLE_FILE)]
    if not (folder / INDEX_FILE).is_file():
        raise ConfigurationError(_nothing_found(folder))
    weight_map = _weight_map(folder / INDEX_FILE)
    names = sorted(set(weight_map.values()))
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise ConfigurationError(
            f"{folder}: {len(absent)} of {len(names)} files that {INDEX_FILE} names are not there: {listing(absent)}. "
            "Copy or download them."
        )
    files = [read_header(folder / name) for name in names]
    stored = {(file.path.name, tensor.name) for file in files for tensor in file.tensors}
    lost = sorted(f"{name} in {file}" for name, file in weight_map.items() if (file, name) not in stored)
    if lost:
        raise ConfigurationError(
            f"{folder}: {INDEX_FILE} promises {len(lost)} tensors that are not in their files: {listing(lost)}. The "
            "files do not belong together; copy or download all of them again."
        )
    return files


def read_header(path: Path) -> WeightFile:
    """The header of one file, checked against the file's size.

    Args:
        path: of a safetensors file.

    Returns:
        Its tensors.

    Raises:
        ConfigurationError: not a safetensors file, or not a whole one.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(8)
            length = int.from_bytes(head, "little")
            if head.startswith(b"version "):
                raise ConfigurationError(
                    f"{path}: a Git LFS pointer instead of the weights; run `git lfs pull` in its folder."
                )
            if len(head) < 8 or not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
                raise ConfigurationError(
                    f"{path}: not a whole safetensors file: {size} bytes, of which the header would be {length}. Copy "
                    "or download it again."
                )
            header = json.loads(stream.read(length))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{path}: the safetensors header is damaged ({error}); copy or download it again."
        ) from error
    return WeightFile(path=path, size_bytes=size, tensors=_tensors(path, header, 8 + length, size))


def listing(names: list[str], *, most: int = 12) -> str:
    """The first few of many names.

    Args:
        names: in the order wanted.
        most: how many are shown.

    Returns:
        Such as "a, b, c and 40 more".
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


class StreamReader:
    """Reads whole files block by block: each block goes to its tensor, and on the way through the hash.

    Two buffers take turns, so that a thread hashes one block while the next is read and copied.

    Args:
        pinned: whether the blocks go to a GPU.
        hashed: whether the files' sha256 are wanted.
    """

    def __init__(self, *, pinned: bool, hashed: bool) -> None:
        self._buffers = [torch.empty(BLOCK_BYTES, dtype=torch.uint8, pin_memory=pinned) for _ in range(2)]
        self._busy: list[Future[None] | None] = [None, None]
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sha256") if hashed else None
        self._turn = 0

    def read(self, file: WeightFile, take: Callable[[StoredTensor, int, torch.Tensor], None]) -> str | None:
        """Reads one file from end to end.

        Args:
            file: of ``read_header``.
            take: called with the tensor, the number of its first element in the block, and the block's elements, which
                it must copy.

        Returns:
            The file's sha256 as hex digits; None when it is not wanted.

        Raises:
            ConfigurationError: the file ends early, cannot be read, or is not what its name in a cache says.
        """
        digest = hashlib.sha256()
        try:
            with file.path.open("rb", buffering=0) as stream:
                first = file.tensors[0].begin if file.tensors else file.size_bytes
                digest.update(stream.read(first))
                for tensor in file.tensors:
                    for start, block in self._blocks(stream, tensor, digest):
                        take(tensor, start, block)
        except OSError as error:
            raise ConfigurationError(f"{file.path}: cannot be read: {error}.") from error
        if self._pool is None:
            return None
        self._wait()
        _compare_with_cache_name(file.path, digest.hexdigest())
        return digest.hexdigest()

    @contextmanager
    def closing(self) -> Iterator[StreamReader]:
        """Ends the hashing thread afterwards.

        Yields:
            The reader.
        """
        try:
            yield self
        finally:
            if self._pool is not None:
                self._pool.shutdown()

    def _blocks(
        self, stream: BinaryIO, tensor: StoredTensor, digest: hashlib._Hash
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """The tensor's elements in blocks, each with the number of its first one."""
        dtype = DTYPES.get(tensor.dtype, torch.uint8)
        for begin in range(tensor.begin, tensor.end, BLOCK_BYTES):
            self._turn ^= 1
            busy = self._busy[self._turn]
            if busy is not None:
                busy.result()
            buffer = self._buffers[self._turn][: min(BLOCK_BYTES, tensor.end - begin)]
            view = memoryview(buffer.numpy())
            _read_into(stream, view)
            if self._pool is not None:
                self._busy[self._turn] = self._pool.submit(digest.update, view)
            yield (begin - tensor.begin) // dtype.itemsize, buffer.view(dtype)

    def _wait(self) -> None:
        for busy in self._busy:
            if busy is not None:
                busy.result()


def _read_into(stream: BinaryIO, view: memoryview) -> None:
    """Fills ``view`` from the stream; a raw stream may give less than asked for."""
    done = 0
    while done < len(view):
        count = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            raise OSError("it became shorter while it was read")
        done += count


def _compare_with_cache_name(path: Path, digest: str) -> None:
    """Compares a file of the hub's cache with its name there, which is the sha256 it had when it was published."""
    name = path.resolve().name
    if path.is_symlink() and SHA256_NAME.fullmatch(name) and name != digest:
        raise ConfigurationError(
            f"{path}: damaged: its sha256 is {digest}, published as {name}. Delete {path.resolve()} and download again."
        )


def _weight_map(file: Path) -> dict[str, str]:
    """Tensor name to file name, as the index has it; the files lie in the same folder."""
    weight_map = read_json(file).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ConfigurationError(
            f"{file}: expected an object 'weight_map' of tensor names and file names; download it again."
        )
    for name, target in weight_map.items():
        if not isinstance(target, str) or Path(target).name != target or "\\" in target or "\0" in target:
            raise ConfigurationError(
                f"{file}: {name!r} is said to lie in {target!r}; expected the plain name of a file in the same folder."
            )
        if not target.endswith(".safetensors"):
            raise ConfigurationError(
                f"{file}: {name!r} is said to lie in {target!r}; only .safetensors files are read."
            )
    return weight_map


def _nothing_found(folder: Path) -> str:
    """What to say of a folder without weights that can be read."""
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    if others:
        return (
            f"{folder}: expected {SINGLE_FILE} or {INDEX_FILE}, found {listing(others)}. Copy the index beside its "
            f"files, name a single file {SINGLE_FILE}, or merge an adapter into its base model first."
        )
    if pickles:
        return (
            f"{folder}: only safetensors are read, found {listing(pickles)}. Such files can run code when they are "
            "opened; use the safetensors release of the model, or convert it where you trust it."
        )
    return f"{folder}: no weights: expected {SINGLE_FILE}, or {INDEX_FILE} and its files."


def _tensors(path: Path, header: object, data_begin: int, size: int) -> tuple[StoredTensor, ...]:
    """The header's tensors in file order, which must fill the file."""
    if not isinstance(header, dict):
        raise ConfigurationError(f"{path}: the safetensors header is damaged (no object); copy or download it again.")
    try:
        tensors = [_tensor(name, entry, data_begin) for name, entry in header.items() if name != "__metadata__"]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{path}: the safetensors header is damaged ({error}); copy or download it again."
        ) from error
    tensors.sort(key=lambda tensor: (tensor.begin, tensor.end))
    position = data_begin
    for tensor in tensors:
        if tensor.begin != position:
            raise ConfigurationError(
                f"{path}: {tensor.name} begins at byte {tensor.begin}, expected {position}; download it again."
            )
        position = tensor.end
    if position != size:
        raise ConfigurationError(
            f"{path}: {'cut short' if size < position else 'too long'}: {size} bytes, the header promises {position}. "
            "Copy or download it again."
        )
    return tuple(tensors)


def _tensor(name: str, entry: Mapping[str, object], data_begin: int) -> StoredTensor:
    """One entry of a header."""
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
        raise ValueError(f"{name} has no shape or place")
    numbers = [*shape, *offsets]
    if not all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers):
        raise ValueError(f"{name} has a shape or place that is no whole number")
    bits = DTYPE_BITS.get(str(dtype))
    if bits is not None and math.prod(shape) * bits != (offsets[1] - offsets[0]) * 8:
        raise ValueError(f"{name} of {dtype} {shape} does not take {offsets[1] - offsets[0]} bytes")
    return StoredTensor(
        name=name,
        dtype=str(dtype),
        shape=tuple(shape),
        begin=data_begin + offsets[0],
        end=data_begin + offsets[1],
    )
