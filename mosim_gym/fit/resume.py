"""The state of an unfinished fit: one safetensors file, tensors plus JSON, nothing pickled."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mosim_gym.errors import CheckpointError

_TENSOR = "__tensor__"
_KEY = "state"

Tensors = dict[str, Tensor]


def flatten(value: Any, prefix: str, tensors: Tensors) -> Any:
    """JSON values with tensors taken out.

    Args:
        value: nested dicts, lists, tuples, numbers and tensors, as of an optimizer's state.
        prefix: of the names of its tensors.
        tensors: where they are put.
    """
    if isinstance(value, Tensor):
        tensors[prefix] = value.detach().clone(memory_format=torch.contiguous_format)
        return {_TENSOR: prefix}
    if isinstance(value, dict):
        # As pairs: JSON would turn the integer keys of an optimizer's state into strings.
        return {"pairs": [[k, flatten(v, f"{prefix}.{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        items = [flatten(v, f"{prefix}.{i}", tensors) for i, v in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    return value


def unflatten(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What was given to `flatten`."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == _TENSOR:
        return tensors[content]
    if kind == "pairs":
        return {k: unflatten(v, tensors) for k, v in content}
    items = [unflatten(v, tensors) for v in content]
    return tuple(items) if kind == "tuple" else items


def write_state(file: Path, state: Mapping[str, Any]) -> None:
    """Write nested values with tensors to one file, atomically.

    Raises:
        CheckpointError: if it cannot be written; what was there is kept.
    """
    tensors: Tensors = {}
    skeleton = flatten(dict(state), "", tensors)
    temporary = file.with_name(file.name + ".tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # By Python, so that the user's umask says who may read; save_file asks nobody.
        with temporary.open("wb") as target:
            target.write(save(tensors, metadata={_KEY: json.dumps(skeleton)}))
            target.flush()
            os.fsync(target.fileno())
        os.replace(temporary, file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"Cannot write {file}, from which an unfinished run goes on: {error}. What was there "
            "is kept; choose an --out folder you may write to, on a disk with room."
        ) from error
    finally:
        if temporary.is_file():
            temporary.unlink()


def read_state(file: Path) -> dict[str, Any]:
    """What `write_state` wrote.

    Raises:
        CheckpointError: if the file is damaged or foreign.
    """
    try:
        with safe_open(file, framework="pt") as content:
            # Clones: views of a mapped file are aligned as they happen to lie in it.
            tensors = {name: content.get_tensor(name).clone() for name in content.keys()}  # noqa: SIM118
            skeleton = json.loads((content.metadata() or {})[_KEY])
        state: dict[str, Any] = unflatten(skeleton, tensors)
        return state
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{file} is not the state of an unfinished run: {error!r}. Expected a safetensors file "
            "written by mosim_gym. Start afresh: a fit with resume=False (--no-resume), training "
            "with another --out."
        ) from error


def differences(name: str, there: Any, now: Any) -> list[str]:
    """What differs between two nested values, such as ``seed (there 0, now 3)``.

    Args:
        name: of the values.
        there: JSON values, or what becomes those, as of a fit's identity.
        now: what they are compared with.
    """
    if isinstance(there, Mapping) and isinstance(now, Mapping):
        prefix = f"{name}." if name else ""
        return [
            text
            for key in {**there, **now}
            for text in differences(f"{prefix}{key}", there.get(key), now.get(key))
        ]
    # Through JSON, where one of them has been: no tuples, and enums are their values.
    before, after = (json.dumps(value, sort_keys=True) for value in (there, now))
    return [] if before == after else [f"{name} (there {before}, now {after})"]
