"""Every Python block of README.md runs as printed, each with names of its own.

A block directly below `<!-- not run: reason -->` is left out. The blocks share one working
directory, in order, so that one may read what an earlier one wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
NOT_RUN = re.compile(r"<!--\s*not run:\s*\S.*-->")


@dataclass(frozen=True)
class Block:
    line: int
    code: str
    runs: bool


def python_blocks(text: str) -> list[Block]:
    lines = text.splitlines()
    blocks = []
    start = None
    for number, line in enumerate(lines):
        if start is None and line.strip() == "```python":
            start = number
        elif start is not None and line.strip() == "```":
            above = [text for text in lines[:start] if text.strip()][-1:]
            runs = not (above and NOT_RUN.fullmatch(above[0].strip()))
            blocks.append(Block(start + 2, "\n".join(lines[start + 1 : number]), runs))
            start = None
    return blocks


BLOCKS = python_blocks(README.read_text()) if README.exists() else []


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


def test_there_is_something_to_run() -> None:
    assert README.exists(), "README.md is missing"
    assert any(block.runs for block in BLOCKS), "README.md has no python block that is run"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "block",
    [pytest.param(block, id=f"line{block.line}") for block in BLOCKS if block.runs],
)
def test_block_runs(block: Block, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    # Empty lines above, so that a traceback names the line in README.md.
    code = "\n" * (block.line - 1) + block.code
    exec(compile(code, str(README), "exec", dont_inherit=True), {"__name__": "__main__"})


def test_blocks_are_found_and_marks_are_read() -> None:
    text = "x\n```python\na = 1\n```\n<!-- not run: needs a robot -->\n```python\nb\n```\n"
    assert python_blocks(text) == [Block(3, "a = 1", True), Block(7, "b", False)]
    unexplained = "<!-- not run: -->\n```python\nb\n```\n"
    assert python_blocks(unexplained)[0].runs
