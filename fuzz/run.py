"""Run one fuzzing target for a while.

    make fuzz-documents          (ARGS="--seconds 1800")

libFuzzer mutates the seed corpus, guided by the coverage of our own packages. What breaks a
target is written to build/fuzz and its address is told; the exit status is then not 0.
"""

import argparse
import hashlib
import os
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["vxml_engine", "macros"]):
    from fuzz.targets import TARGETS

BUILD = Path(__file__).resolve().parent.parent / "build" / "fuzz"
INPUT_BYTES_MAX = 16_384
INPUT_S_MAX = 20


def main() -> None:
    """Fill the corpus and hand over to libFuzzer, which ends the process."""
    parser = argparse.ArgumentParser(prog="fuzz.run", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    target, seeds = TARGETS[options.target]
    corpus = BUILD / options.target / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds():
        (corpus / hashlib.sha256(seed).hexdigest()).write_bytes(seed)
    os.chdir(corpus.parent)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={options.seconds}",
            f"-max_len={INPUT_BYTES_MAX}",
            f"-timeout={INPUT_S_MAX}",
            "-print_final_stats=1",
            "-rss_limit_mb=4096",
            str(corpus),
        ],
        target,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
