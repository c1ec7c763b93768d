"""The cache of engines: whole or not there, found by what they were built for, bounded, and one builder at a time."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.inference.tensorrt import store as store_module
from n3d_ros.inference.tensorrt.store import (
    ENGINE_FILE,
    ENGINE_REASON,
    EngineKey,
    EngineRecord,
    EngineStore,
    StoredEngine,
    default_cache_folder,
    file_problem,
    graphs_fact,
)
from n3d_ros.whole_files import file_digest, writer_name

FACTS = {
    "graphs": "a" * 64, "weights": "b" * 64, "goldens": "c" * 64, "profiles": "{}", "capacity": "2048",
    "precision": "bfloat16", "n3d_ros": "0.1.0", "tensorrt": "10.7.0.23", "driver": "540.4.0", "gpu": "Orin",
    "compute_capability": "8.7", "multiprocessors": "16", "jetpack": "R36.4.3",
}  # fmt: skip
PLANS = {"decoder.plan": b"decoder" * 100, "vision.plan": b"vision" * 50}
HOST = writer_name().rpartition("-")[0]
NO_PID = 2**22 + 1  # Linux numbers processes up to 2^22
DAY_S = 24 * 3600

facts_of_keys = st.dictionaries(st.sampled_from(sorted(FACTS)), st.text(max_size=8))


def key_of(**changes: str) -> EngineKey:
    return EngineKey(facts=FACTS | changes)


def keep(store: EngineStore, key: EngineKey, plans: dict[str, bytes] | None = None) -> StoredEngine:
    """An engine of made-up plans."""
    with store.building() as staging:
        for name, content in (plans or PLANS).items():
            (staging / name).write_bytes(content)
        files = {plan.name: file_digest(plan) for plan in sorted(staging.iterdir())}
        record = EngineRecord(
            name="n3d-nano", source="/graphs/nano", facts=dict(key.facts), form="fused", files=files,
            bytes=sum(map(len, (plans or PLANS).values())), built=1.7e9, build_s=12.5, self_test={"box_mm": 0.25},
            notes=("a note",),
        )  # fmt: skip
        return store.keep(staging, key, record)


def fail_to_build(store: EngineStore, error: BaseException) -> None:
    with store.building() as staging:
        (staging / "decoder.plan").write_bytes(b"half")
        raise error


def change_description(entry: StoredEngine, **changes: Any) -> None:
    file = entry.folder / ENGINE_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def names_in(store: EngineStore) -> set[str]:
    """What lies in the cache, but for its lock."""
    return {path.name for path in store.folder.iterdir()} - {".lock"}


@contextmanager
def another_builder(cache: Path, repository: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has begun to build, and does until its input ends."""
    code = (
        "import sys; from pathlib import Path; from n3d_ros.inference.tensorrt.store import EngineStore\n"
        "with EngineStore(Path(sys.argv[1])).building() as staging:\n"
        "    (staging / 'decoder.plan').write_bytes(bytes(1000))\n"
        "    print(staging.name, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(cache)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=repository,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            assert process.stdout.readline().strip() == f".part-{HOST}-{process.pid}"
            yield process
        finally:
            process.kill()


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "cache")


@pytest.mark.parametrize("name", sorted(FACTS))
def test_every_fact_is_part_of_the_key(name: str) -> None:
    assert key_of(**{name: "another"}).digest != key_of().digest
    assert EngineKey(facts={each: FACTS[each] for each in FACTS if each != name}).digest != key_of().digest


def test_a_key_is_a_folder_name_of_32_digits_and_stays_what_it_was() -> None:
    assert re.fullmatch("[0-9a-f]{32}", key_of().digest)
    # printf '{"gpu": "Orin", "tensorrt": "10.3.0.30"}' | sha256sum
    key = EngineKey(facts={"tensorrt": "10.3.0.30", "gpu": "Orin"})
    assert key.digest == "ab7cdb345b0d179440c918546e0e7399"


