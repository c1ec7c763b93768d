"""Recordings: rosbag2 folders and files (MCAP, SQLite), read and written message by message without ROS.

Messages stay raw (CDR bytes) until somebody asks for ``deserialize``. A bag is written in a folder ``NAME.part`` and
moved to its name when it is complete, so that a bag of the wanted name is always a whole one.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

from mcap.exceptions import EndOfFile
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.rosbag2.metadata import parse_qos
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from n3d_ros.errors import BagError, N3dError
from n3d_ros.ros.message_types import message_class, message_definition, type_name

logger = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")

STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
SUFFIXES = (".mcap", ".db3")
WRITE_ERRORS = (OSError, sqlite3.Error)  # of a disk that is full, or gone
METADATA_VERSION: Literal[8] = 8  # read by Iron, Jazzy and Kilted; Humble reads what it knows of it
MAX_RECORD_BYTES = 1 << 30  # one MCAP record; a corrupt length must not claim more memory
UNIX_TIME_ZERO = 0
METADATA_FILE = "metadata.yaml"
METADATA_KEY = b"rosbag2_bagfile_information"  # the only entry of a rosbag2 folder's metadata
_abandoned: set[Path] = set()  # parts that writers of this process left after an error: these may be replaced


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicQos:
    """How a topic was offered: what a replay has to offer again.

    Args:
        reliability: "reliable" or "best_effort".
        durability: "volatile" or "transient_local" (late subscribers get the last messages).
        history: "keep_last" or "keep_all".
        depth: messages kept; at least 1.
    """

    reliability: str = "reliable"
    durability: str = "volatile"
    history: str = "keep_last"
    depth: int = 10

    @property
    def is_latched(self) -> bool:
        """Whether late subscribers get the last messages."""
        return self.durability == "transient_local"

    def to_rclpy(self, *, depth: int | None = None) -> Any:
        """The same as ``rclpy.qos.QoSProfile``.

        Args:
            depth: another depth than the recorded one.

        Returns:
            The profile.
        """
        from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

        return QoSProfile(
            reliability=ReliabilityPolicy[self.reliability.upper()],
            durability=DurabilityPolicy[self.durability.upper()],
            history=HistoryPolicy[self.history.upper()],
            depth=depth or self.depth,
        )

    @classmethod
    def from_rclpy(cls, profile: Any) -> TopicQos:
        """The part of an rclpy profile that a recording keeps.

        Args:
            profile: ``rclpy.qos.QoSProfile``; policies that say "default" or "unknown" take this class's defaults.

        Returns:
            The qualities of service.
        """
        reliability = "best_effort" if profile.reliability.name.upper() == "BEST_EFFORT" else "reliable"
        durability = "transient_local" if profile.durability.name.upper() == "TRANSIENT_LOCAL" else "volatile"
        history = "keep_all" if profile.history.name.upper() == "KEEP_ALL" else "keep_last"
        return cls(reliability=reliability, durability=durability, history=history, depth=max(1, profile.depth))


SENSOR_QOS = TopicQos(reliability="best_effort", depth=5)
LATCHED_QOS = TopicQos(durability="transient_local", depth=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BagTopic:
    """One topic of a recording.

    Args:
        name: topic name.
        type: message type, such as ``sensor_msgs/msg/Image``.
        message_count: messages in the bag; None when the bag is damaged and was not counted.
        qos: as it was offered.
        definition: the message definition stored in the bag (format ``ros2msg``), empty when there is none.
    """

    name: str
    type: str
    message_count: int | None
    qos: TopicQos
    definition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BagMessage:
    """One recorded message, still raw.

    Args:
        topic: its topic.
        stamp_ns: when it was recorded, nanoseconds.
        data: the serialized message (CDR with its four-byte header).
    """

    topic: BagTopic
    stamp_ns: int
    data: bytes

    def deserialize(self) -> Any:
        """The message as rclpy gives it to a subscriber.

        Returns:
            An instance of the type's Python class.

        Raises:
            BagError: the type is not installed, or the bytes are not such a message.
        """
        from rclpy.serialization import deserialize_message

        cls = message_class(self.topic.type)
        try:
            return deserialize_message(self.data, cls)
        except Exception as error:  # rclpy raises RCLError or MemoryError for damaged bytes, both of them unspecific
            raise BagError(
                f"{self.topic.name} at {self.stamp_ns / 1e9:.3f} s: {len(self.data)} bytes are no {self.topic.type}.",
                reason="bad_message",
            ) from error


class BagReader:
    """Reads a rosbag2 recording. Use it as a context manager.

    A recording that was cut off (a killed recorder, a full disk) opens too when its beginning is readable: ``damage``
    then says what is wrong, and ``messages`` raises that as ``BagError`` after the last message that can be read.

    Args:
        path: a rosbag2 folder (with or without ``metadata.yaml``), or one ``.mcap`` or ``.db3`` file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.damage: str | None = None
        self._sources: list[_RosbagsSource | _ScannedSource] = []
        self._topics: dict[str, BagTopic] = {}

    def __enter__(self) -> BagReader:
        """Opens the bag.

        Returns:
            This reader.

        Raises:
            BagError: there is no bag, or nothing of it can be read.
        """
        try:
            self._sources = [_open_source(path) for path in _storage_paths(self.path)]
        except OSError as error:
            raise BagError(f"{self.path}: cannot be read ({error.strerror or error}).") from error
        self.damage = next((source.damage for source in self._sources if source.damage), None)
        for source in self._sources:
            for topic in source.topics:
                known = self._topics.get(topic.name)
                self._topics[topic.name] = topic if known is None else _merged(known, topic)
        if self.damage:
            logger.warning("%s", self.damage)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the bag."""
        for source in self._sources:
            source.close()
        self._sources = []

    @property
    def topics(self) -> dict[str, BagTopic]:
        """Topics by name, in the order of the bag."""
        return self._topics

    @property
    def message_count(self) -> int | None:
        """Messages of all topics; None when the bag is damaged."""
        counts = [topic.message_count for topic in self._topics.values()]
        return None if self.damage else sum(count or 0 for count in counts)

    @property
    def start_ns(self) -> int:
        """Stamp of the first message, nanoseconds; 0 for a bag without messages."""
        return min((source.start_ns for source in self._sources if source.end_ns), default=UNIX_TIME_ZERO)

    @property
    def end_ns(self) -> int:
        """Stamp of the last message, nanoseconds; 0 for a bag without messages."""
        return max((source.end_ns for source in self._sources), default=UNIX_TIME_ZERO)

    @property
    def duration_ns(self) -> int:
        """Nanoseconds from the first message to the last."""
        return self.end_ns - self.start_ns

    def messages(
        self, topics: Iterable[str] | None = None, *, start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """The messages in order of their stamps.

        Args:
            topics: only these; None: all.
            start_ns: only messages at or after this stamp.
            stop_ns: only messages before this stamp.

        Yields:
            Raw messages.

        Raises:
            BagError: an unknown topic, or the rest of the bag is damaged (after everything readable was given).
        """
        wanted = set(self._topics) if topics is None else set(topics)
        if unknown := wanted - set(self._topics):
            raise BagError(f"{self.path} has no topic {', '.join(sorted(unknown))}; it holds:\n{self.describe()}")
        streams = [source.messages(wanted, start_ns, stop_ns) for source in self._sources]
        count, last_ns = 0, None
        try:
            for name, stamp_ns, data in heapq.merge(*streams, key=lambda entry: entry[1]):
                count, last_ns = count + 1, stamp_ns
                yield BagMessage(topic=self._topics[name], stamp_ns=stamp_ns, data=data)
        except N3dError:
            raise
        except Exception as error:  # the storage libraries fail in many ways on damaged bytes
            raise BagError(_damage_sentence(self.path, count, last_ns, error), reason="damaged_bag") from error
        if self.damage:
            raise BagError(self.damage, reason="damaged_bag")

    def readable_messages(
        self, topics: Iterable[str] | None = None, *, stop_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """The messages that can be read: where the bag is damaged they just end. For looks ahead of the main pass.

        Args:
            topics: only these; None: all.
            stop_ns: only messages before this stamp.

        Yields:
            Raw messages.

        Raises:
            BagError: an unknown topic.
        """
        try:
            yield from self.messages(topics, stop_ns=stop_ns)
        except BagError as error:
            if error.reason != "damaged_bag":
                raise

    def describe(self) -> str:
        """What the bag holds, one line per topic.

        Returns:
            Lines of topic, type and number of messages.
        """
        lines = [
            f"  {topic.name}  {topic.type}  {'?' if topic.message_count is None else topic.message_count} messages"
            for topic in self._topics.values()
        ]
        return "\n".join(lines) or "  (no topics)"


def _merged(first: BagTopic, second: BagTopic) -> BagTopic:
    """One topic out of two that several files or publishers recorded under one name."""
    if first.type != second.type:
        raise BagError(f"Topic {first.name} has two types, {first.type} and {second.type}; split the bag first.")
    counts = (first.message_count, second.message_count)
    total = None if counts[0] is None or counts[1] is None else counts[0] + counts[1]
    return replace(first, message_count=total, definition=first.definition or second.definition)


def _reason(error: BaseException) -> str:
    """Why reading stopped, in words."""
    if isinstance(error, (EndOfFile, struct.error)):
        return "the file ends in the middle of a record"
    return str(error).strip().rstrip(".") or type(error).__name__


def _damage_sentence(path: Path, count: int, last_ns: int | None, error: BaseException) -> str:
    """What is wrong with a damaged bag, and how much of it could be read."""
    upto = "" if last_ns is None else f" (the last one at {last_ns / 1e9:.3f} s)"
    why = _reason(error)
    return f"{path} is cut off or damaged: {count} messages could be read{upto}, then: {why}."


def _storage_paths(path: Path) -> list[Path]:
    """What to open: the files of a plain bag, or the folder itself when files are compressed as a whole."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise BagError(f"{path}: expected a rosbag2 folder or an .mcap or .db3 file; there is nothing of that name.")
    files = sorted((p for p in path.iterdir() if p.suffix in SUFFIXES), key=lambda p: (len(p.name), p.name))
    if files:
        return files
    if (path / "metadata.yaml").is_file():
        return [path]  # compressed files: the folder reader unpacks them
    raise BagError(f"{path}: expected a rosbag2 folder with .mcap or .db3 files; there is none in it.")


