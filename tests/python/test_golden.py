"""Databases and exported histories of earlier formats are opened, migrated, continued and replayed (tests/golden)."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import workflows
import workflows.testing

from support import PATIENCE_S, VirtualTime, opened, result_over, until_recorded

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture
def then() -> Iterator[Any]:
    sys.path.insert(0, str(GOLDEN))
    import workflows_of_then

    workflows_of_then.executed.clear()
    yield workflows_of_then
    sys.path.remove(str(GOLDEN))


FILES = sorted(path.name for path in GOLDEN.glob("*.golden"))


@pytest.fixture(params=FILES)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copy(GOLDEN / request.param, tmp_path / "old.db"))


async def test_what_was_finished_is_there(golden: Path, then: Any) -> None:
    async with opened(golden, *then.ALL) as engine:
        done = await engine.get("finished", "done")
        values, size, params = await done.result(PATIENCE_S)
        assert (size, params, values[7]) == (10_000, {"n": 1}, {1, 2})
        broken = await engine.get("failed", "broken")
        with pytest.raises(workflows.WorkflowFailedError) as failed:
            await broken.result(PATIENCE_S)
        assert str(failed.value.cause) == "card declined"
        assert [len(step.attempts) for step in await broken.steps()] == [2]
    assert set(then.executed) <= {"last"}  # of the one whose hour is over by now


async def test_what_waited_goes_on_and_repeats_nothing(golden: Path, then: Any) -> None:
    time = VirtualTime()
    time.native.set(1_900_000_000_000)
    async with opened(golden, *then.ALL, time=time) as engine:
        waiting = await engine.get("branches", "waiting")
        await waiting.send_event("approved", "at last")
        expected = [["first 1 second 1", "first 2 second 2"], "at last", 3, "end"]
        await until_recorded(waiting, "rest")
        assert await result_over(time, waiting, "2 hours") == expected
        assert then.executed.count("work") == 0
        sleeping = await engine.get("branches", "sleeping")
        assert await result_over(time, sleeping, "2 hours") == [expected[0], "yes", 3, "end"]


def assert_every_history_replays(file: Path, then: Any) -> None:
    with workflows.Client(file) as client:
        for info in client.list():
            history = client.get(info.workflow, info.id).history()
            (code,) = [code for code in then.ALL if code.__name__ == info.workflow]
            outcome = workflows.testing.replay(code, history).outcome
            assert outcome == ("match" if info.status.is_finished else "incomplete")


def test_every_history_replays(golden: Path, then: Any) -> None:
    assert_every_history_replays(golden, then)


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    """A new database with all exported histories of the present document version."""
    file = tmp_path / "imported.db"
    program = Path(os.environ.get("WORKFLOWS_BUILD", GOLDEN.parents[1] / "build/release")) / "workflows"
    for document in sorted((GOLDEN / "exported").glob("*.json")):
        subprocess.run([program, "import", document, "--db", file], check=True, capture_output=True)
    return file


@pytest.fixture(params=[*FILES[1:], "histories"])
def since_format_2(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What the first format could not record, in the files of then and by way of documents."""
    if request.param == "histories":
        file: Path = request.getfixturevalue("imported")
        return file
    return Path(shutil.copy(GOLDEN / request.param, tmp_path / "old.db"))


def test_every_exported_history_replays(imported: Path, then: Any) -> None:
    assert_every_history_replays(imported, then)


async def test_what_was_paused_remembers_what_it_got_from_outside(since_format_2: Path, then: Any) -> None:
    async with opened(since_format_2, *then.ALL) as engine:
        paused = await engine.get("remembers", "paused")
        assert (await paused.status()).status == "paused"
        await paused.resume()
        await paused.send_event("approved", "yes")
        assert await paused.result(PATIENCE_S) == [True, None, "yes"]
    assert "keep" not in then.executed


async def test_what_was_rolled_back_stays_so_and_what_was_booked_is_undone(since_format_2: Path, then: Any) -> None:
    async with opened(since_format_2, *then.ALL) as engine:
        rolled = await engine.get("undone", "rolled")
        assert [(s.name, s.kind, s.status) for s in await rolled.steps()][-1] == ("book", "rollback", "completed")
        booked = await engine.get("undone", "booked")
        if (await booked.status()).status == "paused":  # as every imported instance is
            await booked.resume()
        await booked.send_event("left")
        with pytest.raises(workflows.WorkflowFailedError, match="no train"):
            await booked.result(PATIENCE_S)
    assert [name for name in then.executed if "book" in name] == ["unbook seat 7"]


def test_the_file_has_the_newest_format_afterwards(golden: Path, tmp_path: Path) -> None:
    workflows.Client(golden).close()
    workflows.Client(tmp_path / "new.db").close()
    tables = []
    for file in (golden, tmp_path / "new.db"):
        with sqlite3.connect(file) as database:
            tables.append(
                (
                    database.execute("PRAGMA user_version").fetchone(),
                    sorted(database.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")),
                )
            )
    assert tables[0] == tables[1]
