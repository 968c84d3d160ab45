"""Files and arguments that nobody should give: an error of the table, never worse, and nothing is changed."""

import json
import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli_support import Cli
from histories import History, complete_order, hostile, imported

READING = [
    ["list"],
    ["inspect", "o-1"],
    ["stats"],
    ["doctor"],
    ["tail", "o-1"],
    ["export", "o-1"],
    ["graph", "o-1"],
    ["replay", "o-1"],
]

FUZZING = settings(deadline=None, derandomize=True, database=None)  # the same examples in every run


def state_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t(x)")
    database.close()


BAD_FILES: dict[str, Any] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not a database\n" * 100),
    "short": lambda path: path.write_bytes(b"SQLite format 3\0" + b"\0" * 20),
    "foreign": foreign,
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_file_that_is_not_ours_is_refused_and_not_touched(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "bad.db"
    BAD_FILES[kind](file)
    before = state_of(tmp_path) if file.is_file() else None
    for arguments in READING:
        error = Cli(file).error(*arguments)
        assert error["exit_code"] in {20, 22, 23}
        assert str(file) in error["message"]
    assert before is None or state_of(tmp_path) == before


@pytest.mark.parametrize("arguments", [["list"], ["pause", "o-1"], ["send-event", "o-1", "paid"], ["gc"]])
def test_an_empty_file_is_told_from_an_old_one_and_stays_empty(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "empty.db").touch()
    assert "is empty" in Cli(tmp_path / "empty.db").error(*arguments)["message"]
    assert [(file.name, file.stat().st_size) for file in tmp_path.iterdir()] == [("empty.db", 0)]


def test_a_name_that_is_missing_fails_every_command_alike(own_shop: Cli) -> None:
    with sqlite3.connect(own_shop.db) as database:
        database.execute("DELETE FROM workflows")
    database.close()
    for command in ("list", "stats"):
        assert own_shop.error(command)["code"] == "store_corrupt"


@pytest.mark.parametrize("arguments", [["pause", "o-1"], ["send-event", "o-1", "paid"], ["gc"], ["delete", "o-1"]])
def test_an_empty_file_is_made_no_database_by_what_makes_no_instance(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "empty.db").touch()
    before = state_of(tmp_path)
    assert "is empty" in Cli(tmp_path / "empty.db").error(*arguments)["message"]
    assert state_of(tmp_path) == before


def test_a_file_of_a_newer_version_is_refused(own_shop: Cli) -> None:
    with sqlite3.connect(own_shop.db) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert own_shop.error("list")["exit_code"] == 23


def test_a_damaged_file_is_an_error_or_a_finding(own_shop: Cli) -> None:
    good = own_shop.db.read_bytes()
    for page in range(1, len(good) // 4096):
        own_shop.db.write_bytes(good[: page * 4096] + b"\xa5" * 4096 + good[(page + 1) * 4096 :])
        for arguments in READING:
            assert own_shop(*arguments).code in {0, 1, 3, 20, 22}
        assert own_shop("doctor").code != 0
    own_shop.db.write_bytes(good[:-4096])
    assert own_shop.error("list")["code"] == "store_corrupt"


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("UPDATE journal SET prev = 3 WHERE seq = 12", "broken_chain"),
        ("UPDATE journal SET prev = 3 WHERE seq = 6", "forked_chain"),
        ("UPDATE instances SET head = 3 WHERE id = 'o-2'", "lost_head"),
        ("UPDATE instances SET head = 9 WHERE id = 'o-1'", "stale_head"),
        ("DELETE FROM instances WHERE id = 'o-2'", "orphan_entries"),
        ("UPDATE inbox SET instance = 99", "orphan_events"),
        ("INSERT INTO blobs(data) VALUES('x')", "orphan_values"),
        ("UPDATE instances SET params = 77 WHERE id = 'o-2'", "lost_values"),
        ("UPDATE journal SET event = 1, kind = 8 WHERE seq = 12", "event_taken_twice"),
        ("UPDATE inbox SET taken = 0", "event_not_marked"),
        ("UPDATE inbox SET taken = 1", "event_without_delivery"),
        ("UPDATE instances SET owner = 5 WHERE id = 'o-3'", "unknown_owner"),
        ("UPDATE instances SET owner = 5 WHERE id = 'o-2'", "finished_with_owner"),
        ("UPDATE instances SET status = 1 WHERE id = 'o-3'", "running_without_owner"),
        ("UPDATE instances SET status = 2, wake = 0 WHERE id = 'o-3'", None),  # it sleeps
        ("UPDATE instances SET status = 2, head = 15 WHERE id = 'o-3'", "waits_for_nothing"),
        ("DROP INDEX inbox_untaken", "schema"),
        ("ALTER TABLE inbox DROP COLUMN payload", "schema"),
        ("CREATE TRIGGER t AFTER INSERT ON journal BEGIN DELETE FROM journal; END", "schema"),
        ("CREATE INDEX i ON journal(step)", "schema"),
        ("CREATE TABLE notes(text)", None),  # somebody's own
        # Chains that lead in a circle, of an instance whose waits are looked for.
        (
            "UPDATE instances SET status = 2 WHERE id = 'o-3'; UPDATE journal SET prev = seq WHERE seq = 16",
            "broken_chain",
        ),
        (
            "UPDATE instances SET status = 2 WHERE id = 'o-3'; UPDATE journal SET prev = 18 WHERE seq = 16",
            "broken_chain",
        ),
        ("DELETE FROM workflows", "lost_workflow"),
        ("UPDATE workflows SET name = 'or' || char(27) || 'der'", "bad_name"),
        ("UPDATE instances SET id = 'o' || char(27) WHERE id = 'o-2'", "bad_name"),
        ("UPDATE instances SET generation = 0 WHERE id = 'o-2'", "bad_generation"),
        ("UPDATE instances SET status = 99 WHERE id = 'o-2'", "unknown_status"),
        ("UPDATE instances SET status = -1 WHERE id = 'o-2'", "unknown_status"),
        ("UPDATE journal SET kind = 99 WHERE seq = 5", "unknown_kind"),
        ("UPDATE journal SET step_kind = 99 WHERE seq = 5", "unknown_kind"),
        ("UPDATE journal SET value = '{bad' WHERE seq = 1", "bad_json"),
        ("UPDATE journal SET detail = '{bad' WHERE seq = 1", "bad_json"),
        ("UPDATE instances SET params = '{bad' WHERE id = 'o-2'", "bad_json"),
        ("UPDATE inbox SET payload = '{bad'", "bad_json"),
        ("INSERT INTO notices(owner, instance, kind) VALUES(99, 99, 1)", "orphan_notices"),
        ("UPDATE instances SET status = 2, head = 17 WHERE id = 'o-3'", "waits_without_timer"),  # of the sleep
    ],
)
def test_the_doctor_finds_what_is_wrong(own_shop: Cli, damage: str, check: str | None) -> None:
    with sqlite3.connect(own_shop.db) as database:
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.executescript(damage)
    database.close()
    report = own_shop.json("doctor", "doctor", code=1)  # one that diverged is stuck in any case
    assert report["sound"] is (check is None)
    problems = {finding["check"] for finding in report["findings"] if finding["severity"] == "problem"}
    assert (check in problems) if check else not problems
    assert all(finding["advice"] for finding in report["findings"])


