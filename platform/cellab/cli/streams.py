"""The process's own standard streams: they take every character, and nobody need listen to them."""

import codecs
import errno
import io
import os
import sys
import unicodedata
from typing import Any, TextIO

from cellab.errors import CellabError

# What stands for a character that an encoding lacks; letters lose their accents, all others are told by number.
SPELLINGS = {
    **{"×": "x", "–": "-", "—": "-", "−": "-", "…": "...", "±": "+/-", "·": "-", "→": "->", "←": "<-", "≤": "<="},
    **{"≥": ">=", "≈": "~", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "µ": "u", "μ": "u", "²": "^2"},
    **{"³": "^3", "½": "1/2", "°": " degrees", "\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " "},
    **{"━": "=", "─": "-", "│": "|", "┃": "|", "•": "*", "✓": "yes"},
}
READABLE = "cellab.readable"  # the name of this way of encoding, for `errors=`
GONE = (errno.EPIPE, errno.EIO, errno.EBADF)  # the reader has left, the terminal was closed, there never was one


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_spelt, error.object[error.start : error.end])), error.end


def _spelt(character: str) -> str:
    if character in SPELLINGS:
        return SPELLINGS[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name that is no text here
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.combining(character):
        return ""
    plain = unicodedata.normalize("NFD", character).encode("ascii", "ignore").decode()
    return plain or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


codecs.register_error(READABLE, _readable)


def readable(text: str, encoding: str) -> str:
    """The text in characters that an encoding has: ``"0.8 +/- 0.1"`` for ``"0.8 ± 0.1"`` in ASCII."""
    return text.encode(encoding, READABLE).decode(encoding)


def prepare() -> None:
    """Makes the process's own streams fit to be written to; those that something else has put there only readable.

    A descriptor that is closed would be given to the next file that is opened, and what is meant for the terminal
    would go into it: it leads nowhere instead.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    sys.stdout = _prepared(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _prepared(sys.stderr, sys.__stderr__, 2)


def _prepared(stream: Any, original: Any, descriptor: int) -> TextIO:
    if stream is None:
        return _Stream(_Descriptor(descriptor), "utf-8", line_buffering=False)
    if stream is original and not isinstance(stream, _Stream):
        stream.flush()
        return _Stream(_Descriptor(descriptor), stream.encoding, line_buffering=stream.line_buffering)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=READABLE)
    return stream  # type: ignore[no-any-return]


class _Stream(io.TextIOWrapper):
    """A standard stream that can be written to whatever it is given and wherever it leads."""

    def __init__(self, descriptor: "_Descriptor", encoding: str, *, line_buffering: bool) -> None:
        super().__init__(io.BufferedWriter(descriptor), encoding, READABLE, line_buffering=line_buffering)


class _Descriptor(io.FileIO):
    """A file descriptor; what is written to it is lost where nobody reads, and what the command does goes on."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.told = False

    def write(self, data: Any, /) -> int | None:  # type: ignore[override]
        """Writes bytes.

        Raises:
            CellabError: results cannot be written, on a full disk say; notices that cannot be are lost.
        """
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in GONE and self.fileno() == 1 and not self.told:
                self.told = True  # once: it will be tried again when the process ends
                raise CellabError(f"the output cannot be written ({error.strerror}): send it elsewhere.") from error
            return memoryview(data).nbytes
