# pyright: basic
"""Values: recorded as JSON, restored as what they were (python-api "Values"; S15)."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import string
import sys
import types
import uuid
import zoneinfo
from typing import Any

import pytest
import workflows
from hypothesis import example, given, settings
from hypothesis import strategies as st
from workflows import _values

import shapes

json_serializer = workflows.JsonSerializer()


def round_trip(value: Any) -> Any:
    return json_serializer.loads(json_serializer.dumps(value))


def same(left: Any, right: Any) -> bool:
    """Equal and of the same types all the way down; NaN is the same as NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return bool(left == right) or (math.isnan(left) and math.isnan(right))
    if isinstance(left, decimal.Decimal):
        return bool(left.as_tuple() == right.as_tuple())
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    if isinstance(left, dict):
        return len(left) == len(right) and all(
            same(a, b) and same(x, y) for (a, x), (b, y) in zip(left.items(), right.items(), strict=True)
        )
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if dataclasses.is_dataclass(left):
        return all(same(getattr(left, f.name), getattr(right, f.name)) for f in dataclasses.fields(left))
    return bool(left == right)


any_text = st.text(st.characters(codec="utf-8")) | st.text(st.characters(categories=["Cs", "L", "C"]))
offsets = st.integers(-86_399, 86_399).map(lambda seconds: dt.timezone(dt.timedelta(seconds=seconds)))
zones: st.SearchStrategy[dt.tzinfo | None] = st.one_of(
    st.none(),
    st.just(dt.UTC),
    offsets,
    st.sampled_from(["Europe/Berlin", "America/New_York"]).map(zoneinfo.ZoneInfo),
)
scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    any_text,
    st.binary(),
    st.binary().map(bytearray),
    st.complex_numbers(),
    st.decimals(),
    st.uuids(),
    st.datetimes(timezones=zones),
    st.dates(),
    st.times(timezones=zones.filter(lambda zone: not isinstance(zone, zoneinfo.ZoneInfo))),
    st.timedeltas(),
    st.sampled_from([*shapes.Colour, *shapes.Level, *shapes.Word, shapes.Right.READ | shapes.Right.WRITE]),
    any_text.filter(lambda text: "\0" not in text).map(pathlib.PurePosixPath),
    st.text(string.ascii_letters).map(pathlib.PureWindowsPath),
    st.text(string.ascii_letters).map(pathlib.Path),
)


def is_hashable(value: object) -> bool:
    """And equal to itself, which a NaN is not."""
    if isinstance(value, decimal.Decimal):
        return not value.is_nan()
    return not isinstance(value, bytearray) and value == value


hashables = scalars.filter(is_hashable)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(any_text | st.just("$"), inner, max_size=4),
        st.dictionaries(hashables, inner, max_size=4),
        st.sets(hashables, max_size=4),
        st.frozensets(hashables, max_size=4),
        st.builds(shapes.Point, inner, inner),
        st.builds(shapes.Item, inner, inner, st.lists(inner, max_size=2)),
        st.builds(shapes.Frozen, inner),
    ),
    max_leaves=12,
)


@given(values)
@settings(max_examples=400)
@example({"$": "datetime", "v": "2026-01-01"})
@example({"$": 1})
@example(10**4400)
@example(-(2**20000))
@example({1: {"a": ({None},)}})
@example(dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")))
@example(["\ud800", {"\udfff": 1}])
def test_every_value_comes_back_as_what_it_was(value: Any) -> None:
    assert same(round_trip(value), value)


@given(values)
def test_what_is_recorded_is_json_in_utf8(value: Any) -> None:
    json.loads(json_serializer.dumps(value).decode("utf-8"))


@given(st.recursive(st.none() | st.booleans() | st.integers(), lambda i: st.lists(i) | st.dictionaries(st.text(), i)))
def test_json_values_are_recorded_as_the_json_that_everybody_reads(value: Any) -> None:
    if b'"$"' not in json_serializer.dumps(value):
        assert json.loads(json_serializer.dumps(value)) == value


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda key: key != "$"), inner),
)