@given(facts=facts_of_keys, data=st.data())
def test_the_order_of_facts_does_not_matter(facts: dict[str, str], data: st.DataObject) -> None:
    shuffled = dict(data.draw(st.permutations(list(facts.items()))))
    assert EngineKey(facts=shuffled).digest == EngineKey(facts=facts).digest


@given(one=facts_of_keys, other=facts_of_keys)
def test_keys_differ_where_a_fact_does(one: dict[str, str], other: dict[str, str]) -> None:
    assert (EngineKey(facts=one).digest == EngineKey(facts=other).digest) == (one == other)
    different = {name for name in {*one, *other} if one.get(name) != other.get(name)}
    assert [text.split(" ")[0] for text in EngineKey(facts=one).differences(other)] == sorted(different)


def test_a_difference_tells_both_values() -> None:
    other = {**FACTS, "tensorrt": "10.3.0.30", "graphs": "d" * 64}
    del other["jetpack"]
    assert key_of().differences(other) == [
        "graphs dddddddddddd..., here aaaaaaaaaaaa...",
        "jetpack unknown, here R36.4.3",
        "tensorrt 10.3.0.30, here 10.7.0.23",
    ]


def test_graphs_have_one_digest_whatever_their_order_and_their_neighbours() -> None:
    files = {"decoder.onnx": "00", "vision.onnx": "01", "config.json": "02"}
    names = ["decoder.onnx", "vision.onnx"]
    digest = graphs_fact(files, names)
    assert graphs_fact(files | {"config.json": "03"}, names[::-1]) == digest
    assert graphs_fact(files | {"vision.onnx": "03"}, names) != digest
    assert graphs_fact({"decoder.onnx": "01", "vision.onnx": "00"}, names) != digest
    assert graphs_fact(files, names[:1]) != digest


def test_an_engine_that_was_kept_is_found_with_all_that_was_said_of_it(store: EngineStore) -> None:
    key = key_of()
    kept = keep(store, key)
    assert kept.folder == store.folder / key.digest
    assert names_in(store) == {key.digest}
    assert {file.name: file.read_bytes() for file in kept.folder.glob("*.plan")} == PLANS
    for entry in (kept, store.find(key), store.checked(key), *EngineStore(store.folder.parent).entries()):
        assert entry.folder == kept.folder and entry.problem == "" and file_problem(entry) == ""
        assert entry.record is not None
        assert (entry.record.name, entry.record.source, entry.record.form) == ("n3d-nano", "/graphs/nano", "fused")
        assert dict(entry.record.facts) == FACTS
        assert entry.record.files.keys() == PLANS.keys()
        assert (entry.record.bytes, entry.record.built, entry.record.build_s) == (1000, 1.7e9, 12.5)
        assert entry.record.self_test == {"box_mm": 0.25}
        assert list(entry.record.notes) == ["a note"]
        assert entry.bytes == 1000 + (kept.folder / ENGINE_FILE).stat().st_size


def test_an_engine_of_the_same_key_replaces_the_former(store: EngineStore) -> None:
    keep(store, key_of())
    keep(store, key_of(), {"decoder.plan": b"newer"})
    (entry,) = store.entries()
    assert {file.name for file in entry.folder.iterdir()} == {"decoder.plan", ENGINE_FILE}
    assert (store.checked(key_of()).folder / "decoder.plan").read_bytes() == b"newer"
    assert names_in(store) == {key_of().digest}


def test_the_folder_of_a_build_is_empty_and_on_the_disk_of_the_cache(store: EngineStore) -> None:
    with store.building() as staging:
        assert staging.parent == store.folder and list(staging.iterdir()) == []
        assert store.entries() == []  # what is being built is no engine yet


def test_a_build_that_is_not_kept_leaves_nothing(store: EngineStore) -> None:
    with store.building() as staging:
        (staging / "decoder.plan").write_bytes(b"half")
    assert names_in(store) == set()


