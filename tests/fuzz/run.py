"""Runs every fuzzer of a build tree on its corpus: `FUZZ_SECONDS=60 python tests/fuzz/run.py build/fuzz`.

What they discover is kept beside the fuzzers, under `found`, and is where the next run begins. An input that breaks a
promise is kept there as well and makes the run fail.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"
EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def fuzz(fuzzer: Path, seconds: str) -> bool:
    name = fuzzer.name.removesuffix("_fuzz")
    found = fuzzer.parent / "found" / name
    found.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=2048", "-max_len=4096"]
    command = [str(fuzzer), *limits, "-print_final_stats=1", f"-artifact_prefix={found.parent}/{name}-"]
    environment = os.environ | {"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
    process = subprocess.run(
        [*command, str(found), str(CORPUS / name)],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
    )
    executions = EXECUTIONS.search(process.stderr)
    print(f"{name}: {executions[1] if executions else 'an unknown number of'} inputs in {seconds} s", flush=True)
    if process.returncode != 0:
        print(process.stderr[-8000:], flush=True)
    return process.returncode == 0


def main() -> int:
    fuzzers = sorted(Path(sys.argv[1]).resolve().glob("tests/fuzz/*_fuzz"))
    seconds = os.environ.get("FUZZ_SECONDS", "60")
    sound = [fuzz(fuzzer, seconds) for fuzzer in fuzzers]
    return 0 if sound and all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
