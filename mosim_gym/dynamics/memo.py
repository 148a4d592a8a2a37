"""What follows from weights alone, worked out once while a model is only run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Memo(Generic[T]):
    """The last value of a function of tensors, kept as long as they are what they were.

    It is only kept in inference mode: elsewhere gradients have to flow, or weights are put in for
    a moment (`torch.func.functional_call`). Changes of weights in place are seen, for torch counts
    them (not those of ``weight.data``); so are `Module.to` and `Module.load_state_dict`. A compiler
    sees no memory, but the function itself.
    """

    def __init__(self, function: Callable[..., T]) -> None:
        """`function` of tensors alone."""
        self._function = function
        self._key: tuple[int, ...] = ()
        # Kept alive: else others could come to lie where these were, and be taken for them.
        self._tensors: tuple[Tensor, ...] = ()
        self._value: T | None = None

    def __call__(self, *tensors: Tensor) -> T:
        """The function's value."""
        # In this order: what traces for a compiler cannot look at the mode.
        if torch.compiler.is_compiling() or not torch.is_inference_mode_enabled():
            return self._function(*tensors)
        key = tuple(n for tensor in tensors for n in (tensor.data_ptr(), _version(tensor)))
        if self._value is None or key != self._key:
            self._key, self._tensors = key, tensors
            self._value = self._function(*tensors)
        return self._value


def _version(tensor: Tensor) -> int:
    # Torch counts no changes of what was made in inference mode; such weights are no parameters.
    return -1 if tensor.is_inference() else tensor._version
