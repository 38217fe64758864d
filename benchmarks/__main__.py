"""``python -m benchmarks [PART ...]``: what docs/performance.md shows, then the page itself.

Each part is a process of its own and keeps its figures as it ends, so a run can go on with the parts that are
missing.
"""

import argparse
import os
import subprocess
import sys
import time
from typing import Final

from benchmarks import brokers, page

_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def main() -> None:
    """Run benchmarks one after the other, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="*", help=f"of {', '.join(page.PARTS)}; default: all of them")
    brokers.add_options(parser)
    options = parser.parse_args()
    parts = options.part or list(page.PARTS)
    if unknown := [part for part in parts if part not in page.PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(page.PARTS)}")
    given = ["--broker", options.broker] * (options.broker != "kafka")
    given += ["--divisor", str(options.divisor)] * (options.divisor != 1)
    began = time.monotonic()
    for number, part in enumerate(parts, 1):
        print(f"[{number}/{len(parts)}] {time.monotonic() - began:4.0f} s  {part}", flush=True)
        module, *arguments = page.PARTS[part]
        command = [sys.executable, "-m", f"benchmarks.{module}", *arguments, *given]
        subprocess.run(command, check=True, cwd=page.ROOT, env=os.environ | _ONE_THREAD)
    if options.divisor == 1:
        page.main()
    print(f"done in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
