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

from cli_support import PYTHON, Answer, Cli, valid
from cli_terminal import Terminal

SHOP = """
import asyncio
import pathlib
import time
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
async def graph(event, step):
    @step.do("a")
    async def a():
        print("a body")
        return 1

    @step.do("b")
    async def b(a):
        return a + 1

    print("some code")
    return await b()

@workflows.workflow
def plain(event, step):
    @step.do("charge")
    def charge():
        return 42

    paid = charge()
    return paid

@workflows.workflow
def threaded(event, step):
    @step.do("slow one", config={"retries": {"limit": 0}})
    def slow():
        (HERE / "began").touch()
        time.sleep(600)

    slow()

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


def test_run_runs_its_instance_and_no_other(cli: Cli) -> None:
    create(cli, "order", "other")
    create(cli, "order", "mine")
    cli.ok("run", "shop:order", "--id", "mine")
    cli.ok("run", "shop:order")
    assert cli.json("inspect", "inspect", "other")["instance"]["status"] == "queued"
    assert cli.json_lines("entry", "tail", "other") == []
    cli.ok("run", "shop:order", "--id", "other")


def test_run_goes_on_when_its_instance_is_resumed_and_restarted_meanwhile(cli: Cli) -> None:
    with Terminal(cli, "run", "shop:patient", "--id", "p-1") as terminal:
        terminal.until("the word")
        cli.ok("pause", "p-1")
        terminal.until("Paused: it was paused from outside. It goes on when it is resumed.")
        cli.ok("resume", "p-1")
        cli.ok("send-event", "p-1", "word", "7")
        assert terminal.rest().endswith("7\r\n")
    assert cli.json("inspect", "inspect", "p-1")["instance"]["status"] == "complete"


def test_the_order_of_members_makes_no_other_params(cli: Cli) -> None:
    cli.ok("run", "shop:order", "--id", "o-1", "--params", '{"sum": 12, "card": {"a": 1, "b": 2}}')
    cli.ok("run", "shop:order", "--id", "o-1", "--params", '{"card": {"b": 2, "a": 1}, "sum": 12}')
    for other in ('{"sum": 12}', '{"sum": 12.0, "card": {"a": 1, "b": 2}}'):
        assert cli.error("run", "shop:order", "--id", "o-1", "--params", other)["code"] == "instance_exists"


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
        (["run", "shop:nothing"], "Its workflows: order, graph, plain, threaded, patient, Slow"),
        (["run", "shop:OrderedDict"], "is not a workflow"),
        (["run", "no_such_module:x"], "There is no module 'no_such_module'"),
        (["worker", "json"], "has no workflows"),
    ],
)
def test_what_cannot_be_loaded_is_a_usage_error(cli: Cli, arguments: list[str], says: str) -> None:
    error = cli.error(*arguments)
    assert error["exit_code"] == 2
    assert says in error["message"]


@pytest.mark.parametrize(
    "params", [b"{", b"", b'"\xff"', b"[" * 990 + b"]" * 990, b"[" * 2000 + b"]" * 2000, b"9" * 5000]
)
def test_params_that_cannot_be_read_are_refused(cli: Cli, tmp_path: Path, params: bytes) -> None:
    (tmp_path / "params.json").write_bytes(params)
    assert cli.error("run", "shop:order", "--params", "@params.json")["code"] == "serialization"
    assert not cli.db.exists()


def test_names_may_be_any_bytes(cli: Cli, tmp_path: Path) -> None:
    def given(*words: bytes) -> tuple[int, bytes, bytes]:
        environment = cli.environment(WORKFLOWS_DB=os.fsdecode(b"x\xff.db"))
        done = subprocess.run(
            [*cli.door, *words], cwd=cli.folder, env=environment, capture_output=True, check=False, timeout=60
        )
        return done.returncode, done.stdout, done.stderr

    assert given(b"list", b"--db", b"y\xff.db")[0] == 20
    assert given(b"run", b"shop:order", b"--id", b"o-1") == (0, b'{"paid":1}\n', b"")
    assert os.fsencode(tmp_path) + b"/x\xff.db" in {os.fsencode(file) for file in tmp_path.iterdir()}
    assert given(b"replay", b"o-1", b"shop:order") == (0, "✓ match  order/o-1\n".encode(), b"")
    assert given(b"run", b"shop:\xff")[0] == 2
    assert given(b"--json", b"replay", b"./\xff.json", b"shop:order")[0] == 2


UNICODE = "東京\u3000駅 👩\u200d👧 \U0001f3f4\U000e0067\U000e007f 10\u00a0€"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_texts_are_printed_as_they_are_whatever_the_locale(cli: Cli, encoding: str) -> None:
    params = json.dumps({"sum": UNICODE}, ensure_ascii=False)
    ran = cli("run", "shop:order", "--params", params, "--id", "o-1", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert (ran.code, json.loads(ran.out)) == (0, {"paid": UNICODE})
    assert cli("replay", "o-1", "shop:order", PYTHONIOENCODING=encoding).out == "✓ match  order/o-1\n"


def test_a_terminal_shows_the_output_of_run_as_that_of_every_command(cli: Cli) -> None:
    params = json.dumps({"sum": UNICODE + "\x1b[2J\u202e"}, ensure_ascii=False)
    with Terminal(cli, "run", "shop:order", "--params", params) as terminal:
        assert terminal.rest().splitlines()[-1] == f'{{"paid":"{UNICODE}\\u001b[2J\\u202e"}}'


def test_what_the_code_prints_is_no_part_of_the_json(cli: Cli) -> None:
    for shape, *command in (["run", "run", "shop:graph", "--id", "g"], ["replayed", "replay", "g", "shop:graph"]):
        answer = cli("--json", *command)
        valid(shape, json.loads(answer.out))
        assert answer.err.splitlines()[0] == "some code"


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


def test_ctrl_c_ends_run_at_once_also_while_a_thread_runs_a_body(cli: Cli, tmp_path: Path) -> None:
    running = begin(cli, "run", "shop:threaded", "--id", "t-1")
    wait_for(tmp_path / "began")
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert err.startswith("\nStopped. The instance is safe: ")
    assert "Traceback" not in err
    assert "ProcessLost" in cli("run", "shop:threaded", "--id", "t-1").err


def test_ctrl_c_is_told_as_json_and_so_is_a_pause(cli: Cli) -> None:
    create(cli, "patient", "p-1")
    cli.ok("pause", "p-1")
    running = begin(cli, "--json", "run", "shop:patient", "--id", "p-1")
    assert running.stderr is not None
    assert valid("note", json.loads(running.stderr.readline()))["note"]["message"].startswith("Paused: ")
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (130, "")
    assert valid("error", json.loads(err))["error"]["code"] == "interrupted"


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
    assert worker.stderr.readline() == f"Serving 6 workflows from {cli.db}.\n"
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


def test_a_worker_tells_in_json_how_it_stands(cli: Cli) -> None:
    worker = begin(cli, "--json", "worker", "shop:Slow", "shop:order")
    assert worker.stdout is not None
    states = [valid("worker", json.loads(worker.stdout.readline()))]
    worker.send_signal(signal.SIGTERM)
    states += [valid("worker", json.loads(line)) for line in worker.communicate(timeout=30)[0].splitlines()]
    assert worker.returncode == 0
    assert states == [{"state": state, "workflows": ["Slow", "order"]} for state in ("serving", "stopping")]


@pytest.mark.parametrize(
    ("modules", "count"),
    [
        (["shop", "shop"], "6 workflows"),
        (["shop:order", "shop"], "6 workflows"),
        (["aliases"], "1 workflow"),
        (["package"], "1 workflow"),
    ],
)
def test_a_worker_serves_each_workflow_once(cli: Cli, tmp_path: Path, modules: list[str], count: str) -> None:
    one = "import workflows\n@workflows.workflow\nasync def job(event, step): ...\n"
    (tmp_path / "aliases.py").write_text(one + "alias = job\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "jobs.py").write_text(one)
    (tmp_path / "package" / "__init__.py").write_text("from .jobs import job\n")
    worker = begin(cli, "worker", *modules)
    assert worker.stderr is not None
    assert worker.stderr.readline() == f"Serving {count} from {cli.db}.\n"
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=30)


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


def debug(cli: Cli, step: str, typed: str, *, id: str = "o-1", code: str = "shop:order") -> Answer:
    return cli("replay", id, code, "--debug", step, stdin=typed)


def test_a_replay_stops_in_the_debugger_at_a_step_with_the_values_it_had(cli: Cli) -> None:
    cli.ok("run", "shop:order", "--id", "o-1")
    answer = debug(cli, "charge", "up\ndown\nlocals()\nnext\nlocals()\ncontinue\n")
    assert answer.code == 0, answer.err
    assert "shop.py" in answer.out
    assert "'step'" in answer.out
    assert answer.out.endswith("✓ match  order/o-1\n")
    assert cli.error("replay", "o-1", "--debug", "charge")["exit_code"] == 2


def test_the_debugger_stops_in_a_plain_def_where_it_gets_the_outcome(cli: Cli) -> None:
    cli.ok("run", "shop:plain", "--id", "p-1")
    answer = debug(cli, "charge", "next\np paid\ncontinue\n", id="p-1", code="shop:plain")
    assert answer.out.startswith("'charge' gave 42\n")
    assert "(Pdb) 42\n" in answer.out
    assert answer.out.endswith("✓ match  plain/p-1\n")


def test_the_debugger_stops_at_what_depends_on_the_step_and_shows_its_value(cli: Cli) -> None:
    cli("run", "shop:graph", "--id", "g-1")
    for step in ("a", "a#1"):
        answer = debug(cli, step, "continue\n", id="g-1", code="shop:graph")
        assert "'a' gave 1; 'b' needed it\n" in answer.out
        assert "-> return await b()" in answer.out
        assert answer.out.endswith("✓ match  graph/g-1\n")


def test_who_leaves_the_debugger_is_told_nothing_more(cli: Cli) -> None:
    cli.ok("run", "shop:order", "--id", "o-1")
    for typed in ("quit\n", ""):
        answer = debug(cli, "charge", typed)
        assert (answer.code, answer.err) == (0, "")
        assert "diverged" not in answer.out


def test_a_step_that_the_debugger_never_meets_is_an_error(cli: Cli) -> None:
    cli.ok("run", "shop:order", "--id", "o-1")
    for step in ("nothing", "charge#2"):
        error = cli.error("replay", "o-1", "shop:order", "--debug", step)
        assert (error["exit_code"], error["message"].rpartition(": ")[2]) == (2, "charge#1.")
