# pyright: basic
"""Opening, closing, several engines, wrong places (S2, S5, S6, S25, S42-S46)."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time as clock
from pathlib import Path
from typing import Any

import pytest
import workflows

from support import (
    PATIENCE_S,
    VirtualTime,
    assert_nothing_left,
    open_files,
    opened,
    run_once,
    until,
    until_recorded,
    until_status,
)


@workflows.workflow
async def echo(event: workflows.Event, step: workflows.Step) -> Any:
    @step.do
    async def say() -> Any:
        return event.payload

    return await say()


@workflows.workflow
async def waiting(event: workflows.Event, step: workflows.Step) -> Any:
    return (await step.wait_for_event("go", "go")).payload


# ---- instances


async def test_s2_ids_are_unique_within_a_workflow() -> None:
    async with opened(":memory:", echo, waiting) as engine:
        first = await engine.create(echo, {"a": 1}, id="one")
        assert (first.id, first.workflow) == ("one", "echo")
        with pytest.raises(workflows.InstanceExistsError, match="'one'"):
            await engine.create(echo, {"a": 1}, id="one")
        again = await engine.create(echo, {"a": 1}, id="one", on_conflict="return")
        assert await again.result() == {"a": 1}
        with pytest.raises(workflows.InstanceExistsError):
            await engine.create(echo, {"a": 2}, id="one", on_conflict="return")
        assert (await engine.create(waiting, id="one")).workflow == "waiting"
        generated = [await engine.create(echo) for _ in range(3)]
        assert sorted(i.id for i in generated) == [i.id for i in generated]  # UUID v7 sort by age


async def test_s2_of_two_concurrent_creators_exactly_one_wins(tmp_path: Path) -> None:
    async with opened(tmp_path / "e.db", echo) as one, opened(tmp_path / "e.db", echo) as two:
        creators = [engine.create(echo, {"n": n}, id="same") for n, engine in enumerate((one, two) * 3)]
        outcomes = await asyncio.gather(*creators, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Instance"] + ["InstanceExistsError"] * 5


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        (("no spaces",), {}, workflows.InvalidNameError),
        ((5,), {}, TypeError),
        ((echo,), {"id": ""}, workflows.InvalidNameError),
        ((echo,), {"id": "a b"}, workflows.InvalidNameError),
        ((echo,), {"id": "x" * 101}, workflows.InvalidNameError),
        ((echo,), {"id": 17}, workflows.InvalidNameError),
        ((echo,), {"on_conflict": "replace"}, workflows.InvalidConfigError),
        ((echo, object()), {}, workflows.SerializationError),
        ((echo, "x" * 2_000_000), {}, workflows.PayloadTooLargeError),
        ((waiting,), {}, workflows.InvalidNameError),
    ],
)
async def test_s46_what_cannot_be_created_is_refused_and_nothing_has_changed(
    arguments: Any, options: Any, error: type[Exception]
) -> None:
    async with opened(":memory:", echo) as engine:
        with pytest.raises(error):
            await engine.create(*arguments, **options)
        assert [info async for info in engine.list()] == []
        assert await (await engine.create(echo, 1)).result() == 1


async def test_s6_an_instance_whose_workflow_is_not_registered_waits_for_an_engine_that_has_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "e.db") as engine:
        instance = await engine.create("echo", {"a": 1}, id="later")
        assert (await instance.status()).status == "queued"
    async with opened(tmp_path / "e.db", echo) as engine:
        assert await (await engine.get("echo", "later")).result(timeout=PATIENCE_S) == {"a": 1}


async def test_instances_are_found_and_listed_by_age_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows._engine.PAGE", 3)
    time = VirtualTime()
    async with opened(":memory:", echo, waiting, time=time) as engine:
        for number in range(8):
            await (await engine.create(echo, id=f"e{number}")).result()
            time.advance("1 minute")
        await until_status(await engine.create(waiting, id="w"), "waiting")

        async def ids(*args: Any, **kwargs: Any) -> list[str]:
            return [info.id async for info in engine.list(*args, **kwargs)]

        everything = [f"e{number}" for number in range(8)] + ["w"]
        assert await ids() == everything
        assert await ids(limit=4) == everything[:4]
        assert await ids(limit=0) == []
        assert await ids(echo, limit=100) == everything[:-1]
        assert await ids("waiting", "waiting") == ["w"]
        assert await ids(status=workflows.Status.COMPLETE) == everything[:-1]
        assert await ids(id_prefix="e7") == ["e7"]
        assert await ids(created_after="2026-01-01T00:06:30Z") == ["e7", "w"]
        assert await ids(created_after="2026-01-01T00:08:00Z") == []
        assert await ids(created_after="2026-01-01T00:08:00.000900Z") == ["w"]  # times are kept in milliseconds
        info = await anext(engine.list(waiting))
        assert (info.workflow, info.status, info.generation, info.version) == ("waiting", "waiting", 1, "")
        assert info.created.isoformat() == "2026-01-01T00:08:00+00:00"
        for wrong in ({"status": "happy"}, {"limit": -1}, {"limit": "5"}):
            with pytest.raises(workflows.InvalidConfigError):
                await ids(**wrong)
        with pytest.raises(workflows.InvalidDurationError, match="time zone"):
            await ids(created_after="2026-01-01")
        assert await engine.exists(echo, "e1")
        assert not await engine.exists("echo", "nobody")
        with pytest.raises(workflows.InstanceNotFoundError, match="nobody"):
            await engine.get(echo, "nobody")


async def test_result_may_give_up_and_the_instance_goes_on() -> None:
    async with opened(":memory:", waiting) as engine:
        instance = await engine.create(waiting)
        for timeout in (0.001, "1 ms", 0):
            with pytest.raises(TimeoutError, match="was not finished within"):
                await instance.result(timeout=timeout)
        for wrong in (-1, "soon", True):
            with pytest.raises(workflows.InvalidDurationError, match="timeout of result"):
                await instance.result(timeout=wrong)
        watchers = [asyncio.create_task(instance.result()) for _ in range(3)]
        await asyncio.sleep(0)
        watchers[0].cancel()
        await instance.send_event("go", 5)
        assert await asyncio.gather(*watchers[1:]) == [5, 5]
        assert await instance.result() == 5


# ---- several engines


async def test_s42_two_engines_on_one_file_share_the_work_and_see_each_others_results(tmp_path: Path) -> None:
    async with opened(tmp_path / "e.db", echo) as one, opened(tmp_path / "e.db", waiting) as two:
        mine = await one.create(echo, 1, id="mine")
        others = await one.create("waiting", id="others")
        await until_status(others, "waiting")
        await others.send_event("go", 2)
        assert await mine.result() == 1
        assert await others.result(timeout=PATIENCE_S) == 2
        assert await (await two.get("echo", "mine")).result(timeout=PATIENCE_S) == 1


async def test_several_engines_run_in_one_loop() -> None:
    async with opened(":memory:", echo) as one, opened(":memory:", echo) as two:
        instances = [await engine.create(echo, n, id="x") for n, engine in enumerate((one, two))]
        assert [await instance.result() for instance in instances] == [0, 1]


async def test_a_serializer_hides_params_results_events_outputs_and_errors(tmp_path: Path) -> None:
    class Rot:
        name = "rot"

        def dumps(self, value: object) -> bytes:
            return workflows.JsonSerializer().dumps(value)[::-1]

        def loads(self, data: bytes) -> Any:
            return workflows.JsonSerializer().loads(data[::-1])

    @workflows.workflow
    async def secretive(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config={"retries": {"limit": 0}})
        async def fail() -> None:
            raise LookupError(b"topsecret")

        try:
            await fail()
        except LookupError as error:
            got = await step.wait_for_event("go", "go")
            return [error.args[0], event.payload, got.payload]

    async with opened(tmp_path / "s.db", secretive, serializer=Rot()) as engine:
        instance = await engine.create(secretive, "topsecret-params")
        await instance.send_event("go", "topsecret-event")
        assert await instance.result() == [b"topsecret", "topsecret-params", "topsecret-event"]
    assert b"topsecret-" not in (tmp_path / "s.db").read_bytes()


# ---- the end


async def test_close_is_idempotent_and_everything_afterwards_says_so() -> None:
    engine = workflows.Engine(":memory:", workflows=[waiting])
    with pytest.raises(workflows.EngineClosedError, match="not open"):
        await engine.create(waiting)
    await engine.close()
    assert await engine.open() is engine
    assert await engine.open() is engine
    instance = await engine.create(waiting)
    watcher = asyncio.create_task(instance.result())
    await asyncio.sleep(0)
    await asyncio.gather(engine.close(), engine.close())
    await engine.close()
    assert_nothing_left(engine)
    with pytest.raises(workflows.EngineClosedError):
        await watcher
    for use in (
        lambda: engine.create(waiting),
        lambda: engine.get(waiting, "x"),
        lambda: engine.exists(waiting, "x"),
        instance.status,
        instance.result,
        instance.steps,
        lambda: instance.send_event("go"),
        lambda: anext(engine.list()),
    ):
        with pytest.raises(workflows.EngineClosedError):
            await use()


async def test_an_engine_may_be_opened_again(tmp_path: Path) -> None:
    engine = workflows.Engine(tmp_path / "e.db", workflows=[waiting])
    async with engine:
        instance = await engine.create(waiting, id="w")
        await until_status(instance, "waiting")
    async with engine:
        await instance.send_event("go", 1)
        assert await instance.result(timeout=PATIENCE_S) == 1


async def test_drain_lets_running_bodies_finish_and_their_results_are_kept(tmp_path: Path) -> None:
    bodies: list[str] = []
    running = asyncio.Event()
    release = threading.Event()

    @workflows.workflow
    async def working(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do
        async def slow() -> str:
            running.set()
            for _ in range(50):
                await asyncio.sleep(0)
            bodies.append("slow")
            return "slow"

        @step.do
        def threaded() -> str:
            release.wait()
            bodies.append("threaded")
            return "threaded"

        return await asyncio.gather(slow(), threaded())

    engine = workflows.Engine(tmp_path / "e.db", workflows=[working])
    await engine.open()
    await engine.create(working, id="w")
    await running.wait()
    closing = asyncio.create_task(engine.close(drain="1 minute"))
    await until(lambda: bodies == ["slow"])
    release.set()
    await closing
    assert_nothing_left(engine)
    async with opened(tmp_path / "e.db", working) as engine:
        assert await (await engine.get(working, "w")).result(timeout=PATIENCE_S) == ["slow", "threaded"]
    assert sorted(bodies) == ["slow", "threaded"]


async def test_nothing_is_left_behind_neither_tasks_nor_files_nor_threads(tmp_path: Path) -> None:
    await run_once(echo, 1)
    gc.collect()
    before = (open_files(), threading.active_count(), len(asyncio.all_tasks()))
    for number in range(5):
        async with opened(tmp_path / "e.db", echo, waiting) as engine:
            await (await engine.create(echo, id=f"e{number}")).result()
            await engine.create(waiting, id=f"w{number}")
    gc.collect()
    await until(lambda: threading.active_count() <= before[1])
    assert (open_files(), len(asyncio.all_tasks())) == (before[0], before[2])


async def test_code_that_does_not_end_is_left_behind_and_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows._runner.PATIENCE_SECONDS", 0.01)
    release = asyncio.Event()

    @workflows.workflow
    async def stubborn(event: workflows.Event, step: workflows.Step) -> Any:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    engine = workflows.Engine(":memory:", workflows=[stubborn])
    await engine.open()
    instance = await engine.create(stubborn)
    await until_status(instance, "running")
    await engine.close()
    assert "does not end although it was cancelled" in caplog.text
    release.set()


# ---- wrong places


def test_using_an_engine_on_another_loop_is_an_error() -> None:
    async def make() -> tuple[workflows.Engine, workflows.Instance]:
        engine = await workflows.Engine(":memory:", workflows=[echo]).open()
        return engine, await engine.create(echo)

    async def use(engine: workflows.Engine, instance: workflows.Instance) -> None:
        for call in (lambda: engine.create(echo), instance.result, instance.status, engine.close):
            with pytest.raises(workflows.WrongLoopError, match=r"another event loop.*the loop that opened it"):
                await call()

    with asyncio.Runner() as runner:
        engine, instance = runner.run(make())
        threading.Thread(target=lambda: asyncio.run(use(engine, instance))).run()
        thread_errors: list[BaseException] = []

        def elsewhere() -> None:
            try:
                asyncio.run(use(engine, instance))
            except BaseException as error:
                thread_errors.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert thread_errors == []
        runner.run(engine.close())


async def test_step_verbs_in_a_thread_say_where_they_belong() -> None:
    @workflows.workflow
    async def wrong(event: workflows.Event, step: workflows.Step) -> Any:
        @step.do(config={"retries": {"limit": 0}})
        def threaded() -> None:
            step.sleep("nap", "1 s")

        with pytest.raises(workflows.WrongLoopError, match="outside of any event loop"):
            await threaded()
        return "ok"

    assert await run_once(wrong) == "ok"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12: there are threads
async def test_after_fork_the_engine_and_the_client_refuse_and_the_parents_go_on(tmp_path: Path) -> None:
    async with opened(tmp_path / "e.db", waiting) as engine:
        instance = await engine.create(waiting)
        client = workflows.Client(tmp_path / "e.db")
        child = os.fork()
        if child == 0:  # no pytest here: only the exit code tells
            code = 1
            try:
                for use in (lambda: instance.send_event("go").send(None), lambda: client.exists("waiting", "x")):
                    try:
                        use()
                    except workflows.ForkedError as error:
                        code = 0 if "forked" in str(error) else 2
                    else:
                        code = 3
                        break
                del engine, instance, client
                gc.collect()
            finally:
                os._exit(code)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        await instance.send_event("go", 1)
        assert await instance.result(timeout=PATIENCE_S) == 1
        client.close()


def program(text: str, *args: str, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", text, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


FORGETFUL = """
import asyncio, os, sys, workflows