@pytest.mark.parametrize(
    "word", ["--help-me", "-x", "--", "-", "a/b/c", "o-1@", "@1", "/", "", "o-1\n", "\x1b[2J", "名前", "a" * 5000]
)
def test_ids_that_look_like_something_else_are_refused(shop: Cli, word: str) -> None:
    for arguments in (["inspect", word], ["inspect", "--", word]):
        answer = shop(*arguments)
        assert answer.code == 2, answer
        assert "\x1b" not in answer.err


@settings(FUZZING, max_examples=80)
@given(
    st.lists(
        st.sampled_from(
            [
                "inspect",
                "list",
                "tail",
                "replay",
                "diff",
                "o-1",
                "o-2",
                "--json",
                "--until",
                "--at",
                "--status",
                "--limit",
                "--step",
                "-1",
                "9" * 30,
                "charge",
                "[",
                "[]",
                "{}",
                "%%",
                "--count",
                "=",
                "--db=",
                "'",
                '"',
                "@",
                "\\",
            ]
        ),
        max_size=6,
    )
)
def test_no_arguments_do_harm(shop: Cli, words: list[str]) -> None:
    assert shop(*words, stdin="").code in {0, 1, 2, 3, 5, 20}


def test_a_huge_value_is_cut_with_a_hint_and_whole_in_json(tmp_path: Path) -> None:
    cli = imported(
        tmp_path, History("order", "o-1", "p" * 3_000_000).do("big", 0, 1, "x" * 2_000_000).complete(2, "y" * 2_000_000)
    )
    shown = cli.ok("inspect", "o-1")
    assert len(shown) < 3000
    assert shown.count("--json shows all") == 3
    assert len(cli.json("inspect", "inspect", "o-1")["output"]) == 2_000_000


