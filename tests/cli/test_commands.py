"""What each command does, and that its JSON has the shape that is documented."""

import json
import re
from pathlib import Path

import pytest
import workflows

from cli_support import NOW, ROOT, SCHEMAS, Cli, valid
from histories import History, complete_order, failed_order, failure, imported


def test_every_reading_command_gives_json_of_its_shape(shop: Cli) -> None:
    assert [info["id"] for info in shop.json_lines("instance", "list")] == ["o-1", "o-2", "o-3"]
    assert shop.json("count", "list", "--count")["count"] == 3
    assert shop.json("inspect", "inspect", "o-1")["output"] == {"order": "o-1", "items": ["A1", "A1"]}
    assert shop.json("inspect", "inspect", "o-2")["error"]["type"] == "shop.CardDeclined"
    assert shop.json("inspect", "inspect", "o-2")["rollback"]["compensated"][0]["name"] == "reserve stock"
    assert shop.json("inspect", "inspect", "o-3")["wake_ups"][0]["source"] == "resume"
    assert len(shop.json_lines("entry", "tail", "o-1")) == 10
    assert len(shop.json_lines("entry", "tail")) == 19
    assert shop.json_lines("replay", "replay", "o-1")[-1]["status"] == "complete"
    assert shop.json("graph", "graph", "o-1")["edges"] == [{"from": 0, "to": 2}, {"from": 1, "to": 2}]
    assert shop.json("diff", "diff", "o-1", "o-2", code=1)["params_equal"] is False
    assert shop.json("diff", "diff", "o-1", "o-1")["equal"] is True
    assert shop.json("stats", "stats")["counts"][0] == {"workflow": "order", "status": "paused", "instances": 1}
    assert shop.json("doctor", "doctor", code=1)["sound"] is True  # one has diverged
    assert shop.json("doctor", "doctor", code=1)["wal_bytes"] == 0
    assert shop.json("history", "export", "o-1")["redacted"] is True


def test_every_shape_is_documented() -> None:
    page = (ROOT / "engine/cli/JSON.md").read_text()
    printed = {name for name, schema in SCHEMAS["$defs"].items() if schema.get("type") == "object"}
    assert {name for name in printed if f"`{name}`" not in page} == set()


def test_every_other_command_gives_json_of_its_shape(shop: Cli, tmp_path: Path) -> None:
    file = tmp_path / "o-1.json"
    exported = shop.json("exported", "export", "o-1", "-o", str(file))
    assert exported == {"file": str(file), "entries": 10, "bytes": file.stat().st_size}
    assert shop.json("completion", "completion", "bash")["script"] == shop.ok("completion", "bash")[:-1]
    assert list(shop.json("version", "--version")) == ["workflows", "SQLite", "Boost.JSON", "CLI11", "fmt"]
    answer = shop("--json", "replay", "o-1", "--step")
    assert (answer.code, json.loads(answer.err)["error"]["code"]) == (2, "invalid_config")


def test_replay_tells_the_status_that_the_engine_had_after_each_entry(tmp_path: Path) -> None:
    history = (
        History("order", "o-1")
        .do("charge", 1.0, 2.0, failures=((0.0, 0.5, failure("OSError", "away")),))
        .sleep("nap", 2.0, 3.0)
        .begin("slow", 3.0)
        .wait("approval", "approved", 3.0, None)
        .entry("step_completed", 4.0, step=2, step_kind="do", name="slow", occurrence=1, attempt=1)
        .pause(5.0)
        .entry("resumed", 6.0)
        .entry("instance_terminated", 7.0)
    )
    history.instance["status"] = "terminated"
    cli = imported(tmp_path, history)
    statuses = [line["status"] for line in cli.json_lines("replay", "replay", "o-1")]
    attempt, nap, slow = ["waiting", "running"], ["waiting", "running"], ["running", "running", "waiting"]
    assert statuses == [*attempt, *nap, *slow, "paused", "waiting", "terminated"]
    shown = cli.ok("replay", "o-1").splitlines()
    assert shown[5] == "       … waiting: sleep nap until 2026-01-01 00:00:03Z"
    assert shown[11] == "       ▶ running: do slow runs; wait_for_event approval for ever"
    assert shown[15] == "       ‖ paused"


