"""Terminals and pipes of every kind: characters that they lack, columns that they lack, readers that have gone."""

import io
import json
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console

from cellab.__main__ import main
from cellab.cli.console import Terminal
from cellab.cli.display import Display
from cellab.cli.layout import Column, fits, laid_out
from cellab.cli.streams import READABLE, readable
from cellab.cli.tables import plan_table
from cellab.executors.monitor import Running, Snapshot
from cellab.study import plan

NUMBER = re.compile(r"\d+(?:\.\d+)?")


@pytest.fixture
def terminal(monkeypatch):
    """Runs a command in this process on a terminal of an encoding and a width; gives status, output and errors."""

    def run(*arguments: object, encoding: str = "utf-8", columns: int | None = 140) -> tuple[int, str, str]:
        streams = [io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2)]
        monkeypatch.setattr(sys, "argv", ["cellab", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        monkeypatch.setenv("TYPER_USE_RICH", "1")  # what the command does to it is undone
        monkeypatch.setenv("COLUMNS", "" if columns is None else str(columns))
        monkeypatch.setenv("NO_COLOR", "1")
        with pytest.raises(SystemExit) as ended:
            main()
        texts = []
        for stream in streams:
            stream.flush()
            texts.append(stream.buffer.getvalue().decode(encoding))
        return int(ended.value.code or 0), texts[0], texts[1]

    return run


@pytest.fixture
def commands(phantom):
    return {
        "info": ("data", "info", phantom),
        "list": ("components", "list"),
        "show": ("components", "show", "unet/paper"),
        "help": ("data", "import", "--help"),
    }


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "koi8-r"])
@pytest.mark.parametrize("command", ["info", "list", "show", "help"])
def test_every_encoding_shows_the_same_numbers(terminal, commands, command, encoding):
    status, shown, errors = terminal(*commands[command], encoding=encoding)
    assert (status, errors) == (0, "")
    wanted = terminal(*commands[command])[1]
    assert NUMBER.findall(shown) == NUMBER.findall(wanted)
    assert "?" not in shown, "no character is told by a question mark"
    assert command != "info" or ("96 × 96" if encoding == "latin-1" else "96 x 96") in shown


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("0.912 ± 0.010", "0.912 +/- 0.010"),
        ("96 × 96, 0–10 … “é” −1 10² ½", '96 x 96, 0-10 ... "e" -1 10^2 1/2'),
        ("Szegő e\u0301", "Szego e"),
        ("細胞 σ 🔬", "\\u7d30\\u80de \\u03c3 \\U0001f52c"),
        ("f\udce9.png", "f\\xe9.png"),
    ],
)
def test_characters_that_ascii_lacks_are_spelt(text, spelt):
    assert readable(text, "ascii") == spelt
    assert readable(text, "utf-8") == text.replace("\udce9", "\\xe9")


def test_tables_are_as_wide_as_what_stands_in_them():
    console = Terminal(file=io.TextIOWrapper(io.BytesIO(), "ascii"), width=40)
    with console.capture() as captured:
        console.print(laid_out([Column("arm", words=True), Column("dice")], [["a", "1 ± 2"], ["b", "11 +/- 22"]], 40))
    lines = captured.get().splitlines()
    assert lines[1].rstrip().endswith("  1 +/- 2")
    assert len({len(line.rstrip()) for line in lines}) == 1, "all end in one column"


def test_messages_and_documents_show_every_name(terminal, tmp_path, phantom):
    status, shown, errors = terminal("data", "info", "größe\udce9.h5", encoding="ascii")
    assert (status, shown) == (2, "")
    assert "error: there is no data set groe\\u00dfe".replace("groe", "gro") in errors
    assert "\\xe9.h5" in errors
    named = tmp_path / "größe \N{MICROSCOPE}.h5"
    named.symlink_to(phantom)
    status, shown, errors = terminal("data", "info", named, "--json", encoding="ascii")
    assert (status, errors) == (0, "")
    assert json.loads(shown)["path"] == str(named)