def test_hostile_texts_stay_what_they_are_in_json(tmp_path: Path) -> None:
    cli = imported(tmp_path, hostile())
    assert cli.json("inspect", "inspect", "evil")["params"]["text"] == hostile().params["text"]
    assert "\x1b" not in cli("--json", "inspect", "evil").out


GOOD = complete_order().document()


@settings(FUZZING, max_examples=60)
@given(st.integers(0, len(GOOD) - 1), st.sampled_from(['"', "{", "}", "[", "0", "-", "\\", "", "null", "1e999", "é"]))
def test_no_broken_document_does_harm(tmp_path_factory: pytest.TempPathFactory, at: int, what: str) -> None:
    cli = Cli(tmp_path_factory.mktemp("fuzz") / "a.db")
    answer = cli("import", "-", stdin=GOOD[:at] + what + GOOD[at + 1 :])
    assert answer.code in {0, 2, 11, 23}, answer
    if answer.code == 0:
        assert json.loads(cli.ok("doctor", "--json"))["sound"]


def test_output_that_does_not_arrive_is_an_error(shop: Cli) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*shop.door, "export", "o-1"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=shop.environment(),
            check=False,
        )
    assert done.returncode == 20
    assert "No space left on device" in done.stderr


def test_json_that_was_given_on_many_lines_stays_on_one(own_shop: Cli, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text('{\n\t"by":\r\n "eve"\n}\n')
    own_shop.ok("send-event", "o-3", "approved", f"@{tmp_path}/event.json")
    (line,) = own_shop("--json", "inspect", "o-3").out.splitlines()
    assert json.loads(line)["events"][-1]["payload"] == {"by": "eve"}


def test_an_export_is_one_line_whatever_its_values_look_like(own_shop: Cli) -> None:
    own_shop.ok("send-event", "o-3", "approved", '{\n "by":\r\n "eve"\n}')
    assert own_shop.ok("export", "o-3").count("\n") == 1


def test_white_space_between_tokens_is_no_content(own_shop: Cli, tmp_path: Path) -> None:
    own_shop.ok("send-event", "o-3", "approved", '{\n "by":\t[1, "a  b"]\n}')
    assert "approved  " in (shown := own_shop.ok("inspect", "o-3"))
    assert '{"by":[1,"a  b"]}' in shown
    exported = own_shop.ok("export", "o-1", "--sensitive")
    (tmp_path / "as-is.json").write_text(exported)
    (tmp_path / "pretty.json").write_text(json.dumps(json.loads(exported), indent=2))
    assert "They are the same" in own_shop.ok("diff", str(tmp_path / "as-is.json"), str(tmp_path / "pretty.json"))


def test_a_generation_that_none_could_follow_is_refused(tmp_path: Path) -> None:
    history = complete_order()
    history.instance["generation"] = 2**32 - 1
    (tmp_path / "last.json").write_text(history.document())
    assert "generation" in Cli(tmp_path / "new.db").error("import", str(tmp_path / "last.json"))["message"]


def test_a_history_is_not_written_over_the_database(own_shop: Cli) -> None:
    before = own_shop.db.read_bytes()
    for name in (str(own_shop.db), f"{own_shop.db.parent}/../{own_shop.db.parent.name}/shop.db", f"{own_shop.db}-wal"):
        assert own_shop.error("export", "o-1", "-o", name)["code"] == "invalid_config"
    assert own_shop.db.read_bytes() == before