def test_a_replay_up_to_a_time_shows_what_was_open_until_then(shop: Cli) -> None:
    shown = shop.ok("replay", "o-3", "--at", "2026-01-01T00:02:11Z")
    assert "… wait      approval       10.0 s" in shown
    assert "sleeps until 2026-01-02 00:02:01Z (in 23h 59m)" in shown


def test_list_filters(own_shop: Cli) -> None:
    def ids(*arguments: str) -> list[str]:
        return [info["id"] for info in own_shop.json_lines("instance", "list", *arguments)]

    assert ids("--status", "errored") == ["o-2"]
    assert ids("--workflow", "nothing") == []
    assert ids("--created-after", "2026-01-01T00:00:30Z") == ["o-2", "o-3"]
    assert ids("--created-after", "23h 58m 30s") == ["o-3"]
    assert ids("--id-prefix", "o-", "--limit", "2") == ["o-1", "o-2"]
    assert own_shop.ok("list", "--workflow", "nothing") == "No instances.\n"


def test_an_instance_is_steered(own_shop: Cli) -> None:
    cli = own_shop
    assert cli.json("instance", "resume", "o-3")["status"] == "queued"
    assert cli.json("instance", "pause", "order/o-3")["status"] == "paused"
    assert (
        cli.json("send_event", "send-event", "o-3", "approved", '{"by": "eve"}', "--event-id", "e1")["event_id"] == "e1"
    )
    cli.ok("send-event", "o-3", "approved", '{"by": "eve"}', "--event-id", "e1")
    events = cli.json("inspect", "inspect", "o-3")["events"]
    assert [(event["type"], event["payload"]) for event in events] == [
        ("note", "for later"),
        ("approved", {"by": "eve"}),
    ]
    assert cli.json("instance", "terminate", "o-3")["status"] == "terminated"
    restarted = cli.json("restart", "restart", "o-1", "--from-step", "charge")
    assert restarted["instance"]["generation"] == 2
    names = [step["name"] for step in restarted["kept"]]
    assert names[:2] == ["reserve stock", "card token"]
    assert "charge" not in names
    assert restarted["kept"][1]["result"] == "[REDACTED]"
    assert cli.json("inspect", "inspect", "o-1@1")["instance"]["status"] == "complete"
    assert cli.json("inspect", "inspect", "o-1")["instance"]["status"] == "queued"
    assert cli.json("delete", "delete", "o-1")["deleted"] is True
    assert cli.error("inspect", "o-1@1")["code"] == "instance_not_found"
    assert cli.json("gc", "gc")["removed"] > 0
    assert cli.json("doctor", "doctor")["sound"] is True


def test_steering_says_how_the_instance_stands(own_shop: Cli) -> None:
    assert own_shop.ok("resume", "o-3") == "○ queued  order/o-3\n"
    assert own_shop.ok("send-event", "o-3", "approved") == 'Sent "approved" to order/o-3.\n'
    assert own_shop.ok("restart", "o-1") == "○ queued  order/o-1@2\n"
    assert own_shop.ok("delete", "o-1") == "Deleted order/o-1.\n"