@pytest.mark.parametrize("error", [RuntimeError("wrong"), KeyboardInterrupt(), BackendError("refused")])
def test_a_build_that_fails_leaves_nothing_and_its_own_error(store: EngineStore, error: BaseException) -> None:
    former = keep(store, key_of())
    with pytest.raises(type(error)) as raised:
        fail_to_build(store, error)
    assert raised.value is error
    assert names_in(store) == {former.folder.name}
    with store.building():  # and the cache is free again
        pass


def test_a_full_disk_is_told_with_what_makes_room(store: EngineStore) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be written.*No space left.*n3d engine clean"):
        fail_to_build(store, OSError(errno.ENOSPC, "No space left on device"))
    assert names_in(store) == set()


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"[]", b'"words"', b"\xff\xfe", b"{}", b'{"format": 99}', b'{"format": 1}'],
    ids=str,
)
def test_an_engine_without_a_description_that_can_be_read_is_listed_and_not_used(
    store: EngineStore, content: bytes | None
) -> None:
    file = keep(store, key_of()).folder / ENGINE_FILE
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    (entry,) = store.entries()
    assert entry.record is None and entry.problem and file_problem(entry) == entry.problem
    for look in (store.find, store.checked):
        with pytest.raises(BackendError, match=f"{re.escape(entry.problem)}.*n3d engine build") as raised:
            look(key_of())
        assert raised.value.reason == ENGINE_REASON


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_description_that_ends_early_is_damage(store: EngineStore, share: float) -> None:
    file = keep(store, key_of()).folder / ENGINE_FILE
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BackendError, match=f"{ENGINE_FILE} is missing or cannot be read"):
        store.find(key_of())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"format": 2}, "of another version of n3d_ros"),
        ({"surprise": 1}, "surprise"),
        ({"facts": FACTS | {"multiprocessors": 16}}, "expected facts and files of words"),
        ({"files": {"decoder.plan": None}}, "expected facts and files of words"),
        ({"files": {"../decoder.plan": "00"}}, "expected names of files without folders"),
        ({"files": {"/etc/passwd": "00"}}, "expected names of files without folders"),
        ({"files": {"plans/decoder.plan": "00"}}, "expected names of files without folders"),
        ({"bytes": "1000"}, "expected numbers of bytes"),
        ({"built": None}, "expected numbers"),
        ({"self_test": {"box_mm": "far"}}, "a self-test of numbers"),
        ({"name": 5}, "expected words"),
        ({"notes": [1]}, "expected words"),
        ({"notes": None}, ENGINE_FILE),
    ],
)
def test_a_description_of_another_shape_is_damage_that_is_named(
    store: EngineStore, changes: dict[str, Any], named: str
) -> None:
    change_description(keep(store, key_of()), **changes)
    (entry,) = store.entries()
    assert entry.record is None and named in entry.problem
    with pytest.raises(BackendError, match=named):
        store.find(key_of())


@pytest.mark.parametrize(
    "text",
    [
        '{"format": 1, "facts": []}',
        '{"format": 1, "files": "x"}',
        '{"format": 1, "self_test": []}',
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_a_description_that_is_nonsense_spoils_no_list(store: EngineStore, text: str) -> None:
    keep(store, key_of())
    (entry,) = store.entries()
    (entry.folder / ENGINE_FILE).write_text(text)
    (entry,) = store.entries()
    assert entry.record is None and entry.problem
    with pytest.raises(BackendError, match="No engine is built"):
        store.find(key_of(driver="other"))


@pytest.mark.parametrize(
    "change", [{"built": 1e300}, {"built": float("inf")}, {"build_s": -1}, {"files": {"x" * 5000: "00"}}]
)
def test_numbers_and_names_that_cannot_be_are_damage(store: EngineStore, change: dict[str, object]) -> None:
    entry = keep(store, key_of())
    file = entry.folder / ENGINE_FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    (entry,) = store.entries()
    assert entry.record is None and "expected" in entry.problem


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), -1.0])
def test_a_limit_that_is_none_is_refused(tmp_path: Path, limit: float) -> None:
    with pytest.raises(ConfigurationError, match="expected a limit of 0 to"):
        EngineStore(tmp_path, limit_gb=limit)


