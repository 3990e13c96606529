"""`cellab store`: what it lists, what it finds damaged, and what it never removes."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cellab.keeping import items, removable, remove
from cellab.stage import Stage
from cellab.store import Store


def fill(store: Store, stage: Stage, size: int = 100) -> str:
    with store.writing(stage) as folder:
        (folder / "metrics.json").write_text("{}")
        (folder / "weights.safetensors").write_bytes(bytes(size))
    return stage.key


@pytest.fixture
def stages(stage: Stage) -> list[Stage]:
    return [replace(stage, code=str(number)) for number in range(4)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "runs" / "store"))


def made_older(store: Store, name: str, seconds: float) -> None:
    path = Path(store.root) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text("half")
    for each in [path, *path.glob("*")]:
        os.utime(each, (time.time() - seconds,) * 2)


def test_list(cellab, store, stages):
    key = fill(store, stages[0])
    store.write_checkpoint(stages[1].key, b"state")
    made_older(store, f".partial/{stages[2].key}-1", 0)
    with store.computing(stages[3]):
        listed = json.loads(cellab("store", "ls", "--json").stdout)
        shown = cellab("store", "ls").stdout
    assert {(item["what"], item["kind"], item["key"]) for item in listed["items"]} == {
        ("entry", "train_gan", key),
        ("checkpoint", "", stages[1].key),
        ("left-over", "", stages[2].key),
    }
    assert listed["running"] == [stages[3].key]
    assert "train_gan" in shown
    assert "1 stages are being computed" in shown


def test_verify(cellab, store, stages):
    keys = [fill(store, stage) for stage in stages[:2]]
    sound = cellab("store", "verify")
    assert (sound.returncode, sound.stdout.split(" in ")[0]) == (0, "all 2 results")
    (store.fetch(keys[0]) / "weights.safetensors").write_bytes(b"other")
    found = cellab("store", "verify")
    assert found.returncode == 2
    assert f"1 of 2 results in {store.root} are damaged: {keys[0][:2]}/{keys[0]}." in found.stderr
    assert store.has(keys[0]), "it only looks"


def test_clearing_takes_what_nobody_needs_and_only_if_told(cellab, store, stages):
    key = fill(store, stages[0])
    for stage in stages[:3]:
        store.write_checkpoint(stage.key, b"state")
    nobodys = [
        f".partial/{stages[0].key}-1",
        f"checkpoints/{key}.safetensors.{32 * '1'}",
        f"checkpoints/{key}.safetensors",
        ".writable-1",
        f"content/x.json.{32 * '1'}",
    ]
    somebodys = [
        f".partial/{stages[3].key}-1",
        f"checkpoints/{stages[3].key}.safetensors.{32 * '1'}",
        ".writable-2",
        "mine/x",
        "content/y.frames",
    ]
    for name in nobodys:
        made_older(store, name, 2 * 24 * 3600)
    for name in somebodys:
        made_older(store, name, 0)
    store.write_note("content/x.json", b"[]")
    with store.computing(stages[3]):
        for name in somebodys[:2]:
            made_older(store, name, 2 * 24 * 3600)
        before = sorted(Path(store.root).rglob("*"))
        told = cellab("store", "gc")
        assert "would go, with --delete" in told.stdout
        assert sorted(Path(store.root).rglob("*")) == before
        assert "removed" in cellab("store", "gc", "--delete").stdout
        left = {str(path.relative_to(store.root)) for path in Path(store.root).rglob("*") if path.is_file()}
    kept = {*somebodys, "content/x.json", *(f"checkpoints/{stage.key}.safetensors" for stage in stages[1:3])}
    assert left - {name for name in left if name.startswith(("leases/", key[:2]))} == kept
    assert store.is_sound(key)


def test_to_save_room_checkpoints_go_first_then_weights_the_oldest_first(store, stages):
    for age, stage in enumerate(stages[:3]):
        fill(store, stage, 1000)
        made_older(store, f"{stage.key[:2]}/{stage.key}", 3600 * (age + 1))
    store.write_checkpoint(stages[3].key, bytes(1000))
    held = [replace(item, kind="evaluate") if item.key == stages[2].key else item for item in items(store)]
    order = [item.key for item in removable(store, held, most=0)]
    assert order == [stages[3].key, stages[1].key, stages[0].key, stages[2].key]
    size = sum(item.size for item in held)
    assert [item.key for item in removable(store, held, most=size - 1001)] == [stages[3].key, stages[1].key]
    assert removable(store, held, most=size) == []
    assert stages[1].key not in {item.key for item in removable(store, held, keep={stages[1].key}, most=0)}


def test_no_result_goes_while_a_stage_runs_that_may_read_it(cellab, store, stages):
    key = fill(store, stages[0])
    with store.computing(stages[1]):
        cleared = cellab("store", "gc", "--until", "0B", "--delete")
        assert "more than 0B stay" in cleared.stderr
        assert store.is_sound(key)
        chosen = items(store)
    store.write_checkpoint(stages[1].key, b"state")
    with store.computing(stages[0]):
        assert not any(remove(store, item) for item in chosen), "begun after it was chosen"
    cellab("store", "gc", "--until", "0B", "--delete")
    assert items(store) == []


def test_what_studies_name_is_kept(cellab, phantom, store):
    small = ("scale=smoke", "training.steps=2", "members=1", "acceptance=none", "gan.steps=2", "executor=inline")
    ran = cellab("train", f"data.path={phantom}", *small, "generations=1", "--name", "small")
    assert ran.returncode == 0, ran.stderr
    keys = {item.key for item in items(store)}
    assert keys
    assert "0 B removed" in cellab("store", "gc", "--until", "0B", "--keep", "runs", "--delete").stdout
    assert {item.key for item in items(store)} == keys
    (store_file := Path(store.root).parent / "small" / "keys.json").write_text("{}")
    refused = cellab("store", "gc", "--until", "0B", "--keep", "runs", "--delete")
    assert refused.returncode == 2
    assert f"{store_file.relative_to(store_file.parents[2])} is damaged" in refused.stderr
    assert {item.key for item in items(store)} == keys


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ls", "--store", "nowhere"), "there is no store at nowhere"),
        (("gc", "--until", "much"), "--until much: give a number of bytes with a unit"),
        (("gc", "--keep", "."), "--keep .: there are no studies in it"),
    ],
)
def test_mistakes(cellab, store, arguments, words):
    refused = cellab("store", *arguments)
    assert refused.returncode == 2
    assert words in " ".join(refused.stderr.split())