@given(plain)
@example({'\x00\x1f\x7f"\\/\b\f\n\r\t': [2**63, -(2**63), 10**300, 1e16, 5.0, -0.0, 1e-7, "\U0001f600 é"]})
def test_plain_values_are_recorded_to_the_byte_as_pythons_json_writes_them(value: Any) -> None:
    assert json_serializer.dumps(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@given(plain, st.booleans(), st.sampled_from([None, 1]))
def test_json_that_others_wrote_is_read_as_pythons_json_reads_it(value: Any, escaped: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=escaped, indent=indent)
    assert same(json_serializer.loads(text.encode()), json.loads(text))


@given(plain, st.data())
def test_text_that_is_not_json_is_refused_wherever_it_breaks(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value)
    broken = text[: data.draw(st.integers(0, len(text)))] + data.draw(
        st.sampled_from(["", ",", "}", "]", '"', "0", "-", "x"])
    )
    try:
        expected = json.loads(broken)
    except ValueError:
        with pytest.raises(workflows.SerializationError):
            json_serializer.loads(broken.encode())
    else:
        assert same(json_serializer.loads(broken.encode()), expected)


def test_text_is_readable_on_disk() -> None:
    assert json_serializer.dumps({"name": "Zoë 🧂"}) == '{"name":"Zoë 🧂"}'.encode()
    assert json_serializer.dumps(dt.date(2026, 5, 1)) == b'{"$":"date","v":"2026-05-01"}'


def test_sets_are_recorded_in_one_order_whatever_their_own() -> None:
    words = [f"word {n}" for n in range(50)]
    assert json_serializer.dumps(set(words)) == json_serializer.dumps({*words[25:], *words[:25]})


def test_a_time_keeps_its_zone_by_name_and_its_fold() -> None:
    berlin = dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    restored = round_trip(berlin)
    assert str(restored.tzinfo) == "Europe/Berlin"
    assert (restored.fold, restored.utcoffset()) == (1, dt.timedelta(hours=1))


def test_a_zone_that_this_machine_does_not_know_leaves_the_offset() -> None:
    text = b'{"$":"datetime","zone":"Moon/Tranquility","v":"2026-05-01T12:00:00+02:00"}'
    assert json_serializer.loads(text) == dt.datetime(2026, 5, 1, 10, tzinfo=dt.UTC)


def test_pydantic_models_come_back_with_aliases_and_extras() -> None:
    model = shapes.Model(name="a", extraName="b")
    assert round_trip(model) == model
    assert round_trip(model).model_fields_set == {"name", "extra_name"}
    extended = shapes.OpenModel.model_validate({"name": "a", "more": [1, {"deep": None}]})
    assert round_trip(extended) == extended


def test_a_dataclass_that_has_gained_a_field_gets_its_default() -> None:
    text = b'{"$":"dataclass","type":"shapes:Item","v":{"name":"old","gone":1}}'
    assert json_serializer.loads(text) == shapes.Item("old", 1, [])


def test_a_class_that_has_moved_is_found_by_the_type_hint() -> None:
    text = json_serializer.dumps([shapes.Item("a")]).replace(b"shapes:Item", b"old_place:Item")
    with pytest.raises(workflows.SerializationError, match=r"old_place:Item.*return annotation"):
        json_serializer.loads(text)
    codec = _values.Codec()
    assert codec.decode(text, lambda: list[shapes.Item] | None) == [shapes.Item("a")]
    renamed = text.replace(b"old_place:Item", b"old_place:FormerName")
    assert codec.decode(renamed, lambda: list[shapes.Item]) == [shapes.Item("a")]


def test_who_only_looks_sees_the_json_of_a_class_that_is_gone() -> None:
    text = b'{"order":{"$":"dataclass","type":"gone:Order","v":{"id":1}}}'
    assert _values.Codec().decode(text, lenient=True) == {
        "order": {"$": "dataclass", "type": "gone:Order", "v": {"id": 1}}
    }


class Local:
    pass


def local_enum() -> Any:
    hidden: Any = enum.Enum("Hidden", "A")  # type: ignore[misc]
    return hidden.A


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"a": [0, {"b": shapes.Unrecordable()}]}, r"result\['a'\]\[1\]\['b'\] is of type shapes.Unrecordable"),
        (shapes.Item(name=(lambda: None,)), r"result\.name\[0\] is of type builtins.function"),
        (shapes.Unrecordable, r"result is of type builtins.type"),
        (collections.OrderedDict(a=1), r"more than a dict.*convert it with dict\(...\)"),
        (collections.defaultdict(int), r"collections.defaultdict"),
        ({1, shapes.Unrecordable}, r"cannot be recorded"),
        ({shapes.Unrecordable: 1}, r"key"),
        (local_enum(), r"cannot be found again"),
        (iter([]), r"list_iterator"),
        (types.SimpleNamespace(a=1), r"SimpleNamespace"),
        (memoryview(b""), r"memoryview"),
    ],
)
def test_s15_what_cannot_be_recorded_is_named_with_path_and_type(value: Any, named: str) -> None:
    with pytest.raises(workflows.SerializationError, match=named):
        _values.encode(value, "result")


