"""Processes a simulated shop's log undisturbed and under faults, and compares everything: `make chaos`."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.events import ShopLog
from tests.chaos.faults import SHARES, plan
from tests.chaos.proof import on_embedded_broker, on_kafka, prove
from tests.integration import kafka

_RECORDS_A_FAULT = 1_200
_LEAST_RECORDS = 15_000


def main() -> int:
    asked = _arguments()
    if not asked.embedded and (reason := kafka.missing()):
        sys.exit(reason)
    directory = asked.directory or Path(tempfile.mkdtemp(prefix="keepstream-chaos-"))
    directory.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with (directory / "chaos.log").open("w") as file:

        def say(text: str) -> None:
            for out in (sys.stdout, file):
                out.write(f"{text}\n")
                out.flush()

        say(f"seed {asked.seed}, {asked.faults} faults, logs in {directory}")
        kinds = ["kill", "term"] if asked.embedded else list(SHARES)
        records = asked.records or max(_LEAST_RECORDS, _RECORDS_A_FAULT * asked.faults)
        where = on_embedded_broker if asked.embedded else on_kafka
        with where(directory) as stage:
            log = ShopLog(records, partitions=4, seed=asked.seed)
            try:
                proof = prove(stage, plan(asked.faults, records, asked.seed, kinds), log, directory, say)
            except AssertionError as error:
                say(f"FAILED: {error}\nagain with --seed {asked.seed} --faults {asked.faults}")
                return 1
        say(proof.summary())
        say(f"{time.monotonic() - began:.0f} s in all, seed {asked.seed}, logs in {directory}")
    return 0 if proof.holds else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=300, help="how many (default 300)")
    parser.add_argument("--seed", type=int, default=1, help="of the log and the faults (default 1)")
    parser.add_argument("--records", type=int, help=f"of the log (default {_RECORDS_A_FAULT} a fault)")
    parser.add_argument("--directory", type=Path, help="for all logs (default a new temporary one)")
    parser.add_argument("--embedded", action="store_true", help="one worker on the embedded broker")
    return parser.parse_args()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing it started outlives it
    sys.exit(main())
