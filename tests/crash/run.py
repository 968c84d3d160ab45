"""Thousands of kills: the harness of tests/python, with a new seed each time and more rounds.

`python tests/crash/run.py build/release` runs all. When something is wrong it prints the command that repeats it: the
same kills of the same program. Kills at a fail point hit the same place again; kills by time hit about the same place.
"""

import argparse
import os
import random
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/python"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path, help="a build tree, such as build/release")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--rounds", type=int, default=200, help="random plans of kills for each program")
    parser.add_argument("--swarms", type=int, default=10, help="swarms of four engines, half a minute each")
    parser.add_argument("--only", help="the name of one program")
    parser.add_argument("--round", type=int, help="only this random plan")
    arguments = parser.parse_args()
    os.environ["WORKFLOWS_BUILD"] = str(arguments.build.resolve())

    from crash_harness import FAIL_POINTS, PROGRAMS_AT_ONCE, Crasher, Violation
    from crash_scenarios import SCENARIOS
    from swarm import Swarm

    scenarios = [scenario for scenario in SCENARIOS if arguments.only in (None, scenario.name)]
    if not scenarios:
        parser.error(f"--only is {arguments.only}; known are {', '.join(scenario.name for scenario in SCENARIOS)}")
    repeat = f"{sys.executable} tests/crash/run.py {arguments.build} --seed {arguments.seed}"
    print(f"seed {arguments.seed}", flush=True)

    total = 0
    for scenario in scenarios:
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(PROGRAMS_AT_ONCE) as pool:
            crasher = Crasher(scenario, Path(folder))
            which = ""
            try:
                kills = 0
                if arguments.round is None:
                    kills += sum(crasher.at_every_pass(point) for point in FAIL_POINTS)
                numbers = range(arguments.rounds) if arguments.round is None else [arguments.round]
                plans = [
                    crasher.random_plan(random.Random(f"{arguments.seed} {scenario.name} {number}"))
                    for number in numbers
                ]
                trials = [pool.submit(crasher.once, plan) for plan in plans]
                for number, trial in zip(numbers, trials, strict=True):
                    which = f" --round {number}"
                    kills += trial.result()
            except Violation as violation:
                pool.shutdown(cancel_futures=True)
                print(f"{violation}\nrepeat with: {repeat} --only {scenario.name}{which}", flush=True)
                return 1
        print(f"{scenario.name}: {kills} kills", flush=True)
        total += kills
    for number in range(arguments.swarms if arguments.only is None else 0):
        with tempfile.TemporaryDirectory() as folder:
            swarm = Swarm(Path(folder), arguments.seed + number)
            swarm.run(seconds=30)  # a Violation names the seed, which repeats the kinds of kills but not their moments
        print(f"{swarm}: {swarm.kills} kills, {swarm.fenced} engines fenced", flush=True)
        total += swarm.kills
    print(f"{total} kills, and every run ended as if undisturbed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
