"""Every example, in both languages, survives kill -9: around every commit, and again and again at any moment (S5, S6,
S7, S23, S43). What must hold is said in crash_harness. `make crash` does the same thousands of times.
"""

import random
from pathlib import Path

import pytest

from crash_harness import Crasher, Kill, Scenario
from crash_scenarios import SCENARIOS, scenario_named

POINTS = ("before_commit", "after_commit")
RANDOM_KILLS = 12  # at least, for each scenario
SEED = 20261122

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)


@every_scenario
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_every_commit_it_ends_as_if_undisturbed(scenario: Scenario, point: str, tmp_path: Path) -> None:
    assert Crasher(scenario, tmp_path).at_every_pass(point) >= scenario.commits


def test_killed_whenever_it_has_told_its_host_a_cpp_program_ends_as_if_undisturbed(tmp_path: Path) -> None:
    scenario = scenario_named("cpp-groceries")
    assert Crasher(scenario, tmp_path).at_every_pass("after_post") >= scenario.commits


@every_scenario
def test_killed_again_and_again_it_ends_as_if_undisturbed(scenario: Scenario, tmp_path: Path) -> None:
    chance = random.Random(f"{SEED} {scenario.name}")
    crasher = Crasher(scenario, tmp_path)
    kills = 0
    while kills < RANDOM_KILLS:
        kills += crasher.all_of([crasher.random_plan(chance) for _ in range(2)])


@pytest.mark.parametrize("language", ["python", "cpp"])
def test_when_one_of_two_processes_is_killed_the_other_takes_its_work_over(language: str, tmp_path: Path) -> None:
    """S42, S43: either may own the instance, and the killed one may do so at any commit."""
    scenario = scenario_named(f"{language}-groceries")
    crasher = Crasher(scenario, tmp_path)
    kills = [crasher.beside_another(Kill("after_commit", passes)) for passes in range(1, scenario.commits)]
    assert sum(kills) >= 2
