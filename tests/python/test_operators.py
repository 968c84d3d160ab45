"""S26, S42: lifecycle calls of one process upon instances that another one runs, or ran until it was killed."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import workflows

from support import PATIENCE_S, opened, until

PROGRAM = """
import asyncio, sys
import workflows

@workflows.workflow
async def busy(event, step):
    count = 0
    while True:
        @step.do("work")
        async def work():
            await asyncio.sleep(0.001)
            return count
        count = await work() + 1
        print(count, flush=True)

async def main():
    async with workflows.Engine(sys.argv[1], workflows=[busy], lease="2 seconds", step_limit=10**6) as engine:
        print("open", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


class Worker:
    """An engine in a process of its own."""

    def __init__(self, db: Path):
        self._process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(db)], stdout=subprocess.PIPE, text=True)
        self.lines = list[str]()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.lines.extend(iter(self._process.stdout.readline, ""))

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def worker(db: Path) -> Iterator[Worker]:
    with workflows.Client(db) as client:
        client.create("busy", id="b")
    worker = Worker(db)
    yield worker
    worker.kill()


async def goes_on(worker: Worker) -> None:
    before = len(worker.lines)
    await until(lambda: len(worker.lines) > before + 5)


def recorded(client: workflows.Client) -> int:
    return len(client.steps("busy", "b"))


async def test_nothing_is_recorded_after_a_terminate_has_returned(db: Path, worker: Worker) -> None:
    await goes_on(worker)
    with workflows.Client(db) as client:
        client.terminate("busy", "b")
        steps = recorded(client)
        assert client.status("busy", "b").status == "terminated"
        await asyncio.sleep(0.1)
        assert recorded(client) == steps
        told = len(worker.lines)
        await asyncio.sleep(0.1)
        assert len(worker.lines) == told
        client.restart("busy", "b")
        await goes_on(worker)  # the engine is well, and runs the next generation


async def test_a_pause_of_another_process_holds_and_a_resume_lets_go(db: Path, worker: Worker) -> None:
    await goes_on(worker)
    with workflows.Client(db) as client:
        client.pause("busy", "b")
        await until(lambda: client.status("busy", "b").status == "paused")
        steps = recorded(client)
        await asyncio.sleep(0.1)
        assert recorded(client) == steps
        client.resume("busy", "b")
        await goes_on(worker)


async def test_of_two_resumes_at_once_one_is_refused(db: Path, worker: Worker) -> None:
    await goes_on(worker)
    with workflows.Client(db) as client, workflows.Client(db) as other:
        for _ in range(10):
            client.pause("busy", "b")
            await until(lambda: client.status("busy", "b").status == "paused")
            results = await asyncio.gather(
                *(asyncio.to_thread(one.resume, "busy", "b") for one in (client, other)), return_exceptions=True
            )
            assert sorted(type(result).__name__ for result in results) == ["InvalidTransitionError", "NoneType"]
            await goes_on(worker)


async def test_a_terminate_and_a_takeover_do_not_undo_each_other(db: Path, worker: Worker) -> None:
    await goes_on(worker)
    worker.kill()
    ran = list[int]()

    @workflows.workflow
    async def busy(event: workflows.Event, step: workflows.Step) -> None:
        count = 0
        while True:

            @step.do("work")
            async def work(count: int = count) -> int:
                ran.append(count)
                return count + 1

            count = await work()

    with workflows.Client(db) as client:
        terminating = asyncio.create_task(asyncio.to_thread(client.terminate, "busy", "b"))
        async with opened(db, busy, step_limit=10**6) as engine:
            await terminating
            instance = await engine.get("busy", "b")
            with pytest.raises(workflows.WorkflowTerminatedError):
                await instance.result(PATIENCE_S)
            steps = recorded(client)
            await asyncio.sleep(0.1)
            assert recorded(client) == steps