def test_payloads_come_from_files_too(own_shop: Cli, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text('["a", "b"]')
    own_shop.ok("send-event", "o-3", "approved", f"@{tmp_path}/event.json")
    own_shop.ok("send-event", "o-3", "approved", "[1, 2]")
    events = own_shop.json("inspect", "inspect", "o-3")["events"]
    assert [event["payload"] for event in events[1:]] == [["a", "b"], [1, 2]]


ERRORS = [
    (["inspect", "nobody"], "instance_not_found", 3),
    (["inspect", "other/o-1"], "instance_not_found", 3),
    (["inspect", "o-1@7"], "instance_not_found", 3),
    (["inspect", "o-1@x"], "invalid_name", 2),
    (["inspect", "a b"], "invalid_name", 2),
    (["pause", "o-1"], "invalid_transition", 5),
    (["pause", "o-3@1"], "invalid_name", 2),
    (["send-event", "o-1", "paid"], "instance_finished", 5),
    (["send-event", "o-3", "paid", "{"], "serialization", 11),
    (["send-event", "o-3", "no type"], "invalid_name", 2),
    (["restart", "o-1", "--from-step", "nothing"], "invalid_config", 2),
    (["list", "--status", "asleep"], "invalid_config", 2),
    (["list", "--created-after", "yesterday"], "invalid_duration", 2),
    (["replay", "o-1", "--until", "nothing"], "invalid_config", 2),
    (["replay", "o-1", "a:b", "c"], "invalid_config", 2),
    (["import", "no-such-file.json"], "invalid_config", 2),
    (["list", "--db", "/no/such/file.db"], "store", 20),
    (["nonsense"], "usage", 2),
    ([], "usage", 2),
    (["inspect"], "usage", 2),
    (["inspect", "--nonsense", "o-1"], "usage", 2),
    (["list", "--limit", "-1"], "usage", 2),
    (["graph", "o-1", "--format", "png"], "usage", 2),
    (["export", "o-1", "--redact", "--sensitive"], "usage", 2),
    (["replay", "o-1", "shop:Order", "--until", "charge"], "invalid_config", 2),
    (["replay", "o-1", "shop:Order", "--step"], "invalid_config", 2),
    (["replay", "o-1", "shop:Order", "--status", "complete"], "usage", 2),
    (["replay", "o-1", "shop:Order", "--workflow", "order"], "usage", 2),
    (["replay", "o-1", "--workflow", "order"], "usage", 2),
    (["replay", "--all", "shop:Order", "--at", "1 hour"], "invalid_config", 2),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "exit_code"), ERRORS, ids=lambda value: str(value)[:40])
def test_errors_have_their_code_and_exit_code(shop: Cli, arguments: list[str], code: str, exit_code: int) -> None:
    error = shop.error(*arguments)
    assert (error["code"], error["exit_code"]) == (code, exit_code)


@pytest.mark.parametrize(
    "arguments",
    [
        ["restart", "o-1", "--from-step"],
        ["list", "--status"],
        ["list", "--workflow"],
        ["list", "--created-after"],
        ["tail"],
        ["run", "shop:Order", "--id"],
        ["run", "shop:Order", "--params"],
        ["replay", "o-1", "--until"],
        ["replay", "o-1", "--at"],
        ["replay", "o-1", "shop:Order", "--debug"],
        ["replay", "--all", "shop:Order", "--workflow"],
        ["replay", "--all", "shop:Order", "--status"],
        ["export", "o-1", "-o"],
        ["send-event", "o-3", "paid", "--event-id"],
    ],
    ids=" ".join,
)
def test_s46_what_is_given_as_empty_is_not_taken_for_left_out(shop: Cli, arguments: list[str]) -> None:
    assert '"" is not accepted. Give a value, or leave it out' in shop.error(*arguments, "")["message"]
    if arguments[-1].startswith("--"):
        *others, option = arguments
        assert '"" is not accepted' in shop.error(*others, f"{option}=", "--db", str(shop.db))["message"]


def test_what_looks_like_an_option_is_told_as_one(shop: Cli) -> None:
    assert shop.error("inspect", "-dash")["message"].startswith('There is no option "-dash"\n')


def test_an_id_that_was_meant_as_a_file_is_told_what_a_file_is(shop: Cli) -> None:
    for command in (["diff", "old.hist", "o-1"], ["replay", "old.hist"]):
        assert "or begins with . or /, such as ./old.hist" in shop.error(*command)["message"]


def test_a_time_that_is_too_long_ago_is_told_with_the_limit(shop: Cli) -> None:
    assert "at most 10 years" in shop.error("list", "--created-after", "11 years")["message"]


