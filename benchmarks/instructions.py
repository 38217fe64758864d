"""Instructions by stage, counted by Valgrind's callgrind: the same whatever else the machine does.

The program tells callgrind where a stage begins by client requests, a few machine instructions that do
nothing elsewhere; so no compiler is needed. They are known for x86-64 here.
"""

import ctypes
import mmap
import platform
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Final

_CODE: Final = bytes.fromhex(
    "4889f8"  # mov rax, rdi: the request and its arguments
    "4889f2"  # mov rdx, rsi: the answer where there is no Valgrind
    "48c1c703 48c1c70d 48c1c73d 48c1c733"  # rol rdi by 128 bits in all: Valgrind's mark
    "4887db"  # xchg rbx, rbx
    "4889d0 c3"  # return rdx
)
_RUNNING_ON_VALGRIND: Final = 0x1001
_CALLGRIND: Final = ord("C") << 24 | ord("T") << 16
_ZERO, _DUMP, _START, _STOP = (_CALLGRIND + number for number in (1, 3, 4, 5))


def missing() -> str | None:
    """Return why instructions cannot be counted here, or None."""
    if platform.machine() != "x86_64":
        return f"Valgrind is asked by x86-64 instructions, and this is {platform.machine()}"
    return None if shutil.which("valgrind") else "there is no valgrind (Debian: apt-get install valgrind)"


class Callgrind:
    """The callgrind that runs this process.

    Raises
    ------
    SystemExit
        If there is none.
    """

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._page.write(_CODE)
        self._names: list[ctypes.Array[ctypes.c_char]] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint64), ctypes.c_uint64)
        self._request = kind(ctypes.addressof(ctypes.c_char.from_buffer(self._page)))
        if not self._ask(_RUNNING_ON_VALGRIND):
            raise SystemExit("this part runs under valgrind --tool=callgrind --instr-atstart=no")
        self._stack: list[str] = []

    def start(self) -> None:
        """Count from now on."""
        self._ask(_START)

    def stop(self) -> None:
        """Count no more."""
        self._ask(_STOP)

    def enter(self, stage: str) -> None:
        """Let what follows count for a stage, not for the one around it."""
        self._close()
        self._stack.append(stage)

    def leave(self) -> None:
        """Go on with the stage around it."""
        self._close()
        self._stack.pop()

    def _close(self) -> None:
        if self._stack:
            name = ctypes.create_string_buffer(self._stack[-1].encode())
            self._names.append(name)  # callgrind reads it when it writes
            self._ask(_DUMP, ctypes.addressof(name))
        else:
            self._ask(_ZERO)

    def _ask(self, request: int, argument: int = 0) -> int:
        return int(self._request((ctypes.c_uint64 * 6)(request, argument), 0))


def counted(directory: Path) -> Counter[str]:
    """Return the instructions by stage that callgrind wrote into a directory."""
    found: Counter[str] = Counter()
    for path in directory.glob("callgrind.out.*"):
        text = path.read_text(errors="replace")
        stage = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
        total = re.search(r"^totals: (\d+)", text, re.MULTILINE)
        if stage and total:
            found[stage[1]] += int(total[1])
    return found
