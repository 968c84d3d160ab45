"""How values become the text that is recorded, and come back as what they were: JSON, or what a serializer makes of it.

What is plain JSON never leaves the native module; the rest is the matter of `_tagged`, which is imported only then,
because the modules of the types that it knows take longer to import than all of this package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from workflows import _core
from workflows._errors import InvalidConfigError, SerializationError

if TYPE_CHECKING:
    from types import ModuleType

Hint = Callable[[], object] | None


@runtime_checkable
class Serializer(Protocol):
    """Turns values into bytes and back; give one to `Engine(serializer=...)` to encrypt or compress what is recorded.

    `name` is recorded with each value, so that a value is never read by a serializer that did not write it.

        class Encrypted:
            name = "encrypted-2026"
            inner = workflows.JsonSerializer()

            def dumps(self, value: object) -> bytes:
                return encrypt(self.inner.dumps(value))

            def loads(self, data: bytes) -> object:
                return self.inner.loads(decrypt(data))
    """

    @property
    def name(self) -> str:
        """Which serializer wrote a value, such as "pickle"; the same for ever."""
        ...

    def dumps(self, value: object, /) -> bytes:
        """The value as bytes. Any exception counts as "cannot be encoded"."""
        ...

    def loads(self, data: bytes, /) -> Any:
        """The value that `dumps` was given."""
        ...


class JsonSerializer:
    """The default: JSON text that people and other programs can read, with tags for what JSON does not know."""

    name = "json"

    def dumps(self, value: object, /) -> bytes:
        """The value as JSON in UTF-8. Raises SerializationError that names the path of what cannot be encoded."""
        return encode(value, "value")

    def loads(self, data: bytes, /) -> Any:
        """The value that `data` encodes. Raises SerializationError if it is not JSON or a class is missing."""
        return decode(data)


class PickleSerializer:
    """Records anything that `pickle` takes. Reading such a file runs code that is in it: only for files you trust."""

    name = "pickle"

    def dumps(self, value: object, /) -> bytes:
        """The value, pickled."""
        import pickle

        return pickle.dumps(value)

    def loads(self, data: bytes, /) -> Any:
        """The value, unpickled."""
        import pickle

        return pickle.loads(data)


class Codec:
    """Values as they are recorded by one engine or client: JSON, or what its serializer makes of them, in JSON."""

    def __init__(self, serializer: Serializer | None = None):
        if serializer is not None:
            _check_serializer(serializer)
        self._custom = None if serializer is None or type(serializer) is JsonSerializer else serializer

    @property
    def is_plain(self) -> bool:
        """Whether values are recorded as JSON and nothing else."""
        return self._custom is None

    def encode(self, value: object, what: str) -> bytes:
        """`what` names the value in errors: "result", "params"."""
        if self._custom is None:
            return encode(value, what)
        try:
            data = self._custom.dumps(value)
        except Exception as error:
            raise SerializationError(
                f"The serializer {self._custom.name!r} cannot encode the {what}: {error}"
            ) from error
        encoded: bytes = _rest().encoded(data, self._custom.name)
        return encoded

    def decode(self, data: bytes, hint: Hint = None, *, lenient: bool = False) -> Any:
        """`hint` gives a type whose classes stand in for recorded ones that have moved; it is asked only then.
        `lenient` leaves what cannot be restored as the JSON that it is, for those who only look.
        """
        return decode(data, hint, lenient=lenient, custom=self._custom)

    def encode_exception(self, error: BaseException) -> bytes:
        """Class, arguments and attributes. Never fails; b"" if the serializer cannot do it."""
        text: str = _rest().exception_text(error)
        try:
            return text.encode() if self._custom is None else self.encode(text, "exception")
        except SerializationError:
            return b""

    def decode_exception(self, data: bytes) -> tuple[Exception | None, Any]:
        """The exception if its class can be found, and what is recorded of it."""
        parts = self.decode(data, lenient=True)
        if isinstance(parts, str):
            parts = self.decode(parts.encode(), lenient=True)
        return _rest().exception_from(parts), parts


def _check_serializer(given: object) -> None:
    if isinstance(given, type) or not isinstance(given, Serializer):
        raise InvalidConfigError(
            f"The serializer is {given!r} of type {type(given).__name__}. Accepted: an object with a name and the "
            "methods dumps and loads, such as workflows.PickleSerializer()."
        )


def _rest() -> ModuleType:
    """Imported when the first value that is not plain comes."""
    from workflows import _tagged

    return _tagged


def encode(value: object, what: str) -> bytes:
    """The value as JSON. `what` names the value in errors."""
    plain = _core.encode_plain(value)
    encoded: bytes = plain if plain is not None else _rest().encode(value, what)
    return encoded


def decode(data: bytes, hint: Hint = None, *, lenient: bool = False, custom: Serializer | None = None) -> Any:
    """The value that `encode` was given."""
    plain = _core.decode_plain(data)
    return plain if plain is not NotImplemented else _rest().decode(data, hint, lenient, custom)