def _open_source(path: Path) -> _RosbagsSource | _ScannedSource:
    """A reader of one storage: by its index where that is whole, else by scanning from the start."""
    try:
        return _RosbagsSource(_indexed_reader(path))
    except OSError:
        raise
    except Exception as error:  # ReaderError for most damage, but also struct, key, type and decoding errors
        if path.suffix == ".mcap":
            return _ScannedSource(path)
        why = _reason(error)
        raise BagError(f"{path}: cannot be read as a rosbag2 recording: {why}.") from error


def _indexed_reader(path: Path) -> Reader:
    """The rosbags reader of one file, or of its folder where messages are compressed one by one."""
    if path.is_file() and (path.parent / "metadata.yaml").is_file():
        folder = Reader(path.parent)
        with contextlib.suppress(Exception):  # a broken metadata.yaml beside good storage must not matter
            folder.open()
            if folder.compression_mode:
                return folder
            folder.close()
    reader = Reader(path)
    reader.open()
    return reader


class _RosbagsSource:
    """One storage read by its index."""

    damage: str | None = None

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.start_ns = reader.start_time if reader.message_count else UNIX_TIME_ZERO
        self.end_ns = reader.end_time - 1 if reader.message_count else UNIX_TIME_ZERO
        merged: dict[str, BagTopic] = {}
        for connection in reader.connections:
            topic = _topic_of(connection)
            merged[topic.name] = _merged(merged[topic.name], topic) if topic.name in merged else topic
        self.topics = list(merged.values())

    def messages(self, wanted: set[str], start_ns: int | None, stop_ns: int | None) -> Iterator[tuple[str, int, bytes]]:
        """Topic name, stamp and data, in order of stamps."""
        connections = [c for c in self._reader.connections if c.topic in wanted]
        if connections:
            for connection, stamp_ns, data in self._reader.messages(connections, start_ns, stop_ns):
                yield connection.topic, stamp_ns, bytes(data)

    def close(self) -> None:
        """Closes the storage."""
        self._reader.close()


