"""House rules that a parser can check: no unpickling, no paths of one machine, short files."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PICKLERS = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
UNPICKLING_CALLS = {"load_replay_buffer", "load_from_pkl"}
BAD_KEYWORDS = {("weights_only", False), ("allow_pickle", True)}
FOLDERS = ("mosim_gym", "tests", "examples", "benchmarks", "docs", "checkpoints", ".ci")
TEXT = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".csv", ".xml", ".cfg", ""}
MACHINE_PATH = re.compile(r"(?<![\w.:~}/-])(?:/(?:home|root|work|Users|tmp|opt|mnt)/\w|[A-Z]:\\\w)")


def python_files(root: Path, *folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((root / folder).rglob("*.py"))]


def unpickling(source: str) -> list[str]:
    """Every construct in the source that reads a pickle, or may."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in PICKLERS]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PICKLERS:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            found += _unpickling_call(node)
    return found


def _unpickling_call(call: ast.Call) -> list[str]:
    keywords = {
        (word.arg, word.value.value)
        for word in call.keywords
        if isinstance(word.value, ast.Constant)
    }
    found = [f"{name}={value!r}" for name, value in keywords & BAD_KEYWORDS]
    name = ast.unparse(call.func)
    if name.split(".")[-1] in UNPICKLING_CALLS:
        found.append(name)
    if name == "torch.load" and ("weights_only", True) not in keywords:
        found.append("torch.load without weights_only=True")
    return found


def test_nothing_unpickles(root: Path) -> None:
    found = {
        str(path.relative_to(root)): unpickling(path.read_text())
        for path in python_files(root, "mosim_gym", "benchmarks", "examples")
    }
    assert not {path: what for path, what in found.items() if what}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from cloudpickle import loads",
        "np.load(p, allow_pickle=True)",
        "torch.load(p, weights_only=False)",
        "torch.load(p)",
        "model.load_replay_buffer(p)",
    ],
)
def test_unpickling_is_seen(source: str) -> None:
    assert unpickling(source)


def test_no_path_of_one_machine(root: Path) -> None:
    files = [path for path in root.iterdir() if path.is_file()]
    files += [path for folder in FOLDERS for path in (root / folder).rglob("*") if path.is_file()]
    found = [
        f"{path.relative_to(root)}:{number}: {line.strip()[:120]}"
        for path in files
        if path.suffix in TEXT and "__pycache__" not in path.parts
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", ["home", "root", "tmp"])
def test_a_machine_path_is_seen(folder: str) -> None:
    assert MACHINE_PATH.search(f'DATA = "/{folder}/someone/data"')
    assert not MACHINE_PATH.search(f"https://example.org/{folder}/page")


def test_files_are_short(root: Path) -> None:
    limits = {"mosim_gym": 300, "tests": 300, "benchmarks": 300, "examples": 40}
    lines = {
        path: (len(path.read_text().splitlines()), limit)
        for folder, limit in limits.items()
        for path in python_files(root, folder)
    }
    assert not {str(p.relative_to(root)): n for p, (n, limit) in lines.items() if n > limit}
