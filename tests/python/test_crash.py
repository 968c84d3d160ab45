"""Every example, in both languages, survives kill -9: at every passing of the fail points around a commit, and at any
moment (S5, S6, S7, S23, S43). What must hold is said in crash_harness. At least 200 kills in all; `make crash` does
thousands.
"""

import random
from pathlib import Path

import pytest
from crash_harness import FAIL_POINTS, Crasher, Scenario
from crash_scenarios import SCENARIOS

# Plans of one to five kills each, for each scenario. The same ones in every run.
RANDOM_PLANS = 5
SEED = 20261122

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)


@every_scenario
@pytest.mark.parametrize("point", FAIL_POINTS)
def test_killed_at_every_commit_it_ends_as_if_undisturbed(scenario: Scenario, point: str, tmp_path: Path) -> None:
    kills = Crasher(scenario, tmp_path).at_every_pass(point)
    assert kills >= 3  # it is created, a step is recorded, it ends


@every_scenario
def test_killed_again_and_again_at_random_it_ends_as_if_undisturbed(scenario: Scenario, tmp_path: Path) -> None:
    chance = random.Random(f"{SEED} {scenario.name}")
    crasher = Crasher(scenario, tmp_path)
    plans = [crasher.random_plan(chance) for _ in range(RANDOM_PLANS)]
    assert crasher.all_of(plans) >= RANDOM_PLANS
