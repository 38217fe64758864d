"""Input files as streams of bytes: plain, gzip or zstandard, told apart by their first bytes."""

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final, cast

import zstandard

from streams.errors import SourceError

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
PARQUET: Final = b"PAR1"
UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
HEAD_LINES: Final = 20
LONGEST_LINE: Final = 16 << 20
BUFFER: Final = 1 << 20


class MeteredFile(io.RawIOBase):
    """A raw file that counts the bytes read from it, so that progress is known under any compression."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self.bytes_read = 0

    def readable(self) -> bool:
        """Return True: the file is for reading."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer and count what came."""
        view = memoryview(buffer)
        data = self._raw.read(len(view))
        view[: len(data)] = data
        self.bytes_read += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file below, but never standard input."""
        if self._raw is not sys.stdin.buffer:
            self._raw.close()
        super().close()


def _open(path: str) -> tuple[IO[bytes], int]:
    """Return the raw file and its size; standard input has no size."""
    if path == "-":
        return sys.stdin.buffer, 0
    return io.FileIO(path), Path(path).stat().st_size


class InputFile:
    """One input, opened once and read once from its start.

    Parameters
    ----------
    path
        A file, or ``-`` for standard input.

    Raises
    ------
    SourceError
        If the file cannot be opened, is empty, or is in an encoding that no layout uses.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.name = "standard input" if self.path == "-" else self.path
        try:
            raw, self.size = _open(self.path)
        except OSError as error:
            raise SourceError(f"{self.name}: {error.strerror or error}") from error
        self._metered = MeteredFile(raw)
        self._bytes = io.BufferedReader(self._metered, BUFFER)
        magic = self._bytes.peek(4)[:4]
        if not magic:
            raise SourceError(f"{self.name}: the file is empty")
        if magic[:2] in UTF16:
            raise SourceError(f"{self.name}: UTF-16 text; convert it, for instance with iconv -t UTF-8")
        self.lines_read = 0
        self.is_parquet = magic == PARQUET
        if self.is_parquet and self.path == "-":
            raise SourceError("standard input: Parquet has its index at its end; give it as a file")
        self._text = self._bytes if self.is_parquet else self._decompressed(magic)
        self._rest = self._checked(iter(partial(self._text.readline, LONGEST_LINE), b""))
        self.head: list[bytes] = [] if self.is_parquet else self._read_head()

    @property
    def bytes_read(self) -> int:
        """Bytes of the file, as it lies on disk, read so far."""
        return self._metered.bytes_read

    def lines(self) -> Iterator[bytes]:
        """Yield every line with its line end; the byte order mark of UTF-8 is left out."""
        return chain(self.head, self._rest)

    def note_progress(self, share: float) -> None:
        """Set `bytes_read` of a file that is not read from front to back."""
        self._metered.bytes_read = int(self.size * share)

    def close(self) -> None:
        """Close the file."""
        self._metered.close()

    def _decompressed(self, magic: bytes) -> IO[bytes]:
        if magic[:2] == GZIP:
            return io.BufferedReader(gzip.GzipFile(fileobj=self._bytes), BUFFER)
        if magic == ZSTD:
            stream = zstandard.ZstdDecompressor().stream_reader(self._bytes, read_across_frames=True)
            return io.BufferedReader(cast("io.RawIOBase", stream), BUFFER)
        return self._bytes

    def _read_head(self) -> list[bytes]:
        lines = [line for _, line in zip(range(HEAD_LINES), self._rest, strict=False)]
        if lines:
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
        return lines

    def _checked(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        try:
            for line in lines:
                self.lines_read += 1
                if len(line) == LONGEST_LINE:
                    break
                yield line
            else:
                return
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            raise SourceError(f"{self.name}: damaged after line {self.lines_read}: {error}") from error
        raise SourceError(f"{self.name}: line {self.lines_read} is longer than 16 MB: no text of events")