@workflows.workflow
async def waiting(event, step):
    return (await step.wait_for_event("go", "go")).payload

async def main():
    engine = await workflows.Engine(sys.argv[1], workflows=[waiting]).open()
    await engine.create(waiting, id="w")
    if len(sys.argv) > 2 and os.fork() == 0:
        sys.exit(0)

asyncio.run(main())
print("ended")
"""


@pytest.mark.parametrize("fork", [False, True])
async def test_a_program_that_forgets_to_close_ends_cleanly_and_its_instances_go_on(fork: bool, tmp_path: Path) -> None:
    process = program(FORGETFUL, str(tmp_path / "e.db"), *(["fork"] if fork else []))
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, "ended\n")
    async with opened(tmp_path / "e.db", waiting) as engine:
        instance = await engine.get(waiting, "w")
        await instance.send_event("go", 1)
        assert await instance.result(timeout=PATIENCE_S) == 1


INTERRUPTED = """
import sys, time, workflows

@workflows.workflow
{kind} waiting(event, step):
    print("running")
    {body}

workflows.run(waiting, id="w", db=sys.argv[1])
"""


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("async def", 'await step.wait_for_event("go", "go")'),
        ("def", 'step.wait_for_event("go", "go")'),
        (
            "async def",
            "await step.do('s')(lambda ctx: [time.sleep(0.01) for _ in iter(lambda: ctx.cancelled, True)])()",
        ),
    ],
)
def test_ctrl_c_stops_the_program_and_not_the_instance(kind: str, body: str, tmp_path: Path) -> None:
    process = program(INTERRUPTED.format(kind=kind, body=body), str(tmp_path / "e.db"))
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGINT, errors
    assert errors.rstrip().endswith("KeyboardInterrupt")
    with workflows.Client(tmp_path / "e.db") as client:
        assert not client.status("waiting", "w").status.is_finished


# ---- bad databases (S45)


def make_newer(path: Path) -> None:
    with workflows.Client(path) as client:
        client.create("echo")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9999")
    connection.commit()
    connection.close()


def truncate(path: Path) -> None:
    with workflows.Client(path) as client:
        client.create("echo")
    os.truncate(path, 5000)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (Path.mkdir, workflows.StoreError, "director|folder"),
        (lambda path: path.write_text("Dear diary, " * 500), workflows.StoreError, "not a database.*Dear diary"),
        (make_newer, workflows.StoreVersionError, "9999|newer"),
        (truncate, workflows.StoreCorruptError, "."),
    ],
)
async def test_s45_what_is_no_database_of_ours_is_refused_and_unchanged(
    make: Any, error: type[Exception], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "e.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(error, match=said):
        await workflows.Engine(path, workflows=[echo]).open()
    with pytest.raises(error, match=said):
        workflows.Client(path)
    assert (path.read_bytes() if path.is_file() else b"") == before


async def test_s45_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(workflows.StoreError, match="nowhere"):
        await workflows.Engine(tmp_path / "nowhere" / "e.db").open()


@pytest.mark.parametrize("db", ["", "a\0b", 5, None, "postgresql://host/db"])
def test_s46_a_path_that_is_none_is_refused(db: Any) -> None:
    with pytest.raises(workflows.InvalidConfigError, match="db is"):
        workflows.Engine(db)
    with pytest.raises(workflows.InvalidConfigError, match="db is"):
        workflows.Client(db)


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("durability", "extra", workflows.InvalidConfigError),
        ("max_concurrent_instances", 0, workflows.InvalidConfigError),
        ("hibernate_after", 10, workflows.InvalidDurationError),
        ("hibernate_after", "soon", workflows.InvalidDurationError),
        ("lease", None, workflows.InvalidDurationError),
        ("step_limit", 0, workflows.InvalidConfigError),
        ("step_limit", 1.5, workflows.InvalidConfigError),
        ("payload_limit", "big", workflows.InvalidConfigError),
        ("thread_pool_size", 0, workflows.InvalidConfigError),
        ("thread_pool_size", True, workflows.InvalidConfigError),
    ],
)
def test_s46_an_option_that_is_not_accepted_is_named(option: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"{option}.*{value}"):
        workflows.Engine(":memory:", **{option: value})


async def test_paths_may_be_path_objects_and_any_bytes_of_the_system(tmp_path: Path) -> None:
    for name in ("plain.db", "ünï 🧂.db", os.fsdecode(b"\xff.db")):
        async with opened(tmp_path / name, echo) as engine:
            assert await (await engine.create(echo, 1)).result() == 1
        assert (tmp_path / name).exists()


async def test_max_concurrent_instances_bounds_what_is_in_memory() -> None:
    loaded = most = 0

    @workflows.workflow
    async def counting(event: workflows.Event, step: workflows.Step) -> Any:
        nonlocal loaded, most
        loaded += 1
        most = max(most, loaded)

        @step.do
        async def work() -> None:
            await asyncio.sleep(0)

        await work()
        loaded -= 1

    async with opened(":memory:", counting, max_concurrent_instances=2) as engine:
        instances = [await engine.create(counting) for _ in range(9)]
        await asyncio.gather(*(instance.result(timeout=PATIENCE_S) for instance in instances))
    assert most <= 2


async def test_the_engines_log_arrives_in_logging(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="workflows"):
        async with opened(tmp_path / "e.db", echo) as engine:
            runner: Any = engine._access.runner  # pyright: ignore[reportPrivateUsage]
            runner._log(2, "from the engine")
    assert ("workflows", logging.WARNING, "from the engine") in caplog.record_tuples


async def test_s44_an_engine_that_has_stopped_says_why_everywhere(caplog: pytest.LogCaptureFixture) -> None:
    engine = workflows.Engine(":memory:", workflows=[waiting])
    await engine.open()
    instance = await engine.create(waiting)
    await until_status(instance, "waiting")
    watcher = asyncio.create_task(instance.result())
    await asyncio.sleep(0)
    runner: Any = engine._access.runner  # pyright: ignore[reportPrivateUsage]
    runner._stopped("store", "the disk is gone")
    with pytest.raises(workflows.StoreError, match="the disk is gone"):
        await watcher
    with pytest.raises(workflows.StoreError, match="the disk is gone"):
        await engine.create(waiting)
    await engine.close()
    assert "The engine has stopped: the disk is gone" in caplog.text


async def test_s25_an_event_of_another_process_wakes_the_waiting_code(tmp_path: Path) -> None:
    async with opened(tmp_path / "e.db", waiting) as engine:
        instance = await engine.create(waiting, id="w")
        await until_recorded(instance, "go")
        sender = (
            "import sys, workflows; workflows.Client(sys.argv[1]).send_event('waiting', 'w', 'go', {'from': 'outside'})"
        )
        with program(sender, str(tmp_path / "e.db")) as process:
            assert await instance.result(timeout=PATIENCE_S) == {"from": "outside"}
            assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0


def test_destruction_in_any_order_does_no_harm(tmp_path: Path) -> None:
    async def main() -> list[Any]:
        engine = await workflows.Engine(tmp_path / "e.db", workflows=[waiting]).open()
        instance = await engine.create(waiting)
        host = engine._access.runner.host  # type: ignore[union-attr] # pyright: ignore
        view = host.client()
        await engine.close()
        return [view, host, instance, engine]

    objects = asyncio.run(main())
    with pytest.raises(workflows.EngineClosedError):
        objects[0].exists("waiting", "x")
    while objects:
        objects.pop()
        gc.collect()
    assert clock.monotonic() > 0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_s45_a_file_that_may_not_be_written_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:  # not tmp_path: others may not look into that
        folder, path = Path(name), Path(name) / "e.db"
        with workflows.Client(path) as client:
            client.create("echo", id="one")
        for file in folder.iterdir():
            file.chmod(0o444)
        folder.chmod(0o555)
        before = path.read_bytes()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                if os.geteuid() == 0:
                    os.setuid(65534)  # root may write everything
                asyncio.run(workflows.Engine(path, workflows=[echo]).open())
            except workflows.StoreError as error:
                code = 0 if str(path) in str(error) else 2
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        folder.chmod(0o755)
        assert os.waitstatus_to_exitcode(status) == 0
        assert path.read_bytes() == before


async def test_a_result_with_a_timeout_of_zero_is_a_look() -> None:
    @workflows.workflow
    async def waiting(event: workflows.Event, step: workflows.Step) -> Any:
        return (await step.wait_for_event("w", "t")).payload

    async with opened(":memory:", waiting) as engine:
        instance = await engine.create(waiting)
        with pytest.raises(TimeoutError, match="was not finished within 0"):
            await instance.result(timeout=0)
        await instance.send_event("t", "came")
        await instance.result(timeout=PATIENCE_S)
        assert await instance.result(timeout=0) == "came"