def test_a_graph_of_no_steps_says_so(tmp_path: Path) -> None:
    assert imported(tmp_path, History("order", "o-1").complete(1, None)).ok("graph", "o-1") == "No steps.\n"


def test_a_number_that_is_none_is_told_with_what_is_accepted(shop: Cli) -> None:
    for given in ("x", "-1", "1.5"):
        message = shop.error("list", f"--limit={given}")["message"]
        assert message.startswith(f'--limit: "{given}" is not accepted. Accepted: a number from 0\n')


def test_without_a_database_the_error_says_how_to_name_one(shop: Cli) -> None:
    answer = shop("list", WORKFLOWS_DB="")
    assert (answer.code, answer.err) == (2, "workflows: No database was named. Give --db PATH, or set WORKFLOWS_DB.\n")


def test_an_id_of_several_workflows_lists_the_candidates(tmp_path: Path) -> None:
    cli = imported(tmp_path, complete_order("same"), History("invoice", "same").complete(1, None))
    assert cli.error("inspect", "same")["message"].endswith("Name one of them:\n  invoice/same\n  order/same")
    assert cli.json("inspect", "inspect", "invoice/same")["output"] is None


def test_options_that_all_share_stand_anywhere(shop: Cli) -> None:
    assert shop.ok("--db", str(shop.db), "inspect", "o-1") == shop.ok("inspect", "o-1", "--db", str(shop.db))
    assert shop("--json", "inspect", "o-1") == shop("inspect", "--json", "o-1")


def test_every_command_has_help_with_an_example(shop: Cli) -> None:
    commands = json.loads(shop("--json", "nonsense").err)["error"]["message"]
    names = commands.split("Accepted: ")[1].split(".")[0].split(", ")
    assert len(names) == 20
    for name in names:
        assert f"Example: workflows {name}" in shop.ok(name, "--help")


def test_the_version_names_the_libraries(shop: Cli) -> None:
    libraries = [line.split()[0] for line in shop.ok("--version").splitlines()]
    assert libraries == ["workflows", "SQLite", "Boost.JSON", "CLI11", "fmt"]


def test_an_exported_history_comes_back_the_same(shop: Cli, tmp_path: Path) -> None:
    file = tmp_path / "o-1.json"
    answer = shop("export", "o-1", "--sensitive", "-o", str(file))
    assert answer.out == ""
    assert answer.err.startswith(f"Wrote {file} with 10 entries")
    other = Cli(tmp_path / "other.db")
    assert other.json("instance", "import", str(file))["status"] == "complete"
    exported = json.loads(other.ok("export", "o-1", "--sensitive"))
    original = json.loads(file.read_text())
    for document in (exported, original):
        for entry in document["entries"]:
            del entry["cursor"]
    assert exported == original


def test_s17_an_export_is_redacted_unless_it_is_asked_for(shop: Cli) -> None:
    assert "tok_secret" not in shop.ok("export", "o-1")
    assert "tok_secret" in shop.ok("export", "o-1", "--sensitive")
    redacted = valid("history", json.loads(shop.ok("export", "o-1", "--redact")))
    assert redacted["params"] == "[REDACTED]"
    assert "A1" not in json.dumps(redacted)


def test_s17_no_command_shows_a_sensitive_result(shop: Cli, tmp_path: Path) -> None:
    (tmp_path / "o-1.json").write_text(complete_order().document())
    for command in ["inspect", "tail", "replay", "graph", "export"]:
        assert "tok_secret" not in shop.ok(command, "o-1") + shop("--json", command, "o-1").out
    for command in ["replay", "graph"]:
        assert "tok_secret" not in shop.ok(command, str(tmp_path / "o-1.json"))
    assert "tok_secret" not in shop("diff", "o-1", str(tmp_path / "o-1.json")).out + shop.ok("tail")


