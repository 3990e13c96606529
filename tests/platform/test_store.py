"""The store: whole or absent, checked when read, shared by URL."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cellab.errors import StoreError
from cellab.outcomes import Outcome
from cellab.requests import Compute, GanTrained, StoredFrames, TrainGan
from cellab.settings import Gan
from cellab.stage import Stage, canonical_json
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
    assert one.key == two.key == replace(two, label="another", part="other", needs=("a",), gpu_share=0.5).key
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
