"""``python -m benchmarks``: all that docs/performance.md shows, with progress, then the page itself."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import page

_JOURNEY = Path(__file__).parent.parent / ".cache" / "peers" / "journey.jsonl.gz"


def main() -> None:
    """Run every benchmark in a process of its own, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=1, help="one n-th of the logs; default: %(default)s")
    parser.add_argument("--broker", default="kafka", help="see benchmarks.throughput; default: %(default)s")
    options = parser.parse_args()
    broker, parts = ("--broker", options.broker), ("--parts", str(options.parts))
    steps = (
        ("throughput beside other systems", "throughput", (*broker, *parts)),
        (
            "the same on a real log",
            "throughput",
            (*broker, *parts, "--log", str(_JOURNEY), "--only", "loop", "Bytewax"),
        ),
        ("latency", "latency", broker),
        ("memory, recovery, scaling", "scaling", (*broker, *parts)),
    )
    began = time.monotonic()
    for number, (title, module, arguments) in enumerate(steps, 1):
        print(f"[{number}/{len(steps)}] {time.monotonic() - began:4.0f} s  {title}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{module}", *arguments], check=True)
    page.main()
    print(f"all of it took {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
