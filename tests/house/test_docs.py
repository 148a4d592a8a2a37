"""No page of the project has a placeholder or a link to nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("checkpoints/*/*.md")]
)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page_is_finished(page: Path) -> None:
    text = page.read_text()
    assert "PLACEHOLDER" not in text
    dead = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert not dead, f"{page} links to what is not there: {dead}"


def test_there_are_pages() -> None:
    assert {"README.md", "status.md", "CARD.md"} <= {page.name for page in PAGES}
