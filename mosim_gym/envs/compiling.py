"""``compile=True``: the step of a learned engine, compiled for its model, task and rows."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from types import FunctionType, MethodType
from typing import Any, ParamSpec, TypeVar, cast

import torch

from mosim_gym.errors import MosimError

P = ParamSpec("P")
R = TypeVar("R")

_NUMBER = itertools.count()


def compile_method(method: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Callable[P, R]:
    """A method of tensors compiled for the shapes and device of these arguments alone.

    It is compiled here and now (half a minute, less when torch has it in its cache), for as many
    threads as torch has set, so that what goes wrong is told before the first step. Weights may
    still be changed in place.

    Raises:
        MosimError: if torch cannot compile it here.
    """
    _require_compiler()
    bound = cast(MethodType, method)
    # Torch keeps what it compiled with the code object, and tells one compilation from another by
    # guards; checking them costs a sixth of a small model's step. Here shapes are fixed and objects
    # stay the same, so the guards are dropped and every engine gets a code object of its own.
    code = bound.__func__.__code__.replace(co_name=f"compiled_{next(_NUMBER)}")
    function = FunctionType(code, bound.__func__.__globals__)
    own: Callable[P, R] = cast(Any, MethodType(function, bound.__self__))
    # Without the wrapper Python calls each product by itself: another sixth.
    options: dict[str, str | int | bool | Callable[..., Any]]
    options = {"guard_filter_fn": _no_guards, "cpp_wrapper": True}
    compiled = torch.compile(own, fullgraph=True, dynamic=False, options=options)
    try:
        with warnings.catch_warnings():
            # Of torch's own parts, which it loads as it compiles.
            warnings.simplefilter("ignore", DeprecationWarning)
            compiled(*args, **kwargs)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise MosimError(
            f"compile=True, but torch could not compile this model here: {type(error).__name__}: "
            f"{reason[:300]}. Compiling takes a C++ compiler and Python's headers (on Debian: "
            "apt install g++ python3-dev), and a model and task written in torch alone (no "
            "adaptive integrator). Or leave compile out: the steps are the same, only slower."
        ) from error
    return compiled


def _no_guards(guards: Sequence[Any]) -> list[bool]:
    return [False] * len(guards)


def _require_compiler() -> None:
    """Raise unless there is a C++ compiler where torch looks for one."""
    name = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(name) is None:
        raise MosimError(
            f"compile=True needs a C++ compiler, and {name!r} was not found. Install one (on "
            "Debian: apt install g++), name yours in the environment variable CXX, or leave "
            "compile out: the steps are the same, only slower."
        )
