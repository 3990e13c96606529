"""Where a local Ray cluster keeps its sockets, and what is told where it does not start."""

import os
import stat
from pathlib import Path

import pytest

from cellab.errors import CellabError
from cellab.executors import connecting, temporary, tokens
from cellab.executors.temporary import BELOW, LONGEST_SOCKET, temporary_folder


@pytest.fixture
def surroundings(monkeypatch):
    """Sets the variables that Ray heeds, and no others."""

    def setting(**variables):
        for name in temporary.VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return setting


def chosen() -> tuple[Path, list[str], bool]:
    """The folder, what was told of it, and whether it was made for the time of the block."""
    told: list[str] = []
    with temporary_folder(told.append) as folder:
        assert len(os.fsencode(folder)) + BELOW <= LONGEST_SOCKET
        there = Path(folder).is_dir()
    assert not there or told == [] or not Path(folder).exists()
    return Path(folder), told, there


def test_surroundings_that_do_are_left_alone(surroundings):
    surroundings()
    assert chosen()[:2] == (Path("/tmp/ray"), [])
    surroundings(TMPDIR="/tmp/")
    assert chosen()[:2] == (Path("/tmp/ray"), [])


def test_a_long_tmpdir_gives_way_to_a_short_folder_of_its_own(surroundings, tmp_path):
    long = tmp_path / ("job" * 30)
    long.mkdir()
    surroundings(TMPDIR=long)
    folder, (told,), made = chosen()
    assert made
    assert folder.parent == Path("/tmp")
    assert told.startswith(f"TMPDIR is {long}, which Ray cannot use: its name is ")
    assert f"Its files are in {folder}" in told
    assert list(long.iterdir()) == []


def test_what_ray_adds_is_reckoned_with_to_the_byte(surroundings, monkeypatch):
    monkeypatch.setattr(temporary.tempfile, "TemporaryDirectory", Writable)
    longest = "/" + "é" * ((LONGEST_SOCKET - BELOW - len("/ray") - 1) // 2)
    surroundings(TMPDIR=longest)
    with temporary_folder(pytest.fail) as folder:
        assert folder == f"{longest}/ray"
    surroundings(TMPDIR=longest + "éé")
    told = []
    with temporary_folder(told.append) as folder:
        assert folder == "made"
    assert "bytes too long" in told[0]


class Writable:
    """Stands for a temporary folder that can be made wherever it is asked for."""

    def __init__(self, **_):
        pass

    def cleanup(self):
        pass

    def __enter__(self):
        return "made"

    def __exit__(self, *_):
        pass


def test_folders_that_cannot_be_written(surroundings, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", "/proc/nowhere"):
        surroundings(RAY_TMPDIR=folder, TMPDIR="/tmp")
        _, (told,), made = chosen()
        assert told.startswith(f"RAY_TMPDIR is {folder}, which Ray cannot use: ")
        assert made


def test_a_name_that_is_no_text(surroundings):
    surroundings(TMPDIR="/tmp/\udce9")
    assert "its name is not UTF-8" in chosen()[1][0]


def test_no_place_at_all_is_one_message(surroundings, tmp_path, monkeypatch):
    monkeypatch.setattr(temporary, "ELSEWHERE", (str(tmp_path / "none"),))
    surroundings(TMPDIR=tmp_path / ("job" * 30))
    with pytest.raises(CellabError, match=r"TMPDIR is .*too long.*none.*not writable: set RAY_TMPDIR.*executor=inline"):
        chosen()


def test_a_real_cluster_s_sockets_are_as_long_as_is_reckoned(ray_cluster):
    import ray

    node = ray._private.worker._global_node
    socket = Path(node.plasma_store_socket_name)
    assert stat.S_ISSOCK(socket.stat().st_mode)
    assert len(str(socket)) <= len(node.get_temp_dir_path()) + BELOW <= len(str(socket)) + len("4194304")


@pytest.fixture
def failing(monkeypatch):
    """A Ray that does not start, but raises."""
    taken_down = []

    def set_up(error):
        def init(*_, **__):
            raise error

        monkeypatch.setattr(connecting.ray, "is_initialized", lambda: False)
        monkeypatch.setattr(connecting.ray, "init", init)
        monkeypatch.setattr(connecting.ray, "shutdown", lambda: taken_down.append(True))
        return taken_down

    return set_up


def test_ray_that_does_not_start_is_one_message(failing):
    taken_down = failing(RuntimeError("Timed out\nwaiting for the GCS"))
    with pytest.raises(CellabError, match=r"^Ray did not start on this machine \(RuntimeError: waiting for the GCS\)"):
        connecting.connect(None)
    assert set(taken_down) == {True}, "nothing of it is left"


def test_a_start_that_fails_is_cleaned_up_and_tried_once_more(failing, monkeypatch):
    taken_down = failing(None)
    tried = []

    def init(*_, **__):
        tried.append(len(taken_down))
        if len(tried) == 1:
            raise RuntimeError("the raylet was not up within 30 s")

    monkeypatch.setattr(connecting.ray, "init", init)
    connecting.connect(None)
    assert tried == [0, 1], "after what was left of the first was taken down"


def test_the_token_s_file_is_for_its_owner_alone(failing, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ray").mkdir()
    token = tmp_path / ".ray" / "auth_token"
    failing(None)

    def init(*_, **__):
        token.write_text("secret")
        token.chmod(0o644)  # as Ray leaves it

    monkeypatch.setattr(connecting.ray, "init", init)
    connecting.connect(None)
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("refusals", "has_token", "told"),
    [
        ([False], True, None),
        ([True, False], True, None),
        ([True], False, "wants a token, and there is none here: set RAY_AUTH_TOKEN"),
        ([True, True], True, "wants another token than the one here: set RAY_AUTH_TOKEN"),
    ],
)
def test_a_token_is_sent_where_one_is_wanted(monkeypatch, refusals, has_token, told):
    left, sent = list(refusals), []
    monkeypatch.setattr(tokens, "_is_refused", lambda _: left.pop(0))
    setup = tokens.authentication_token_setup
    monkeypatch.setattr(
        setup, "maybe_enable_token_auth_if_token_available", lambda **_: sent.append(has_token) or has_token
    )
    if told:
        with pytest.raises(CellabError, match=told):
            tokens.send("192.0.2.1:6379")
    else:
        tokens.send("192.0.2.1:6379")
    assert left == []
    assert bool(sent) == refusals[0], "never to a cluster that wants none"


def test_a_real_cluster_refuses_who_has_no_token(ray_cluster, monkeypatch):
    import ray

    address = ray.get_runtime_context().gcs_address
    assert not tokens._is_refused(address)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert tokens._is_refused(address)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 32)
    assert tokens._is_refused(address)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(15)])
def test_stopping_while_ray_starts_leaves_nothing(failing, error):
    taken_down = failing(error)
    with pytest.raises(KeyboardInterrupt):
        connecting.connect(None)
    assert taken_down == [True]


def test_a_home_that_cannot_be_written_has_a_token_all_the_same(failing, monkeypatch):
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "to be taken back")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    failing(RuntimeError("stop here"))
    monkeypatch.setenv("HOME", "/proc/nowhere")
    with pytest.raises(CellabError):
        connecting.connect(None)
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 32