@pytest.mark.parametrize("width", [20, 40, 60, 80])
@pytest.mark.parametrize("command", ["info", "list"])
def test_no_width_cuts_a_number_off(terminal, commands, command, width):
    status, shown, _ = terminal(*commands[command], columns=width)
    assert status == 0
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown.replace(", …, ", "")
    lines = [line for line in terminal(*commands[command])[1].splitlines() if not line.startswith(("file", "digest"))]
    assert set(NUMBER.findall("\n".join(lines))) <= set(NUMBER.findall(shown))


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_plans_fit_everywhere(study, encoding):
    made = study("unet.width", [4, 5], seeds=(0, 1))
    planned = plan(made, None)
    for width in (20, 40, 60, 80, 140):
        stream = io.TextIOWrapper(io.BytesIO(), encoding, READABLE)
        Terminal(file=stream, width=width).print(plan_table(planned, made, width))
        stream.flush()
        shown = stream.buffer.getvalue().decode(encoding)
        assert max(map(len, shown.splitlines())) <= width
        for kind, count in planned["stages"].items():
            row = shown[shown.index(kind) :]
            assert NUMBER.findall(row)[:3] == [str(count[key]) for key in ("asked", "distinct", "stored")]
        assert "2 arms × 2 seeds" in shown.replace("\n", " ").replace("x", "×")


@pytest.mark.parametrize("columns", [None, 0])
def test_what_is_piped_is_wide(terminal, commands, columns):
    wide = terminal(*commands["list"], columns=140)
    assert terminal(*commands["list"], columns=columns) == wide


def test_rows_become_lists_only_where_no_table_fits():
    columns = [Column("split", words=True), Column("with mask"), Column("area")]
    rows = [["validation (14–16)", "1234", "48.8%"], ["test", "7", "100.0%"]]
    for width in range(10, 60):
        console = Console(width=width)
        with console.capture() as captured:
            console.print(laid_out(columns, rows, width))
        text = captured.get()
        for number in ("1234", "7", "48.8%", "100.0%"):
            assert re.search(rf"(?<!\S){re.escape(number)}(?!\S)", text), (width, text)
        assert ("split" in text) == fits(columns, rows, width), "the title of the words is a table's alone"
    assert fits(columns, rows, 30)
    assert not fits(columns, rows, 20)


@pytest.mark.parametrize("width", [20, 40, 100])
def test_the_steps_of_running_stages_are_never_cut(width):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    running = Running("gan_loss=wgan_gp,unet.width=16 seed=1 gen 2 member 0", "train_member", 0.0, 12345, 20000)
    with Display(console) as display:
        display.show(Snapshot(31, (), (running,), 5400.0))
    shown = console.file.getvalue()
    assert "12345/20000" in shown
    assert "…" not in shown
    assert ("━" in shown) == (width == 100)


def started(command: str, **options) -> subprocess.CompletedProcess[str]:
    """A real process: `cellab` stands for the command line."""
    line = command.replace("cellab", f"exec {sys.executable} -m cellab", 1)
    environment = os.environ | {"COLUMNS": "40"}
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, timeout=120, env=environment, **options
    )


def test_help_on_a_narrow_terminal_names_every_option_whole():
    shown = started("cellab data import --help").stdout
    for option in ("--images", "--masks", "--related / --unrelated", "--stretch-each / --stretch-together", "--force"):
        assert option in shown
    assert "…" not in shown
    assert "[bold]" not in shown


@pytest.mark.parametrize("command", ["cellab components list", "cellab data --help"])
def test_a_reader_that_has_gone_is_not_missed(command):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        line = f"{command.replace('cellab', f'exec {sys.executable} -m cellab', 1)}"
        done = subprocess.run(
            ["bash", "-c", line], stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=120
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_streams_that_are_closed_do_not_lead_into_the_data_set(phantom, tmp_path):
    copy = tmp_path / "half.h5"
    done = started(f"cellab data hide {phantom} {copy} --objects 0.5 <&- >&- 2>&-")
    assert done.returncode == 0
    assert started(f"cellab data info {copy} --verify").returncode == 0


def test_a_full_disk_behind_the_output_is_told(phantom):
    done = started(f"cellab data info {phantom} > /dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("error: the output cannot be written (No space left on device)")
    assert "Traceback" not in done.stderr
    assert started(f"cellab data info {phantom} 2> /dev/full").returncode == 0
