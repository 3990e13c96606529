"""The file below an HDF5 file that is written: it remembers what goes wrong instead of failing."""

import os


class Storage:
    """What h5py takes for a file object: HDF5 crashes the process where it cannot write what is left when it closes.

    After the first trouble nothing more is written; what HDF5 gives then, so as to close, is kept in memory.

    Args:
        descriptor: of the file, open to read and write; stays open.

    Attributes:
        error: the first trouble, or None.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.error: OSError | None = None
        self._position = 0
        self._kept: list[tuple[int, bytes]] = []

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to an offset from the beginning, or from the end."""
        self._position = offset + (self._size() if whence == os.SEEK_END else 0)
        return self._position

    def tell(self) -> int:
        """Where the next byte is read or written."""
        return self._position

    def _size(self) -> int:
        return max([os.fstat(self.descriptor).st_size, *(start + len(content) for start, content in self._kept)])

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fills a buffer; with zeros where nothing was written."""
        view = memoryview(buffer).cast("B")
        view[:] = bytes(len(view))
        done = 0
        try:
            while done < len(view) and (content := os.pread(self.descriptor, len(view) - done, self._position + done)):
                view[done : done + len(content)] = content
                done += len(content)
        except OSError as error:
            self.error = self.error or error
        for start, content in self._kept:
            first, last = max(start, self._position), min(start + len(content), self._position + len(view))
            if first < last:
                view[first - self._position : last - self._position] = content[first - start : last - start]
        return len(view)

    def read(self, size: int) -> bytes:
        """As `readinto`."""
        content = bytearray(size)
        self.readinto(content)
        return bytes(content)

    def write(self, content: bytes | bytearray | memoryview) -> int:
        """Writes all of it, or keeps it."""
        done = 0
        try:
            while self.error is None and done < len(content):
                done += os.pwrite(self.descriptor, memoryview(content)[done:], self._position + done)
        except OSError as error:
            self.error = error
        if self.error is not None:
            self._kept.append((self._position, bytes(content)))
        self._position += len(content)
        return len(content)

    def truncate(self, size: int) -> int:
        """Cuts the file, or lengthens it."""
        try:
            if self.error is None:
                os.ftruncate(self.descriptor, size)
        except OSError as error:
            self.error = error
        return size

    def flush(self) -> None:
        """Nothing is held back."""