def test_the_nearest_engine_is_told_and_long_facts_that_begin_alike_are_told_apart(store: EngineStore) -> None:
    sizes = json.dumps({"decoder": [["prefill", {"past": [1, 1, 1], "tokens": [1, 512, 2048]}]]})
    wanted = key_of(profiles=sizes)
    keep(store, key_of(profiles=sizes.replace("2048", "4096"), driver="1", gpu="another"))
    keep(store, key_of(profiles=sizes.replace("2048", "4096")))
    with pytest.raises(BackendError, match=r"something else: profiles (#\w{8}), here (?!\1)#\w{8}\.$"):
        store.find(wanted)


def test_a_description_of_another_engine_is_not_believed(store: EngineStore) -> None:
    entry = keep(store, key_of())
    other = keep(store, key_of(tensorrt="10.3.0.30"))
    (entry.folder / ENGINE_FILE).write_bytes((other.folder / ENGINE_FILE).read_bytes())
    with pytest.raises(BackendError, match="its description is of another engine"):
        store.checked(key_of())
    store.checked(key_of(tensorrt="10.3.0.30"))


def test_a_folder_renamed_to_another_key_is_not_believed(store: EngineStore) -> None:
    entry = keep(store, key_of(driver="535.0"))
    entry.folder.rename(store.folder / key_of().digest)
    assert [each.problem for each in store.entries()] == ["its description is of another engine"]
    with pytest.raises(BackendError, match="its description is of another engine"):
        store.find(key_of())


@pytest.mark.parametrize("place", [0, 350, -1])
def test_a_plan_that_lacks_or_changed_a_byte_is_not_used(store: EngineStore, place: int) -> None:
    plan = keep(store, key_of()).folder / "decoder.plan"
    content = bytearray(plan.read_bytes())
    content[place] ^= 1
    for damaged in (bytes(content), PLANS["decoder.plan"][:-1], PLANS["decoder.plan"] + b"\0", b""):
        plan.write_bytes(damaged)
        assert file_problem(store.find(key_of())) == "decoder.plan is not the file that was tested"
        with pytest.raises(BackendError, match="decoder.plan is not the file that was tested") as raised:
            store.checked(key_of())
        assert raised.value.reason == ENGINE_REASON
    plan.write_bytes(PLANS["decoder.plan"])
    store.checked(key_of())


def test_a_plan_that_is_gone_is_named(store: EngineStore) -> None:
    (keep(store, key_of()).folder / "vision.plan").unlink()
    with pytest.raises(BackendError, match="vision.plan is not there"):
        store.checked(key_of())


def test_a_damaged_engine_is_mended_by_building_it_again(store: EngineStore) -> None:
    (keep(store, key_of()).folder / ENGINE_FILE).write_bytes(b"{")
    keep(store, key_of())
    store.checked(key_of())


def test_an_engine_of_another_machine_is_not_found_and_what_differs_is_told(store: EngineStore) -> None:
    keep(store, key_of(tensorrt="10.3.0.30", driver="535.104.05"))
    with pytest.raises(BackendError) as raised:
        store.find(key_of())
    assert raised.value.reason == ENGINE_REASON
    assert "n3d engine build" in raised.value.message
    assert "driver 535.104.05, here 540.4.0; tensorrt 10.3.0.30, here 10.7.0.23." in raised.value.message


def test_an_engine_of_other_graphs_is_not_mentioned(store: EngineStore) -> None:
    keep(store, key_of(graphs="e" * 64, tensorrt="10.3.0.30"))
    with pytest.raises(BackendError) as raised:
        store.find(key_of())
    assert "n3d engine build" in raised.value.message and "10.3.0.30" not in raised.value.message


def test_a_cache_that_is_not_there_has_no_engines_and_looking_makes_none(store: EngineStore) -> None:
    assert store.entries() == []
    with pytest.raises(BackendError, match="No engine is built"):
        store.find(key_of())
    assert not store.folder.parent.exists()


