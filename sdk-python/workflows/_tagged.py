"""Values that are more than JSON.

What JSON does not know is an object with a tag and a value in a form that people can read:

    {"$": "datetime", "v": "2026-05-01T09:00:00+02:00", "zone": "Europe/Berlin"}
    {"$": "dataclass", "type": "shop:Order", "v": {"sku": "A1", "price": {"$": "decimal", "v": "9.90"}}}

`_Decoder.of_tag` is the list of tags. An object of the user that has a key "$" is itself tagged, as a "dict" of pairs.
Restoring constructs only classes, only of the kind that the tag says, and without calling their `__init__`; it imports
the module of a class if it is not there.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import sys
import typing
import uuid
import zoneinfo
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum, Flag
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any

from workflows._errors import SerializationError, StepError
from workflows._exceptions import (
    find_attribute,
    find_exception,
    put_together,
    reference_to,
    safely,
    take_apart,
    text_of,
    traceback_text,
)
from workflows._values import Hint, Serializer

Json = Any
"""A tree of dict, list, str, int, float, bool and None, as `json` reads and writes it."""

_ACCEPTED = (
    "None, bool, int, float, str, list, tuple, dict, set, frozenset, bytes, bytearray, complex, datetime, date, time, "
    "timedelta, Decimal, UUID, Enum, pathlib paths, named tuples, dataclasses, pydantic models and exceptions"
)
_BIG_INT_BITS = 13_000  # Python refuses to write or read longer integers in decimal
_MAX_EXCEPTION_DEPTH = 8
_PATHS: dict[str, type[PurePath]] = {
    kind.__name__: kind for kind in (PurePath, PurePosixPath, PureWindowsPath, PosixPath, WindowsPath)
}

_to_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode


def encode(value: object, what: str) -> bytes:
    """The value as JSON. `what` names the value in errors."""
    try:
        return _to_text(_Encoder().encode(value)).encode()
    except RecursionError:
        raise SerializationError(f"The {what} cannot be recorded: it contains itself or is nested too deeply") from None
    except _UnencodableError as error:
        raise SerializationError(f"{what}{''.join(reversed(error.path))} {error.problem}") from None


def encoded(data: bytes, by: str) -> bytes:
    """What the serializer of that name has made of a value."""
    return _to_text(_tagged("encoded", base64.b64encode(data).decode("ascii"), by=by)).encode()


def exception_text(error: BaseException) -> str:
    """Class, arguments and attributes. Never fails."""
    return _to_text(_Encoder().exception_parts(error))


def decode(data: bytes, hint: Hint, lenient: bool, custom: Serializer | None) -> Any:
    """The value that `encode` was given; `Codec.decode` says the rest."""
    return _Decoder(hint, lenient, custom).decode(data)


def _tagged(tag: str, value: Json, **more: Json) -> Json:
    return {"$": tag, **more, "v": value}


def _kind(value: object) -> type:
    return type(value)


def _is_named_tuple(cls: type) -> bool:
    return hasattr(cls, "_fields") and hasattr(cls, "_make") and issubclass(cls, tuple)


def _is_pydantic_model(cls: type) -> bool:
    pydantic: Any = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(cls, pydantic.BaseModel)


class _UnencodableError(Exception):
    """Collects on its way up where the value is."""

    def __init__(self, problem: str):
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []


def _refusal(value: object) -> _UnencodableError:
    kind = type(value)
    base = next((base for base in kind.__mro__[1:] if base in _Encoder.of_type), None)
    advice = "give its data in types that can"
    if base is not None:
        advice = f"it is more than a {base.__name__} and would come back as one; convert it with {base.__name__}(...)"
    return _UnencodableError(
        f"is of type {kind.__module__}.{kind.__qualname__}, which cannot be recorded: {advice}. Accepted: {_ACCEPTED}."
    )


def _class_of(value: object) -> str:
    cls = type(value)
    reference = reference_to(cls)
    if find_attribute(reference) is not cls:
        raise _UnencodableError(
            f"is of the class {cls.__qualname__}, which cannot be found again as {reference}: define it at the top "
            f"level of a module"
        )
    return reference


def _is_plain_key(key: object) -> bool:
    return type(key) is str and key != "$" and (key.isascii() or not any("\ud800" <= char <= "\udfff" for char in key))


class _Encoder:
    """Encodes one value."""

    def __init__(self) -> None:
        self._open_exceptions: list[BaseException] = []

    def encode(self, value: Any) -> Json:
        kind = _kind(value)
        own = self.of_type.get(kind)
        if own is not None:
            return own(self, value)
        if isinstance(value, Enum):
            return self._enum(value)
        if isinstance(value, BaseException):
            if not self._may_open(value):
                return self._str(safely(repr, value))
            return self._exception(value)
        if isinstance(value, PurePath):
            return self._path(value)
        if _is_named_tuple(kind):
            return _tagged("namedtuple", self._list(value), type=_class_of(value))
        if dataclasses.is_dataclass(kind):
            return self._dataclass(value)
        if _is_pydantic_model(_kind(value)):
            return self._pydantic(value)
        raise _refusal(value)

    def _entry(self, value: object, segment: str) -> Json:
        try:
            return self.encode(value)
        except _UnencodableError as error:
            error.path.append(segment)
            raise

    def _list(self, values: Iterable[object]) -> list[Json]:
        return [self._entry(item, f"[{index}]") for index, item in enumerate(values)]

    def _fields(self, fields: Iterable[tuple[str, object]]) -> dict[str, Json]:
        return {name: self._entry(value, f".{name}") for name, value in fields}

    def _scalar(self, value: object) -> Json:
        return value

    def _str(self, value: str) -> Json:
        if _is_plain_key(value) or value == "$":
            return value
        return _tagged("str", value.encode("unicode_escape").decode("ascii"))  # half a surrogate pair

    def _int(self, value: int) -> Json:
        return value if value.bit_length() < _BIG_INT_BITS else _tagged("int", hex(value))

    def _float(self, value: float) -> Json:
        return value if math.isfinite(value) else _tagged("float", repr(value))

    def _dict(self, value: dict[object, object]) -> Json:
        if all(_is_plain_key(key) for key in value):
            return {key: self._entry(item, f"[{key!r}]") for key, item in value.items()}
        return _tagged(
            "dict",
            [[self._entry(key, f" key {key!r}"), self._entry(item, f"[{key!r}]")] for key, item in value.items()],
        )

    def _set(self, value: set[object] | frozenset[object]) -> Json:
        return _tagged(
            type(value).__name__, sorted((self._entry(item, f"{{{item!r}}}") for item in value), key=_to_text)
        )

    def _tuple(self, value: tuple[object, ...]) -> Json:
        return _tagged("tuple", self._list(value))

    def _bytes(self, value: bytes | bytearray) -> Json:
        return _tagged(type(value).__name__, base64.b64encode(value).decode("ascii"))

    def _complex(self, value: complex) -> Json:
        return _tagged("complex", [self._float(value.real), self._float(value.imag)])

    def _moment(self, value: datetime | time) -> Json:
        more: dict[str, Json] = {}
        if isinstance(value.tzinfo, zoneinfo.ZoneInfo) and value.tzinfo.key:
            more["zone"] = value.tzinfo.key
        if value.fold:
            more["fold"] = value.fold
        return _tagged(type(value).__name__, value.isoformat(), **more)

    def _date(self, value: date) -> Json:
        return _tagged("date", value.isoformat())

    def _timedelta(self, value: timedelta) -> Json:
        return _tagged("timedelta", [value.days, value.seconds, value.microseconds])

    def _decimal(self, value: Decimal) -> Json:
        return _tagged("decimal", str(value))

    def _uuid(self, value: uuid.UUID) -> Json:
        return _tagged("uuid", str(value))

    def _path(self, value: PurePath) -> Json:
        kind = type(value).__name__
        if _PATHS.get(kind) is not type(value):
            raise _refusal(value)
        return _tagged("path", self._str(str(value)), kind=kind)

    def _enum(self, value: Enum) -> Json:
        if isinstance(value, Flag):  # a combination of members has no name
            return _tagged("flag", self._int(value.value), type=_class_of(value))
        return _tagged("enum", value.name, type=_class_of(value))

    def _dataclass(self, value: Any) -> Json:
        names = [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)]
        return _tagged("dataclass", self._fields((n, getattr(value, n)) for n in names), type=_class_of(value))

    def _pydantic(self, value: Any) -> Json:
        more: dict[str, Json] = {"type": _class_of(value), "set": sorted(value.__pydantic_fields_set__)}
        if value.__pydantic_extra__:
            more["extra"] = self._fields(value.__pydantic_extra__.items())
        if value.__pydantic_private__:
            more["private"] = self._fields(value.__pydantic_private__.items())
        return _tagged("pydantic", self._fields(value.__dict__.items()), **more)

    def _exception(self, error: BaseException) -> Json:
        more: dict[str, Json] = {
            "message": self._str(text_of(error)),
            "traceback": self._str(traceback_text(error)),
        }
        parts = self.exception_parts(error)
        if error.__cause__ is not None and self._may_open(error.__cause__):
            self._open_exceptions.append(error)
            more["cause"] = self._exception(error.__cause__)
            self._open_exceptions.pop()
        return _tagged("exception", parts, **more)

    def exception_parts(self, error: BaseException) -> Json:
        """Never fails: what an exception holds and cannot be encoded, such as a socket, is there as its `repr`."""
        self._open_exceptions.append(error)
        args, state = take_apart(error)
        parts: dict[str, Json] = {"type": reference_to(type(error)), "args": [self._or_repr(arg) for arg in args]}
        if state:
            parts["state"] = {name: self._or_repr(value) for name, value in state.items()}
        self._open_exceptions.pop()
        return parts

    def _may_open(self, error: object) -> bool:
        """Exceptions that hold one another must come to an end."""
        return len(self._open_exceptions) < _MAX_EXCEPTION_DEPTH and all(error is not e for e in self._open_exceptions)

    def _or_repr(self, value: object) -> Json:
        depth = len(self._open_exceptions)
        try:
            return self.encode(value)
        except (_UnencodableError, RecursionError):
            del self._open_exceptions[depth:]
            return self._str(safely(repr, value))

    of_type: typing.ClassVar[dict[type, Callable[[Any, Any], Json]]] = {
        type(None): _scalar,
        bool: _scalar,
        str: _str,
        int: _int,
        float: _float,
        list: _list,
        dict: _dict,
        tuple: _tuple,
        set: _set,
        frozenset: _set,
        bytes: _bytes,
        bytearray: _bytes,
        complex: _complex,
        datetime: _moment,
        time: _moment,
        date: _date,
        timedelta: _timedelta,
        Decimal: _decimal,
        uuid.UUID: _uuid,
    }


# ---- decoding


class _Decoder:
    """Decodes one value."""

    def __init__(self, hint: Hint, lenient: bool, custom: Serializer | None):
        self._hint = hint
        self._lenient = lenient
        self._custom = custom

    def decode(self, data: bytes) -> Any:
        hook = self._restore if b'"$"' in data else None
        try:
            return json.loads(data.decode(), object_hook=hook)
        except SerializationError:
            raise
        except (ValueError, RecursionError) as error:
            raise SerializationError(
                f"A recorded value cannot be read as JSON ({error}); it begins {data[:80]!r}"
            ) from error

    def _restore(self, tree: dict[str, Json]) -> Any:
        """What a JSON object stands for; its members have been restored before."""
        restore = self.of_tag.get(tree["$"]) if type(tree.get("$")) is str else None
        if restore is None or "v" not in tree:
            return tree
        try:
            return restore(self, tree, tree["v"])
        except Exception as error:
            if self._lenient:
                return tree
            if isinstance(error, SerializationError):
                raise
            raise SerializationError(f"A recorded {tree['$']} cannot be restored ({error!r}): {tree!r:.200}") from error

    def _class(self, tree: dict[str, Json], fits: Callable[[type], bool]) -> Any:
        """The class that the tag names, or the one of that name in the hint if it has moved."""
        reference: str = tree["type"]
        found = find_attribute(reference)
        if isinstance(found, type) and fits(found):
            return found
        known = [cls for cls in _classes_in(self._hint() if self._hint else None) if fits(cls)]
        name = reference.rpartition(":")[2].rpartition(".")[2]
        moved = [cls for cls in known if cls.__name__ == name] or known
        if len(moved) == 1:
            return moved[0]
        raise SerializationError(
            f"A recorded {tree['$']} is of the class {reference}, which cannot be found. If it has moved, name its new "
            f"place in the step's return annotation or in step.do(result_type=...)."
        )

    def _encoded(self, tree: dict[str, Json], value: str) -> Any:
        if self._custom is None or tree["by"] != self._custom.name:
            raise SerializationError(
                f"A recorded value was written by the serializer {tree['by']!r}; open the database with that one"
            )
        return self._custom.loads(base64.b64decode(value))

    def _moment(self, tree: dict[str, Json], value: str) -> Any:
        moment = (datetime if tree["$"] == "datetime" else time).fromisoformat(value)
        zone: tzinfo | None = moment.tzinfo
        if "zone" in tree:
            with suppress(zoneinfo.ZoneInfoNotFoundError):  # then the offset that it had remains
                zone = zoneinfo.ZoneInfo(tree["zone"])
        return moment.replace(tzinfo=zone, fold=tree.get("fold", 0))

    def _named_tuple(self, tree: dict[str, Json], value: list[Any]) -> Any:
        return self._class(tree, _is_named_tuple)._make(value)

    def _enum(self, tree: dict[str, Json], value: str) -> Any:
        return self._class(tree, lambda cls: issubclass(cls, Enum))[value]

    def _flag(self, tree: dict[str, Json], value: int) -> Any:
        return self._class(tree, lambda cls: issubclass(cls, Flag))(value)

    def _dataclass(self, tree: dict[str, Json], value: dict[str, Any]) -> Any:
        cls = self._class(tree, dataclasses.is_dataclass)
        result = cls.__new__(cls)
        for field in dataclasses.fields(cls):
            if field.name in value:
                object.__setattr__(result, field.name, value[field.name])
            elif field.default is not dataclasses.MISSING:
                object.__setattr__(result, field.name, field.default)
            elif field.default_factory is not dataclasses.MISSING:
                object.__setattr__(result, field.name, field.default_factory())
        return result

    def _pydantic(self, tree: dict[str, Json], value: dict[str, Any]) -> Any:
        cls = self._class(tree, _is_pydantic_model)
        added = {n: f.get_default(call_default_factory=True) for n, f in cls.model_fields.items() if n not in value}
        result = cls.__new__(cls)
        result.__setstate__(
            {
                "__dict__": {**value, **added},
                "__pydantic_fields_set__": set(tree["set"]),
                "__pydantic_extra__": tree.get("extra", {} if cls.model_config.get("extra") == "allow" else None),
                "__pydantic_private__": tree.get("private"),
            }
        )
        return result

    def _exception(self, tree: dict[str, Json], parts: dict[str, Any]) -> Any:
        error = exception_from(parts)
        if error is None:
            error = StepError(
                tree.get("message", ""),
                type_name=parts["type"].replace(":", "."),
                traceback=tree.get("traceback", ""),
                data=parts,
            )
        if "cause" in tree:
            error.__cause__ = tree["cause"]
        return error

    of_tag: typing.ClassVar[dict[str, Callable[[Any, dict[str, Json], Any], Any]]] = {
        "encoded": _encoded,
        "dict": lambda _s, _t, value: dict(value),
        "str": lambda _s, _t, value: value.encode("ascii").decode("unicode_escape"),
        "int": lambda _s, _t, value: int(value, 16),
        "float": lambda _s, _t, value: float(value),
        "tuple": lambda _s, _t, value: tuple(value),
        "set": lambda _s, _t, value: set(value),
        "frozenset": lambda _s, _t, value: frozenset(value),
        "bytes": lambda _s, _t, value: base64.b64decode(value, validate=True),
        "bytearray": lambda _s, _t, value: bytearray(base64.b64decode(value, validate=True)),
        "complex": lambda _s, _t, value: complex(*value),
        "datetime": _moment,
        "time": _moment,
        "date": lambda _s, _t, value: date.fromisoformat(value),
        "timedelta": lambda _s, _t, value: timedelta(*value),
        "decimal": lambda _s, _t, value: Decimal(value),
        "uuid": lambda _s, _t, value: uuid.UUID(value),
        "path": lambda _s, tree, value: _path(tree["kind"], value),
        "enum": _enum,
        "flag": _flag,
        "namedtuple": _named_tuple,
        "dataclass": _dataclass,
        "pydantic": _pydantic,
        "exception": _exception,
    }


def _path(kind: str, value: str) -> PurePath:
    try:
        return _PATHS[kind](value)
    except NotImplementedError:  # a concrete path of the other system
        return _PATHS["Pure" + kind](value)


def exception_from(parts: Any) -> Exception | None:
    """The exception whose parts were recorded; None if its class is gone or is not what it was."""
    try:
        cls = find_exception(parts["type"])
        return put_together(cls, tuple(parts["args"]), parts.get("state", {})) if cls is not None else None
    except Exception:
        return None


def _classes_in(hint: object) -> Iterator[type]:
    """The classes that a type names: itself, its arguments, the fields of its dataclasses, and so on."""
    seen: set[object] = set()
    todo: list[object] = [hint]
    while todo:
        current = todo.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        todo.extend(typing.get_args(current))
        if isinstance(current, type) and typing.get_origin(current) is None:
            yield current
            try:
                todo.extend(typing.get_type_hints(current).values())
            except Exception:  # annotations that do not resolve name no classes for us
                continue