def _topic_of(connection: Connection) -> BagTopic:
    """The topic of one connection of the rosbags reader."""
    profiles = getattr(connection.ext, "offered_qos_profiles", [])
    return BagTopic(
        name=connection.topic,
        type=connection.msgtype,
        message_count=connection.msgcount,
        qos=_qos_from_rosbags(profiles),
        definition=connection.msgdef.data if connection.msgdef.format.name == "MSG" else "",
    )


class _ScannedSource:
    """One MCAP file without a usable index, read from the start as far as it goes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        counts: dict[str, int] = {}
        found: dict[str, BagTopic] = {}
        stamps: list[int] = []
        self._failures: list[BaseException] = []
        for schema, channel, message in self._scan():
            if channel.topic not in found:
                found[channel.topic] = _topic_of_channel(schema, channel)
            counts[channel.topic] = counts.get(channel.topic, 0) + 1
            stamps.append(message.log_time)
        if not found and self._failures:
            why = _reason(self._failures[0])
            raise BagError(f"{path}: nothing can be read of it: {why}.", reason="damaged_bag") from self._failures[0]
        self.topics = [replace(topic, message_count=counts[name]) for name, topic in found.items()]
        self.start_ns, self.end_ns = min(stamps, default=UNIX_TIME_ZERO), max(stamps, default=UNIX_TIME_ZERO)
        self.damage: str | None = None
        if self._failures:
            self.damage = _damage_sentence(path, len(stamps), max(stamps, default=None), self._failures[0])

    def _scan(self) -> Iterator[tuple[Schema | None, Channel, Message]]:
        """Schema, channel and message of every readable record; what stops it is left in ``_failures``."""
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        with self.path.open("rb") as file:
            reader = StreamReader(file, validate_crcs=True, record_size_limit=MAX_RECORD_BYTES)
            try:
                for record in reader.records:
                    if isinstance(record, Schema):
                        schemas[record.id] = record
                    elif isinstance(record, Channel):
                        channels[record.id] = record
                    elif isinstance(record, Message) and record.channel_id in channels:
                        channel = channels[record.channel_id]
                        if channel.message_encoding == "cdr":
                            yield schemas.get(channel.schema_id), channel, record
            except Exception as error:  # decompressors and struct raise their own kinds on damaged bytes
                self._failures.append(error)

    def messages(self, wanted: set[str], start_ns: int | None, stop_ns: int | None) -> Iterator[tuple[str, int, bytes]]:
        """Topic name, stamp and data, in the order of the file."""
        for _, channel, message in self._scan():
            early = start_ns is not None and message.log_time < start_ns
            late = stop_ns is not None and message.log_time >= stop_ns
            if channel.topic in wanted and not early and not late:
                yield channel.topic, message.log_time, message.data

    def close(self) -> None:
        """Does nothing: the file is open only while it is read."""


def _topic_of_channel(schema: Schema | None, channel: Channel) -> BagTopic:
    """The topic of an MCAP channel."""
    definition = schema.data.decode(errors="replace") if schema and schema.encoding == "ros2msg" else ""
    profiles: list[Qos] = []
    with contextlib.suppress(Exception):  # a field for tools, of which only well-formed content counts
        profiles = parse_qos(channel.metadata.get("offered_qos_profiles", ""))
    return BagTopic(
        name=channel.topic,
        type=schema.name if schema else "unknown/msg/Unknown",
        message_count=0,
        qos=_qos_from_rosbags(profiles),
        definition=definition,
    )


def _qos_from_rosbags(profiles: list[Qos]) -> TopicQos:
    """What all publishers of a topic offered together: reliable or latched only when each of them was."""
    if not profiles:
        return TopicQos()
    reliable = all(p.reliability != QosReliability.BEST_EFFORT for p in profiles)
    latched = all(p.durability == QosDurability.TRANSIENT_LOCAL for p in profiles)
    keep_all = any(p.history == QosHistory.KEEP_ALL for p in profiles)
    return TopicQos(
        reliability="reliable" if reliable else "best_effort",
        durability="transient_local" if latched else "volatile",
        history="keep_all" if keep_all else "keep_last",
        depth=max(1, *(p.depth for p in profiles)),
    )


def _qos_to_rosbags(qos: TopicQos) -> Qos:
    """The same in the form of the rosbags library; times that no one set mean "for ever"."""
    forever = QosTime(9223372036, 854775807)
    return Qos(
        QosHistory[qos.history.upper()],
        qos.depth,
        QosReliability[qos.reliability.upper()],
        QosDurability[qos.durability.upper()],
        forever,
        forever,
        QosLiveliness.AUTOMATIC,
        forever,
        avoid_ros_namespace_conventions=False,
    )


def is_bag_folder(path: Path) -> bool:
    """Whether a folder is a rosbag2 recording, by its metadata.

    Args:
        path: of anything.

    Returns:
        False as well when it cannot be read.
    """
    try:
        return METADATA_KEY in (path / METADATA_FILE).read_bytes()
    except OSError:
        return False


def refuse_inside_bag(path: Path) -> None:
    """Refuses a place for results that is a recording, or lies in one: recordings hold nothing else.

    Args:
        path: a folder, there or to be made.

    Raises:
        BagError: it is.
    """
    place = path.resolve()
    holder = next((folder for folder in (place, *place.parents) if is_bag_folder(folder)), None)
    if holder is not None:
        raise BagError(f"{holder} is a recording; choose another folder for the results.")


def _is_unfinished_bag(part: Path, name: str) -> bool:
    """Whether a folder holds nothing but what a writer of the bag ``name`` leaves before it is complete."""
    if [entry.name for entry in part.iterdir()] not in ([], [name]):
        return False
    files = list((part / name).iterdir()) if (part / name).is_dir() else []
    return all(file.is_file() and (file.name == METADATA_FILE or file.name.startswith(name)) for file in files)


class BagWriter:
    """Writes a rosbag2 recording that is whole or is not there. Use it as a context manager.

    Leaving the context normally, or by KeyboardInterrupt, completes the bag; any other exception leaves ``NAME.part``.
    It may be used from several threads, one at a time.

    Args:
        path: folder to make.
        storage: "mcap" or "sqlite3".
        compress: compress MCAP chunks (zstd).
        force: replace a bag, finished or not, that is there.

    Raises:
        BagError: unknown storage, or the place is taken.
    """

    def __init__(self, path: str | Path, *, storage: str = "mcap", compress: bool = True, force: bool = False) -> None:
        if storage not in STORAGES:
            raise BagError(f"Bag storage: expected one of {', '.join(STORAGES)}, got {storage!r}.")
        self.path = Path(path)
        self._part = self.path.with_name(self.path.name + ".part")
        self._force = force
        self._check_place()
        self._compress = compress and storage == "mcap"
        self._storage = STORAGES[storage]
        self._writer: Writer | None = None
        # SQLite's objects may be used only in the thread that made them, and recorders write in a thread of their own.
        self._thread = ThreadPoolExecutor(1, "bag-storage") if storage == "sqlite3" else None
        self._connections: dict[str, Connection] = {}
        self.message_count = 0
        self.byte_count = 0

    def _check_place(self) -> None:
        """Refuses a place in a bag, and one that is taken by anything but a bag that may be replaced."""
        refuse_inside_bag(self.path.resolve().parent)
        if not self.path.exists():
            return
        if not self._force:
            raise BagError(f"{self.path} exists already; choose another name, or --force to replace it.")
        if not is_bag_folder(self.path):
            raise BagError(f"{self.path} exists and is no rosbag2 folder; it is not replaced, choose another name.")

    def __enter__(self) -> BagWriter:
        """Begins the bag.

        Returns:
            This writer.

        Raises:
            BagError: the place cannot be written.
        """
        try:
            self._clear_part()
            self._part.mkdir(parents=True)
            # The files take the folder's name, so the folder inside NAME.part already has the final one.
            self._writer = Writer(self._part / self.path.name, version=METADATA_VERSION, storage_plugin=self._storage)
            if self._compress:
                self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._in_storage(self._writer.open)
        except WRITE_ERRORS as error:
            self._give_up()
            raise BagError(f"{self.path}: cannot be written ({_disk_reason(error)}).") from error
        return self

    def _in_storage(self, function: Callable[..., ResultT], *args: Any, **kwargs: Any) -> ResultT:
        """Calls a function of the storage where that may be called."""
        if self._thread is None:
            return function(*args, **kwargs)
        return self._thread.submit(function, *args, **kwargs).result()

    def _stopped(self, error: BaseException) -> BagError:
        """What is told when writing fails."""
        return BagError(
            f"{self.path}: writing stopped ({_disk_reason(error)}). What was written so far is in {self._part}."
        )

    def _give_up(self) -> None:
        """Ends writing; the part stays under its own name."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(Exception):  # what is wrong with the storage was said already
                self._in_storage(writer.abort)
            _abandoned.add(self._part.resolve())
        if self._thread is not None:
            self._thread.shutdown()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Completes the bag, or leaves the part of it under its own name."""
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self.close()
        else:
            self._give_up()

    def _clear_part(self) -> None:
        """Removes what an earlier writer left under the name of the part, where that is allowed."""
        if not self._part.exists():
            return
        if not self._force and self._part.resolve() not in _abandoned:
            raise BagError(
                f"{self._part} is there: what a recording that did not end in order has left, and it may be readable. "
                "Move it away, or --force to replace it."
            )
        if not _is_unfinished_bag(self._part, self.path.name):
            raise BagError(f"{self._part} is there and is no unfinished bag; it is not replaced, choose another name.")
        shutil.rmtree(self._part)
        _abandoned.discard(self._part.resolve())

    @property
    def topics(self) -> tuple[str, ...]:
        """Names of the topics added so far."""
        return tuple(self._connections)

    def add_topic(self, name: str, type_: str, *, qos: TopicQos | None = None, definition: str | None = None) -> None:
        """Adds a topic.

        Args:
            name: topic name, such as ``/camera/color/image_raw``.
            type_: message type, such as ``sensor_msgs/msg/Image``.
            qos: as it is offered; None: reliable, keep last 10.
            definition: text of the message definition; None: the installed one.

        Raises:
            BagError: added twice, or the definition is not known.
        """
        if name in self._connections:
            raise BagError(f"Topic {name} was added to {self.path} already.")
        text = message_definition(type_) if definition is None else definition
        try:
            self._connections[name] = self._in_storage(
                self._open_writer().add_connection,
                name,
                type_,
                msgdef=text,
                rihs01=type_hash(type_, text),
                offered_qos_profiles=[_qos_to_rosbags(qos or TopicQos())],
            )
        except WRITE_ERRORS as error:
            raise self._stopped(error) from error

    def write(self, topic: str, stamp_ns: int, message: Any) -> None:
        """Writes one message.

        Args:
            topic: a topic that was added, or that the message's own type can add.
            stamp_ns: when it was recorded, nanoseconds.
            message: serialized bytes, or a message.

        Raises:
            BagError: raw bytes for a topic that was not added, or the disk is full.
        """
        raw = isinstance(message, (bytes, bytearray, memoryview))
        if topic not in self._connections:
            if raw:
                raise BagError(f"Topic {topic} was not added to {self.path}; raw bytes do not tell their type.")
            self.add_topic(topic, type_name(message))
        data = bytes(message) if raw else canonical(serialize(message), type_name(message))
        try:
            self._in_storage(self._open_writer().write, self._connections[topic], stamp_ns, data)
        except WRITE_ERRORS as error:
            raise self._stopped(error) from error
        self.message_count += 1
        self.byte_count += len(data)

    def close(self) -> None:
        """Completes the bag and gives it its name.

        Raises:
            BagError: the place was taken meanwhile, or the disk is full.
        """
        if self._writer is None:
            return
        try:
            self._in_storage(self._writer.close)
            self._writer = None
            self._check_place()
            if self.path.exists():
                shutil.rmtree(self.path)
            (self._part / self.path.name).rename(self.path)
            self._part.rmdir()
        except WRITE_ERRORS as error:
            raise BagError(f"{self.path}: completing the bag failed ({_disk_reason(error)}).") from error
        finally:
            self._give_up()

    def discard(self) -> None:
        """Ends the bag without a trace of it; what was there before under its name stays."""
        if self._writer is not None:
            self._give_up()
            shutil.rmtree(self._part, ignore_errors=True)

    def _open_writer(self) -> Writer:
        """The writer, which exists between enter and close."""
        if self._writer is None:
            raise BagError(f"{self.path} is not open for writing.")
        return self._writer


def _disk_reason(error: BaseException) -> str:
    """Why writing failed, in words."""
    return str(getattr(error, "strerror", None) or error)


def serialize(message: Any) -> bytes:
    """The serialized form of a message, as it goes over the wire.

    Args:
        message: any ROS message.

    Returns:
        CDR bytes.
    """
    from rclpy.serialization import serialize_message

    data: bytes = serialize_message(message)
    return data


def canonical(data: bytes, type_: str) -> bytes:
    """The same message with zeros in its padding.

    The middleware leaves what was in memory between the fields: recordings of the same messages would differ.

    Args:
        data: CDR bytes.
        type_: of an installed message.

    Returns:
        CDR bytes that mean the same; as given when the definition cannot be parsed.
    """
    store = _typestore(type_, message_definition(type_))
    return data if store is None else bytes(store.serialize_cdr(store.deserialize_cdr(data, type_), type_))


@cache
def _typestore(type_: str, definition: str) -> Typestore | None:
    """The rosbags library's view of a message type; None when it cannot parse the definition."""
    try:
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(definition, type_))
    except Exception as error:  # foreign definitions may use syntax the parser does not know
        logger.warning("%s: its definition cannot be parsed (%s).", type_, error)
        return None
    return store


