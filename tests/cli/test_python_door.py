"""What only the console script of the Python package does: run, worker."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cli_support import PYTHON, Cli
from cli_terminal import Terminal

SHOP = """
import asyncio
import pathlib
import workflows
from collections import OrderedDict  # no workflow of this module

HERE = pathlib.Path(__file__).parent

class CardDeclined(Exception):
    pass

@workflows.workflow
async def order(event, step):
    if event.payload.get("fail"):
        raise CardDeclined("no money")

    @step.do("charge")
    async def charge():
        return {"paid": event.payload.get("sum", 1)}

    return await charge()

@workflows.workflow
async def patient(event, step):
    @step.do("try", config={"retries": {"limit": 1, "delay": "0 s"}})
    async def attempt(ctx):
        if ctx.attempt == 1:
            raise ConnectionError("away")

    await attempt()
    return (await step.wait_for_event("the word", "word", timeout=None)).payload

class Slow(workflows.WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("slow one", config={"retries": {"limit": 0}})
        async def slow():
            (HERE / "began").touch()
            while not (HERE / "go-on").exists():
                await asyncio.sleep(0.01)
            (HERE / "ended").touch()
            return 7

        return await slow()
"""


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    (tmp_path / "shop.py").write_text(SHOP)
    return Cli(tmp_path / "shop.db", door=PYTHON, folder=tmp_path)


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} does not come"
        time.sleep(0.01)


def begin(cli: Cli, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*cli.door, *arguments],
        cwd=cli.folder,
        env=cli.environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_run_prints_the_output(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text('{"sum": 12}')
    assert json.loads(cli.ok("run", "shop:order", "--params", "@order.json", "--id", "o-1")) == {"paid": 12}
    assert cli.json("run", "run", "shop:order", "--id", "o-1")["output"] == {"paid": 12}
    assert cli.json("inspect", "inspect", "o-1")["steps"][0]["name"] == "charge"
    assert json.loads(cli.ok("run", "shop:order")) == {"paid": 1}


def test_run_shows_its_steps_on_a_terminal(cli: Cli) -> None:
    with Terminal(cli, "run", "shop:order", "--id", "o-1") as terminal:
        shown = terminal.rest().replace("\r\n", "\n")
    assert shown == 'order/o-1\n✓ do              charge\n{"paid":1}\n'


def test_run_fails_as_the_workflow_does(cli: Cli) -> None:
    answer = cli("run", "shop:order", "--params", '{"fail": true}', "--id", "o-1")
    assert (answer.code, answer.out) == (10, "")
    assert "no money" in answer.err
    assert json.loads(cli("--json", "run", "shop:order", "--id", "o-1").err)["error"]["code"] == "workflow_failed"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "shop"], "MODULE:NAME"),
        (["run", "shop:nothing"], "Its workflows: order, patient, Slow"),
        (["run", "shop:OrderedDict"], "is not a workflow"),
        (["run", "no_such_module:x"], "There is no module 'no_such_module'"),
        (["worker", "json"], "has no workflows"),
    ],
)
def test_what_cannot_be_loaded_is_a_usage_error(cli: Cli, arguments: list[str], says: str) -> None:
    error = cli.error(*arguments)
    assert error["exit_code"] == 2
    assert says in error["message"]


def test_params_that_are_no_json_are_refused(cli: Cli) -> None:
    assert cli.error("run", "shop:order", "--params", "{")["code"] == "serialization"


@pytest.mark.parametrize("code", ["1 / 0", "def f(:", "import no_such_module"])
def test_a_module_that_cannot_be_imported_is_a_usage_error_with_its_traceback(
    cli: Cli, tmp_path: Path, code: str
) -> None:
    (tmp_path / "broken.py").write_text(code)
    for command in (["run", "broken:order"], ["worker", "broken"], ["replay", "o-1", "broken:order"]):
        error = cli.error(*command)
        assert (error["code"], error["exit_code"]) == ("invalid_config", 2)
        assert code in error["message"]


def test_output_that_does_not_arrive_is_an_error_and_a_reader_that_left_is_none(cli: Cli) -> None:
    cli.ok("run", "shop:order", "--id", "o-1")

    def printing_to(stdout: int) -> tuple[int, str]:
        done = subprocess.run(
            [*cli.door, "replay", "o-1", "shop:order"], cwd=cli.folder, env=cli.environment(), stdout=stdout,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        os.close(stdout)
        return done.returncode, done.stderr

    code, said = printing_to(os.open("/dev/full", os.O_WRONLY))
    assert code == 20
    assert "No space left on device" in said
    reader, writer = os.pipe()
    os.close(reader)
    assert printing_to(writer) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize("arguments", [["run", "shop:order"], ["worker", "shop"], ["replay", "o-1", "shop:order"]])
def test_the_native_program_says_where_python_code_runs(shop: Cli, arguments: list[str]) -> None:
    assert "Python package" in shop.error(*arguments)["message"]


def test_ctrl_c_stops_run_and_the_instance_goes_on_later(cli: Cli, tmp_path: Path) -> None:
    running = begin(cli, "run", "shop:Slow", "--id", "s-1")
    wait_for(tmp_path / "began")
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "workflows run shop:Slow --id s-1" in err
    (tmp_path / "go-on").touch()
    assert cli("run", "shop:Slow", "--id", "s-1").code in (0, 10)  # the attempt that was stopped counts


def test_ctrl_c_says_the_id_that_run_made_up(cli: Cli, tmp_path: Path) -> None:
    running = begin(cli, "run", "shop:Slow")
    wait_for(tmp_path / "began")
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    (made_up,) = cli.json_lines("instance", "list")
    assert f"workflows run shop:Slow --id {made_up['id']} --db {cli.db}" in err


def test_run_shows_failed_attempts_and_what_is_waited_for(cli: Cli) -> None:
    with Terminal(cli, "run", "shop:patient", "--id", "p-1") as terminal:
        terminal.until("↻ do              try  ConnectionError: away")
        terminal.until("… wait_for_event  the word")
        cli.ok("send-event", "p-1", "word", "7")
        terminal.until("✓ wait_for_event  the word")
        assert terminal.rest().replace("\r\n", "\n") == "\n7\n"


def test_the_command_by_which_a_run_goes_on_can_be_typed_as_it_stands(cli: Cli, tmp_path: Path) -> None:
    spaced = replace(cli, db=tmp_path / "my shop.db")
    with Terminal(spaced, "run", "shop:patient", "--id", "p-1") as terminal:
        terminal.until("the word")
        terminal.type("\x03")
        again = terminal.rest().partition("`")[2].partition("`")[0]
    assert shlex.split(again) == ["workflows", "run", "shop:patient", "--id", "p-1", "--db", str(spaced.db)]


def test_run_ends_with_the_report_when_the_code_does_not_fit_the_history(cli: Cli, tmp_path: Path) -> None:
    with Terminal(cli, "run", "shop:patient", "--id", "p-1") as terminal:
        terminal.until("the word")
        terminal.type("\x03")
        terminal.rest()
    (tmp_path / "shop.py").write_text(SHOP.replace('"try"', '"attempt"'))
    cli.ok("send-event", "p-1", "word", "7")
    error = cli.error("run", "shop:patient", "--id", "p-1")
    assert (error["code"], error["exit_code"]) == ("divergence", 12)
    assert "attempt" in error["message"]


def test_a_worker_serves_until_it_is_told_to_stop(cli: Cli, tmp_path: Path) -> None:
    worker = begin(cli, "worker", "shop")
    assert worker.stderr is not None
    assert worker.stderr.readline() == f"Serving 3 workflows from {cli.db}.\n"
    create(cli, "Slow", "s-1")
    wait_for(tmp_path / "began")
    worker.send_signal(signal.SIGTERM)
    assert "once more to stop at once" in worker.stderr.readline()
    assert worker.poll() is None  # the body runs
    (tmp_path / "go-on").touch()
    worker.communicate(timeout=30)
    assert worker.returncode == 0
    assert (tmp_path / "ended").exists()
    step = cli.json("inspect", "inspect", "s-1")["steps"][0]
    assert (step["status"], step["result"]) == ("completed", 7)
    assert cli.json("stats", "stats")["engines"] == 0


def test_a_second_signal_stops_a_worker_at_once(cli: Cli, tmp_path: Path) -> None:
    worker = begin(cli, "worker", "shop:Slow")
    assert worker.stderr is not None
    worker.stderr.readline()
    create(cli, "Slow", "s-1")
    wait_for(tmp_path / "began")
    worker.send_signal(signal.SIGTERM)
    worker.stderr.readline()
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=30)
    assert worker.returncode == -signal.SIGTERM
    assert not (tmp_path / "ended").exists()


def create(cli: Cli, workflow: str, id: str) -> None:
    code = f"import workflows; workflows.Client({str(cli.db)!r}).create({workflow!r}, id={id!r})"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})


def test_s41_code_is_replayed_against_histories(cli: Cli, tmp_path: Path) -> None:
    for number in (1, 2):
        cli.ok("run", "shop:order", "--id", f"o-{number}")
    assert cli.ok("replay", "o-1", "shop:order") == "✓ match  order/o-1\n"
    outcomes = cli.json_lines("replayed", "replay", "--all", "shop:order", "--status", "complete")
    assert [(each["id"], each["outcome"]) for each in outcomes] == [("o-1", "match"), ("o-2", "match")]
    assert cli.json_lines("replayed", "replay", "--all", "shop:order", "--status", "errored") == []
    assert cli.error("replay", "other/o-1", "shop:order")["code"] == "instance_not_found"
    (tmp_path / "shop.py").write_text(SHOP.replace('"charge"', '"bill the customer"'))
    answer = cli("replay", "order/o-2", "shop:order")
    assert answer.code == 12
    assert answer.out.startswith("✗ diverged  order/o-2\n")
    assert "bill the customer" in answer.out


def test_s41_code_is_replayed_against_generations_and_files(cli: Cli, tmp_path: Path) -> None:
    cli.ok("run", "shop:order", "--id", "o-1")
    cli.ok("restart", "o-1")
    assert cli.ok("replay", "o-1@1", "shop:order") == "✓ match  order/o-1@1\n"
    assert cli.ok("replay", "o-1", "shop:order") == "… incomplete  order/o-1\n"
    cli("export", "o-1@1", "-o", str(tmp_path / "history.json"))
    with_code = ("replay", "./history.json", "shop:order")
    assert cli(*with_code, WORKFLOWS_DB="").out == "✓ match  ./history.json\n"
    assert cli.error("replay", "./history.json", "shop:Slow")["exit_code"] == 2
    cli("export", "o-1@1", "--redact", "-o", str(tmp_path / "history.json"))
    assert "--sensitive" in cli.error(*with_code)["message"]


def test_s41_a_replay_of_all_goes_over_newest_generations(cli: Cli) -> None:
    cli.ok("run", "shop:order", "--id", "o-1")
    cli.ok("restart", "o-1")
    assert cli.json_lines("replayed", "replay", "--all", "shop:order", "--status", "complete") == []
    (newest,) = cli.json_lines("replayed", "replay", "--all", "shop:order")
    assert (newest["id"], newest["generation"]) == ("o-1", 2)


def test_a_replay_stops_in_the_debugger_at_a_step_with_the_values_it_had(cli: Cli) -> None:
    cli.ok("run", "shop:order", "--id", "o-1")
    debugging = subprocess.run(
        [*cli.door, "replay", "o-1", "shop:order", "--debug", "charge"],
        input="up\ndown\nlocals()\nnext\nlocals()\ncontinue\n",
        cwd=cli.folder,
        env=cli.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert debugging.returncode == 0, debugging.stderr
    assert "shop.py" in debugging.stdout
    assert "'step'" in debugging.stdout
    assert debugging.stdout.endswith("✓ match  order/o-1\n")
    assert cli.error("replay", "o-1", "--debug", "charge")["exit_code"] == 2
