"""A store on a server that speaks S3: studies run there, are killed, go on, and mend what is damaged."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import fsspec
import polars as pl
import pytest
from moto.server import ThreadedMotoServer

from cellab.errors import StoreError
from cellab.keeping import items
from cellab.store import Store

URL = "s3://cells/lab/store"
SMALL = ("scale=smoke", "training.steps=4", "members=1", "acceptance=none", "evaluation.train_frames=2", "gan.steps=4")


@pytest.fixture(scope="module")
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    """A bucket `cells` on loopback, as another program sees it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patched.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patched.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patched.setenv("AWS_DEFAULT_REGION", "us-east-1")
        another = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
        another.mkdir("cells")
        yield another
        server.stop()
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def command(phantom: Path, store: str) -> list[str]:
    lineage = [f"data.path={phantom}", "executor=inline", *SMALL, "--store", store, "--name", "small"]
    return [sys.executable, "-m", "cellab", "train", *lineage]


def start(folder: Path, phantom: Path, store: str = URL) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        command(phantom, store), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


def manifests(bucket: fsspec.AbstractFileSystem) -> list[str]:
    return sorted(bucket.glob("cells/lab/store/??/*/manifest.json"))


def content(bucket: fsspec.AbstractFileSystem) -> dict[str, bytes]:
    beside = ("/content/", "/costs/", "/leases/")  # on data sets, on what stages took, and by whoever was killed
    return {path: bucket.cat_file(path) for path in bucket.find("cells/lab/store") if not any(map(path.count, beside))}


def results_of(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "runs" / "small" / "results.parquet")


@pytest.mark.slow
def test_run_kill_resume_and_repair(bucket, phantom, tmp_path):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    finish(start(undisturbed, phantom, "store"))

    process = start(disturbed, phantom)
    assert process.stderr is not None
    finished = (line for line in process.stderr if line.startswith("["))
    assert len([*islice(finished, 2)]) == 2, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = len(manifests(bucket))
    assert f"{done} of them finished before and reused" in finish(start(disturbed, phantom))
    assert results_of(disturbed).equals(results_of(undisturbed))
    whole = content(bucket)
    assert not [path for path in whole if "/checkpoints/" in path]
    assert not Store(URL).leases.live()

    held = items(Store(URL))
    assert {item.what for item in held} == {"entry"}
    assert {"train_gan", "train_member", "evaluate"} <= {item.kind for item in held}

    first, second, third = (path.rpartition("/")[0] for path in manifests(bucket)[:3])
    bucket.pipe_file(f"{first}/metrics.json", b"damaged")
    bucket.rm_file(f"{second}/request.json")
    bucket.pipe_file(f"{third}/manifest.json", b"[]")
    finish(start(disturbed, phantom))
    assert content(bucket) == whole
    assert results_of(disturbed).equals(results_of(undisturbed))


def test_what_other_programs_write_and_remove_is_seen(bucket, stage):
    store = Store(URL)
    with store.writing(stage) as folder:
        (folder / "metrics.json").write_text("{}")
    entry = f"cells/lab/store/{stage.key[:2]}/{stage.key}"
    assert store.filesystem.ls(entry)
    assert store.has(stage.key)
    bucket.rm(entry, recursive=True)
    assert not store.has(stage.key)
    assert not store.is_sound(stage.key)
    with store.writing(stage) as folder:
        (folder / "metrics.json").write_text("{}")
    assert store.is_sound(stage.key)
    bucket.rm(entry, recursive=True)


def test_a_lease_there(bucket, stage):
    one, other = Store(URL), Store(URL)
    assert abs(one.now() - time.time()) < 5, "of one clock with its server"
    with one.computing(stage):
        assert other.leases.take(stage.key) is None
        assert [holder.pid for holder in other.leases.live()] == [os.getpid()]
    with other.computing(stage, waiting=lambda: pytest.fail("it waits for nobody")):
        pass
    assert not [path for path in bucket.find("cells/lab/store/leases") if stage.key in path]


def test_a_bucket_that_is_not_there_is_not_made(bucket):
    with pytest.raises(StoreError, match=r"the store s3://nowhere/store is not writable .*bucket does not exist"):
        Store("s3://nowhere/store")
    assert bucket.ls("") == ["cells"]


def test_a_server_that_does_not_answer_is_told_in_a_sentence(bucket, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(StoreError, match=r"the store s3://cells/lab is not writable"):
        Store("s3://cells/lab")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
