"""Frozen dataclasses of arrays as plain JSON values, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from mosim_gym.types import Array

T = TypeVar("T")

_SHAPE, _VALUES, _KIND = "shape", "values", "kind"


def to_plain(value: Any) -> Any:
    """JSON values of a dataclass whose fields are such, arrays, tuples, enums or JSON values.

    Arrays keep their shape, and all digits.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value)]
        return {name: to_plain(getattr(value, name)) for name in fields}
    if isinstance(value, np.ndarray):
        kind = value.dtype.kind
        return {_KIND: kind, _SHAPE: list(value.shape), _VALUES: value.ravel().tolist()}
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def from_plain(kind: type[T], fields: Any) -> T:
    """What `to_plain` was given, of dataclass `kind`.

    Raises:
        KeyError, TypeError, ValueError: for anything else.
    """
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    optional = {field.name for field in dataclasses.fields(kind) if field.default is None}  # type: ignore[arg-type]
    names = [name for name in names if name in fields or name not in optional]
    unknown = set(fields) - set(names)
    if unknown:
        raise ValueError(f"unknown entries {sorted(unknown)} of {kind.__name__}")
    return kind(**{name: _value(hints[name], fields[name]) for name in names})


def _value(hint: Any, value: Any) -> Any:
    if isinstance(value, dict) and _VALUES in value:
        return from_plain_array(value)
    if get_origin(hint) is UnionType:
        return None if value is None else _value(get_args(hint)[0], value)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_plain(hint, value)
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        return tuple(_value(inner, item) for item in value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if hint is NoneType or hint is Any:
        return value
    return value


def from_plain_array(value: Mapping[str, Any]) -> Array:
    """The array that `to_plain` was given.

    Raises:
        KeyError, TypeError, ValueError: for anything else.
    """
    types = {"f": np.float64, "i": np.int64, "b": np.bool_}
    return np.array(value[_VALUES], dtype=types[value[_KIND]]).reshape(value[_SHAPE])