def test_s17_a_tail_that_begins_in_the_middle_knows_what_is_sensitive(tmp_path: Path) -> None:
    history = History("order", "o-1").begin("secret", 0)
    history.entries[0]["detail"] = {"config": {"sensitive": "output"}}
    history.begin("known", 0)
    for second in range(1, 20):
        for step, details in ((0, "tok_secret"), (1, "halfway")):
            history.entry("heartbeat", second, step=step, attempt=1, value=details)
    shown = imported(tmp_path, history.pause(30)).ok("tail")
    assert "tok_secret" not in shown
    assert 'do secret  = "[REDACTED]"' in shown
    assert 'do known  = "halfway"' in shown


def test_an_unfinished_history_is_imported_paused(tmp_path: Path) -> None:
    history = History("order", "o-9").do("one", 0, 1, 1).sleep("nap", 1, 500, over=False)
    history.instance["status"] = "waiting"
    cli = imported(tmp_path, history)
    seen = cli.json("inspect", "inspect", "o-9")
    assert seen["instance"]["status"] == "paused"
    assert seen["instance"]["updated"] == NOW
    assert seen["reason"].startswith("imported: ")
    assert cli.json("instance", "resume", "o-9")["status"] == "queued"


def test_a_history_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    cli = imported(tmp_path, failed_order())

    def refusal(history: History) -> str:
        file = tmp_path / "bad.json"
        file.write_text(history.document())
        error = cli.error("import", str(file))
        assert (error["code"], error["exit_code"]) in {("serialization", 11), ("instance_exists", 4)}
        return str(error["message"])

    assert "already" in refusal(failed_order())
    wrong_status = complete_order("x")
    wrong_status.instance["status"] = "errored"
    assert "its status is errored" in refusal(wrong_status)
    assert "entries follow" in refusal(complete_order("x").do("late", 9, 9, 1))
    rolling = History("order", "x").do("one", 0, 1, 1).entry("rollback_started", 2)
    rolling.instance["status"] = "rollingBack"
    assert "rolling back" in refusal(rolling)
    hidden = History("order", "x").do("one", 0, 1, "[REDACTED]")
    hidden.redacted = True
    assert "--sensitive" in refusal(hidden)
    assert "marked as taken" in refusal(History("order", "x").event("t", 1, 0, taken=True).complete(1, None))
    assert "event 7" in refusal(History("order", "x").wait("w", "t", 0, None, taken=7).complete(1, None))
    assert cli.json("count", "list", "--count")["count"] == 1
    assert Cli(tmp_path / "new.db")("import", "-", stdin=hidden.document()).code == 11
    assert not (tmp_path / "new.db").exists()
    assert cli.json("doctor", "doctor")["sound"] is True


def test_the_columns_of_a_long_list_stand_where_they_are_to_the_end(tmp_path: Path) -> None:
    with workflows.Client(tmp_path / "long.db") as client:
        for number in range(1001):
            client.create("order", id=f"{'long-' * (number // 1000)}{number}")
    lines = Cli(tmp_path / "long.db", columns=None).ok("list").splitlines()
    assert len(lines) == 1002
    assert "long-1000" in lines[-1]
    created = lines[0].index("CREATED")
    assert {line[created : created + 2] for line in lines[1:]} == {"20"}


def test_removed_rows_are_counted_once(tmp_path: Path) -> None:
    cli = imported(tmp_path, History("order", "o-1").complete(1, None), History("order", "o-2").complete(1, None))
    cli.ok("delete", "o-1")
    assert cli.ok("gc") == "Removed 2 rows.\n"  # an instance, and the entry of its history


def test_the_schemas_list_every_code_and_kind() -> None:
    codes = re.findall(r"X\((\w+), \w+, \d+\)", (ROOT / "include/workflows/error.h").read_text())
    assert SCHEMAS["$defs"]["error_code"]["enum"] == ["usage", *codes, "unexpected", "interrupted"]
    kinds = re.findall(r"\{EntryKind::\w+, \"(\w+)\"\}", (ROOT / "engine/values/journal.cpp").read_text())
    assert SCHEMAS["$defs"]["entry_kind"]["enum"] == kinds
