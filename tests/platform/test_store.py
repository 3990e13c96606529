"""The store: whole or absent, checked when read, shared by URL."""

import errno
import gc
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cellab.errors import StoreError
from cellab.leases import EXPIRY_SECONDS, Holder, Leases, this_node
from cellab.outcomes import Outcome
from cellab.requests import Compute, GanTrained, StoredFrames, TrainGan
from cellab.scratch import Scratch
from cellab.settings import Gan
from cellab.stage import Limits, Stage, canonical_json
from cellab.store import Store

named = {"_target_": "a.Component"}
SETTINGS = Gan(steps=1, batch_size=1, samples=1, crop_augmentation=named)
REQUEST = TrainGan(
    StoredFrames("digest", 0.5), Compute("cpu", 1, "float32"), 1, named, named, named, named, named, SETTINGS
)
STAGE = Stage("a seed=0 generator", "generator", REQUEST, "code")
OUTCOME = Outcome(STAGE.key, GanTrained({"step": [1], "generator": [1.5]}))


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    url = str(tmp_path / "store") if request.param == "local" else f"memory://{tmp_path.name}"
    return Store(url)


def write(store: Store, stage: Stage = STAGE, content: bytes = b"weights") -> None:
    with store.writing(stage) as folder:
        (folder / "metrics.json").write_text(OUTCOME.to_json())
        (folder / "weights.safetensors").write_bytes(content)


def test_round_trip(store):
    assert not store.has(STAGE.key)
    write(store)
    assert store.has(STAGE.key)
    assert store.is_sound(STAGE.key)
    assert store.outcome(STAGE) == OUTCOME
    assert json.loads((store.fetch(STAGE.key) / "request.json").read_text()) == STAGE.identity
    assert (store.fetch(STAGE.key) / "weights.safetensors").read_bytes() == b"weights"
    assert store.stored([STAGE.key, "0" * 64]) == {STAGE.key}


def test_a_stage_that_fails_leaves_nothing(store, tmp_path):
    def fail():
        with store.writing(STAGE) as folder:
            (folder / "metrics.json").write_text("{}")
            raise RuntimeError("in mid-stage")

    with pytest.raises(RuntimeError, match="in mid-stage"):
        fail()
    assert not store.has(STAGE.key)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["weights.safetensors", "metrics.json", "request.json", "manifest.json"])
def test_a_damaged_entry_is_not_sound_and_can_be_replaced(tmp_path, name):
    store = Store(str(tmp_path))
    write(store)
    path = store.fetch(STAGE.key) / name
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert not store.is_sound(STAGE.key)
    store.discard(STAGE.key)
    assert not store.has(STAGE.key)
    write(store)
    assert store.is_sound(STAGE.key)


def test_an_entry_that_lost_a_file_is_not_sound(tmp_path):
    store = Store(str(tmp_path))
    write(store)
    (store.fetch(STAGE.key) / "weights.safetensors").unlink()
    assert not store.is_sound(STAGE.key)


@pytest.mark.parametrize("content", [b"[]", b'"text"', b"null", b"{}", b"\xff", b"", b'{"metrics.json": "0"}'])
def test_a_manifest_that_is_none(store, content):
    write(store)
    store.filesystem.pipe_file(f"{store.root}/{STAGE.key[:2]}/{STAGE.key}/manifest.json", content)
    assert not store.is_sound(STAGE.key)


@pytest.mark.parametrize("name", ["weights.safetensors", "metrics.json", "request.json"])
def test_a_manifest_that_lists_only_some_of_the_files(store, name):
    write(store)
    path = f"{store.root}/{STAGE.key[:2]}/{STAGE.key}/manifest.json"
    manifest = json.loads(store.filesystem.cat_file(path))
    del manifest[name]
    store.filesystem.pipe_file(path, json.dumps(manifest).encode())
    assert not store.is_sound(STAGE.key)
    store.discard(STAGE.key)
    write(store)
    assert store.is_sound(STAGE.key)


def test_a_sound_entry_of_another_stage_is_not_this_one(tmp_path):
    store = Store(str(tmp_path))
    other = replace(STAGE, code="other")
    write(store, other)
    (tmp_path / STAGE.key[:2]).mkdir(exist_ok=True)
    store.fetch(other.key).rename(store.fetch(STAGE.key))
    assert not store.is_sound(STAGE.key)