def test_s15_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append({"again": loop})
    with pytest.raises(workflows.SerializationError, match="contains itself or is nested too deeply"):
        _values.encode(loop, "result")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b'{"$":"uuid","v":"nonsense"}',
        b'{"$":"enum","type":"shapes:Colour","v":"GREEN"}',
        b'{"$":"timedelta","v":null}',
        b'{"$":"path","kind":"Bath","v":"x"}',
        b'{"$":"namedtuple","type":"shapes:Point","v":[1]}',
        b'{"$":"dataclass","v":{}}',
        b'{"$":"set","v":[[1]]}',
    ],
)
def test_what_cannot_be_read_is_a_serialization_error(data: bytes) -> None:
    with pytest.raises(workflows.SerializationError):
        json_serializer.loads(data)


@pytest.mark.parametrize(
    "reference",
    ["os:system", "shapes:Unrecordable", "subprocess:Popen", "shapes:Colour", "builtins:dict", "no.such:Thing"],
)
@pytest.mark.parametrize("tag", ["dataclass", "namedtuple", "pydantic", "flag"])
def test_only_classes_of_the_right_kind_are_made(tag: str, reference: str) -> None:
    text = json.dumps({"$": tag, "type": reference, "v": {"args": "true"}, "set": []}).encode()
    with pytest.raises(workflows.SerializationError, match="cannot be found"):
        json_serializer.loads(text)


def test_a_foreign_object_with_a_dollar_key_is_left_alone() -> None:
    assert json_serializer.loads(b'{"$":"price","amount":3}') == {"$": "price", "amount": 3}
    assert json_serializer.loads(b'{"$":"set"}') == {"$": "set"}


# ---- serializers


class Upside:
    """Stands for encryption."""

    name = "upside-down"

    def dumps(self, value: object) -> bytes:
        return json_serializer.dumps(value)[::-1]

    def loads(self, data: bytes) -> Any:
        return json_serializer.loads(data[::-1])


def test_a_serializer_writes_json_that_only_it_reads() -> None:
    codec = _values.Codec(Upside())
    data = codec.encode({"secret": "salt"}, "params")
    assert b"salt" not in data
    assert json.loads(data)["by"] == "upside-down"
    assert codec.decode(data) == {"secret": "salt"}
    with pytest.raises(workflows.SerializationError, match="written by the serializer 'upside-down'"):
        _values.Codec().decode(data)


def test_a_serializer_reads_plain_json_of_others_too() -> None:
    assert _values.Codec(Upside()).decode(b'{"from":"the command line"}') == {"from": "the command line"}


def test_pickle_is_used_only_when_it_is_chosen() -> None:
    pickled = _values.Codec(workflows.PickleSerializer()).encode(Local, "result")
    assert _values.Codec(workflows.PickleSerializer()).decode(pickled) is Local
    with pytest.raises(workflows.SerializationError, match="pickle"):
        _values.Codec().decode(pickled)


def test_whatever_a_serializer_raises_is_a_serialization_error() -> None:
    with pytest.raises(workflows.SerializationError, match="'pickle' cannot encode the params"):
        _values.Codec(workflows.PickleSerializer()).encode(lambda: None, "params")


@pytest.mark.parametrize("given_one", [5, "pickle", workflows.PickleSerializer, object()])
def test_what_is_no_serializer_is_refused_at_once(given_one: Any, tmp_path: pathlib.Path) -> None:
    for make in (workflows.Engine, workflows.Client):
        with pytest.raises(workflows.InvalidConfigError, match="Accepted: an object with a name"):
            make(tmp_path / "never.db", serializer=given_one)


def test_the_library_does_not_need_pydantic() -> None:
    module = sys.modules.pop("pydantic")
    try:
        assert round_trip(shapes.Item("a")) == shapes.Item("a")
        with pytest.raises(workflows.SerializationError):
            json_serializer.dumps(shapes.Unrecordable())
    finally:
        sys.modules["pydantic"] = module


def test_uuid_and_decimal_keep_their_exact_form() -> None:
    number = decimal.Decimal("1.10")
    assert str(round_trip(number)) == "1.10"
    key = uuid.UUID(int=7)
    assert round_trip({key: number}) == {key: number}
