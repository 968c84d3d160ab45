"""Classes that the tests record. They live in a module of their own, as users' classes do."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pydantic


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 9


class Word(enum.StrEnum):
    HELLO = "hello"


class Right(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass
class Item:
    name: Any
    count: Any = 1
    tags: list[Any] = field(default_factory=list[Any])


@dataclass(frozen=True, slots=True)
class Frozen:
    key: Any


class Model(pydantic.BaseModel):
    name: str
    number: int = 0
    extra_name: str = pydantic.Field(default="", alias="extraName")


class OpenModel(pydantic.BaseModel, extra="allow"):
    name: str


class CardDeclinedError(Exception):
    """The signature does not fit `args`, as with most exceptions that users write."""

    def __init__(self, code: int, *, card: str):
        super().__init__(f"declined with {code}")
        self.code = code
        self.card = card


class PlainError(Exception):
    pass


class Unrecordable:
    """Nothing that can be recorded, like a socket."""

    def __repr__(self) -> str:
        return "<an open socket>"