def test_an_entry_that_cannot_be_read_now_is_not_taken_for_a_damaged_one(tmp_path, monkeypatch):
    store = Store(str(tmp_path))
    write(store)

    def too_many(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("cellab.store._sha256", too_many)
        with pytest.raises(OSError, match="Too many"):
            store.discard(STAGE.key)
    assert store.is_sound(STAGE.key)


def test_what_another_publishes_while_this_one_discards_is_put_back(tmp_path, monkeypatch):
    one, other = Store(str(tmp_path)), Store(str(tmp_path))
    write(one)
    (one.fetch(STAGE.key) / "weights.safetensors").write_bytes(b"damaged")
    look = one.is_sound

    def look_too_early(key: str) -> bool:
        found = look(key)
        other.discard(key)
        write(other)
        return found

    monkeypatch.setattr(one, "is_sound", look_too_early)
    one.discard(STAGE.key)
    assert other.is_sound(STAGE.key)
    assert not list(tmp_path.glob(".partial/*"))


def test_a_remote_entry_that_another_has_mended_is_read_anew(tmp_path):
    one, other = (Store(f"memory://{tmp_path.name}") for _ in range(2))
    write(other)
    one.filesystem.pipe_file(f"{one.root}/{STAGE.key[:2]}/{STAGE.key}/weights.safetensors", b"damaged")
    assert not one.is_sound(STAGE.key)
    other.discard(STAGE.key)
    write(other)
    assert one.is_sound(STAGE.key)
    assert (one.fetch(STAGE.key) / "weights.safetensors").read_bytes() == b"weights"


def test_what_a_killed_process_left_of_a_stage_goes_when_it_is_computed_again(tmp_path):
    store = Store(str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    its = Holder(STAGE.key, "its", this_node(), ended.pid, store.now())
    store.write_note(its.name, json.dumps(asdict(its)).encode())
    left = [tmp_path / ".partial" / f"{STAGE.key}-1", tmp_path / "checkpoints" / f"{STAGE.key}.safetensors.1"]
    others = [tmp_path / ".partial" / "another-1", tmp_path / "checkpoints" / f"{STAGE.key}.safetensors"]
    for path in (*left, *others):
        path.parent.mkdir(exist_ok=True)
        path.write_text("half")
    with store.computing(STAGE, waiting=lambda: pytest.fail("it waits for a dead process")):
        assert not any(path.exists() for path in left)
        assert all(path.exists() for path in others)
    assert store.leases.all() == []


def test_what_a_sleeping_process_has_half_written_is_left_to_it(tmp_path):
    store = Store(str(tmp_path))
    its = Holder(STAGE.key, "its", "another node", 1, store.now() - EXPIRY_SECONDS)
    store.write_note(its.name, json.dumps(asdict(its)).encode())
    half = tmp_path / ".partial" / f"{STAGE.key}-1"
    half.mkdir(parents=True)
    with store.computing(STAGE):
        assert half.exists()
    assert store.leases.all() == [its]
    assert store.leases.live() == []


def test_who_wants_a_stage_that_another_computes_waits_and_can_be_stopped(tmp_path):
    one, other = Store(str(tmp_path)), Store(str(tmp_path))
    other.leases = Leases(other, sleep=lambda _: None)
    looked = []

    def look() -> None:
        looked.append(1)
        if len(looked) == 3:
            raise KeyboardInterrupt

    with one.computing(STAGE):
        with pytest.raises(KeyboardInterrupt), other.computing(STAGE, waiting=look):
            pytest.fail("both compute it")
        assert [holder.key for holder in other.leases.live()] == [STAGE.key]
    with other.computing(STAGE, waiting=look):
        pass


def test_a_file_that_is_no_lease_holds_nothing(tmp_path):
    store = Store(str(tmp_path))
    for name in (f"{STAGE.key}.x.json", f"{STAGE.key}.y.json.0123", "README"):
        store.write_note(f"leases/{name}", b"?")
    with store.computing(STAGE, waiting=lambda: pytest.fail("it waits for nobody")):
        pass


def test_temporary_folders_of_killed_processes_go_with_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mine = Scratch()
    left, young = tmp_path / "cellab-scratch-left", tmp_path / "cellab-scratch-young"
    for folder in (left, young):
        (folder / "entries").mkdir(parents=True)
    for folder in (mine.path, left):
        os.utime(folder, (0, 0))
    store = Store(f"memory://{tmp_path.name}")
    write(store)
    assert mine.path.exists()
    assert young.exists()
    assert not left.exists()
    mine.close()
    del store
    gc.collect()
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [young]


def test_the_second_to_finish_a_stage_keeps_the_first_entry(store):
    with store.writing(STAGE) as folder:
        (folder / "metrics.json").write_text("{}")
        write(store)
    assert store.is_sound(STAGE.key)


def test_an_entry_without_manifest_is_absent(tmp_path):
    """What a killed copy to an object store, which cannot rename, leaves behind."""
    store = Store(str(tmp_path))
    folder = tmp_path / STAGE.key[:2] / STAGE.key
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text("{}")
    assert not store.has(STAGE.key)
    assert not store.is_sound(STAGE.key)


def test_no_pickle_and_the_layout_of_the_docstring(tmp_path):
    store = Store(str(tmp_path))
    write(store)
    names = {path.name for path in (tmp_path / STAGE.key[:2] / STAGE.key).iterdir()}
    assert names == {"request.json", "metrics.json", "weights.safetensors", "manifest.json"}


def test_checkpoints(store):
    assert store.read_checkpoint("k") is None
    store.write_checkpoint("k", b"one")
    store.write_checkpoint("k", b"two")
    assert store.read_checkpoint("k") == b"two"
    store.drop_checkpoint("k")
    store.drop_checkpoint("k")
    assert store.read_checkpoint("k") is None


def test_a_store_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match=r"the store .*file/store is not writable .*--store"):
        Store(str(tmp_path / "file" / "store"))


def test_a_store_of_an_unknown_protocol():
    with pytest.raises(StoreError, match="nosuch"):
        Store("nosuch://bucket/store")


def test_keys_are_canonical():
    other_order = {"b": [1], "_target_": "a"}, {"_target_": "a", "b": [1]}
    one, two = (replace(STAGE, request=replace(REQUEST, generator=generator)) for generator in other_order)
    elsewhere = replace(two, label="another", part="other", needs=("a",), limits=Limits(0.5, 1.0, 1.0))
    assert one.key == two.key == elsewhere.key
    assert len(one.key) == 64
    others = (
        replace(REQUEST, seed=2),
        replace(REQUEST, data=StoredFrames("other", 0.5)),
        replace(REQUEST, generator={}),
    )
    assert len({STAGE.key, replace(STAGE, code="other").key, *(replace(STAGE, request=r).key for r in others)}) == 5
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


def test_root_is_made(tmp_path):
    Store(str(tmp_path / "a" / "b"))
    assert Path(tmp_path / "a" / "b").is_dir()