def type_hash(type_: str, definition: str) -> str:
    """The hash of a message type that rosbag2 stores (REP-2016), computed from its definition.

    Args:
        type_: such as ``sensor_msgs/msg/Image``.
        definition: its text in the format ``ros2msg``, with the types in it.

    Returns:
        Such as ``RIHS01_d31d...``; "RIHS01_" with zeros when the definition cannot be parsed.
    """
    store = _typestore(type_, definition)
    # Readers compare the hash only where both sides have one; zeros show that it was left open.
    return "RIHS01_" + "0" * 64 if store is None else store.hash_rihs01(type_)


def copy_topics(
    reader: BagReader,
    writer: BagWriter,
    topics: Iterable[str],
    *,
    on_message: Callable[[BagMessage], None] | None = None,
) -> int:
    """Copies messages of some topics as they are, with definitions and qualities of service.

    Args:
        reader: an open bag.
        writer: an open bag.
        topics: names of topics in the reader.
        on_message: called after each message.

    Returns:
        Number of messages copied.
    """
    names = list(topics)
    for name in names:
        topic = reader.topics[name]
        if name not in writer.topics:
            writer.add_topic(name, topic.type, qos=topic.qos, definition=topic.definition or None)
    count = 0
    for message in reader.messages(names):
        writer.write(message.topic.name, message.stamp_ns, message.data)
        count += 1
        if on_message is not None:
            on_message(message)
    return count