def test_only_folders_named_like_keys_are_engines(store: EngineStore) -> None:
    entry = keep(store, key_of())
    (store.folder / "notes").mkdir()
    (store.folder / "0123456789ABCDEF0123456789ABCDEF").mkdir()
    (store.folder / ("f" * 32)).write_text("a file")
    store.timing_cache(FACTS).write_bytes(b"learnt")
    assert [each.folder for each in store.entries()] == [entry.folder]


def test_engines_are_listed_by_when_they_were_loaded_last(store: EngineStore) -> None:
    engines = {name: keep(store, key_of(gpu=name)) for name in ("a", "b", "c")}
    for age, name in enumerate(("c", "a", "b")):
        os.utime(engines[name].folder / ENGINE_FILE, (0, time.time() - 1000 * (age + 1)))
    assert [entry.folder for entry in store.entries()] == [engines[name].folder for name in ("c", "a", "b")]
    store.find(key_of(gpu="a"))  # looks only
    assert store.entries()[0].folder == engines["c"].folder
    assert abs(store.checked(key_of(gpu="b")).used - time.time()) < 60
    assert store.entries()[0].folder == engines["b"].folder


def test_an_engine_of_a_cache_that_may_only_be_read_is_used_all_the_same(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = keep(store, key_of())

    def refuse(*_arguments: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(store_module.os, "utime", refuse)
    assert store.checked(key_of()).folder == entry.folder


def test_while_another_process_builds_nobody_else_builds_or_removes(store: EngineStore, repository: Path) -> None:
    entry = keep(store, key_of())
    with another_builder(store.folder.parent, repository) as other:
        with pytest.raises(BackendError, match=r"Another process builds.*wait") as raised, store.building():
            pytest.fail("two builds at a time")
        assert raised.value.reason == ENGINE_REASON
        with pytest.raises(BackendError, match=r"An engine is being built.*wait"):
            store.remove(entry)
        assert store.checked(key_of()).folder == entry.folder  # using one needs no lock
        other.communicate(timeout=30)
        assert other.returncode == 0
    assert names_in(store) == {entry.folder.name}
    store.remove(entry)
    assert store.entries() == [] and not entry.folder.exists()


def test_an_engine_is_not_removed_while_this_process_builds(store: EngineStore) -> None:
    entry = keep(store, key_of())
    with store.building(), pytest.raises(BackendError, match="An engine is being built"):
        store.remove(entry)
    store.checked(key_of())


def test_what_a_killed_build_left_goes_with_the_next_build(store: EngineStore, repository: Path) -> None:
    with another_builder(store.folder.parent, repository) as other:
        other.kill()
        other.wait(timeout=30)
    left = f".part-{HOST}-{other.pid}"
    assert names_in(store) == {left} and store.entries() == []
    with store.building():
        assert left not in names_in(store)


@pytest.mark.parametrize(
    ("name", "age_s", "stays"),
    [
        (f"{HOST}-{NO_PID}", 0, False),
        (f"former-{HOST}-{NO_PID}", 0, False),
        (f"{HOST}-1", 0, True),
        (f"former-{HOST}-1", 0, True),
        (f"{HOST}-1", DAY_S + 60, False),
        (f"another-host-{NO_PID}", 0, True),
        (f"former-another-host-{NO_PID}", 0, True),
        (f"another-host-{NO_PID}", DAY_S - 60, True),
        (f"another-host-{NO_PID}", DAY_S + 60, False),
        (f"{HOST}-nobody", 0, True),
        (f"{HOST}-nobody", DAY_S + 60, False),
    ],
)
def test_folders_of_work_go_when_nobody_works_in_them(store: EngineStore, name: str, age_s: float, stays: bool) -> None:
    folder = store.folder / f".part-{name}"
    folder.mkdir(parents=True)
    (folder / "decoder.plan").write_bytes(b"half")
    os.utime(folder, (0, time.time() - age_s))
    with store.building():
        assert folder.exists() == stays


def test_above_the_limit_the_engine_that_was_not_used_for_longest_goes(tmp_path: Path) -> None:
    size = keep(EngineStore(tmp_path / "other"), key_of(gpu="x")).bytes
    store = EngineStore(tmp_path / "cache", limit_gb=2.5 * size / 1e9)
    for age, name in enumerate(("a", "b")):
        os.utime(keep(store, key_of(gpu=name)).folder / ENGINE_FILE, (0, time.time() - 5000 + 1000 * age))
    store.checked(key_of(gpu="a"))  # the older one is in use
    keep(store, key_of(gpu="c"))
    assert names_in(store) == {key_of(gpu="a").digest, key_of(gpu="c").digest}


def test_below_the_limit_every_engine_stays(tmp_path: Path) -> None:
    size = keep(EngineStore(tmp_path / "other"), key_of(gpu="x")).bytes
    store = EngineStore(tmp_path / "cache", limit_gb=3.5 * size / 1e9)
    for name in ("a", "b", "c"):
        keep(store, key_of(gpu=name))
    assert len(store.entries()) == 3


def test_the_newest_engine_stays_though_it_is_above_the_limit_alone(tmp_path: Path) -> None:
    store = EngineStore(tmp_path, limit_gb=1e-7)
    future = time.time() + 1000
    os.utime(keep(store, key_of(gpu="a")).folder / ENGINE_FILE, (future, future))  # used "last", by a clock set back
    newest = keep(store, key_of(gpu="b"))
    assert [entry.folder for entry in store.entries()] == [newest.folder]


def test_a_limit_of_0_removes_nothing(tmp_path: Path) -> None:
    store = EngineStore(tmp_path, limit_gb=0)
    for name in ("a", "b", "c"):
        keep(store, key_of(gpu=name))
    assert len(store.entries()) == 3


def test_a_cache_that_cannot_be_made_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    store = EngineStore(tmp_path / "file" / "cache")
    assert store.entries() == []
    named = r"file/cache/engines: cannot be written.*name another cache"
    with pytest.raises(ConfigurationError, match=named), store.building():
        pytest.fail("built in a place that is none")


def test_a_cache_that_may_only_be_read_builds_and_removes_nothing(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = keep(store, key_of())

    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        for change in (lambda: store.remove(entry), lambda: store.building().__enter__()):
            with pytest.raises(ConfigurationError, match=r"cannot be written.*Read-only file system"):
                change()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        with pytest.raises(ConfigurationError, match=r"cannot be written.*Read-only file system"):
            store.building().__enter__()
    with monkeypatch.context() as patch:
        patch.setattr(store_module.shutil, "rmtree", refuse)
        with pytest.raises(ConfigurationError, match=r"cannot be removed.*Read-only file system"):
            store.remove(entry)
    store.checked(key_of())


def test_what_kernels_cost_is_kept_per_machine(store: EngineStore) -> None:
    file = store.timing_cache({"gpu": "Orin", "tensorrt": "10.3.0.30"})
    assert file == store.timing_cache({"tensorrt": "10.3.0.30", "gpu": "Orin"})
    assert file != store.timing_cache({"tensorrt": "10.7.0.23", "gpu": "Orin"})
    assert file.parent == store.folder and re.fullmatch(r"timing-[0-9a-f]{16}\.cache", file.name)


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("/var/cache/robot", "/var/cache/robot/n3d_ros"),
        ("cache", "/home/robot/.cache/n3d_ros"),  # relative: to be ignored, by the XDG base directory specification
        ("", "/home/robot/.cache/n3d_ros"),
        (None, "/home/robot/.cache/n3d_ros"),
    ],
)
def test_the_cache_is_where_the_user_keeps_what_can_be_made_again(
    variable: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/robot")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if variable is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", variable)
    assert default_cache_folder() == Path(expected)
    assert EngineStore().folder == Path(expected) / "engines"


def test_a_cache_may_be_named_from_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/robot")
    assert EngineStore(Path("~/engines of mine")).folder == Path("/home/robot/engines of mine/engines")
