"""What a fit found of a body's numbers, as a part of the card: a picture and a table."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from mosim_gym.fit.confidence import Identified

PICTURE = "identified.png"


def draw(identified: Identified) -> bytes:
    """A PNG: where numbers started and what was found, and how well it is known, by kind."""
    # The object interface needs no screen and leaves the user's pyplot alone.
    from matplotlib.figure import Figure

    start, found, spread = (
        x.numpy() for x in (identified.start, identified.found, identified.spread)
    )
    known = identified.known.numpy()
    picture = Figure(figsize=(11, 5), dpi=110, layout="constrained")
    left, right = picture.subplots(1, 2)
    positive = (start > 0) & (found > 0)
    for which, colour, label in ((known, "C0", "told by data"), (~known, "0.7", "left open")):
        chosen = positive & which
        bar = np.minimum(2 * spread[chosen], 0.99 * found[chosen])
        left.errorbar(
            start[chosen], found[chosen], yerr=bar, fmt="o", ms=3, lw=0.8, color=colour, label=label
        )
    left.axline((1.0, 1.0), slope=1.0, color="black", lw=0.6, ls=":")
    left.set(xscale="log", yscale="log", xlabel="started at", ylabel="found (bars: 2 std)")
    left.set_title("positive numbers, MuJoCo's units")
    left.legend(fontsize=8)
    kinds = list(dict.fromkeys(kind for kind, _ in identified.names))[::-1]
    rows = np.array([kinds.index(kind) for kind, _ in identified.names])
    relative = spread / np.maximum(np.abs(found), 1e-3)
    for which, colour in ((known, "C0"), (~known, "0.7")):
        right.plot(np.maximum(relative[which], 1e-12), rows[which], ".", color=colour, alpha=0.6)
    right.set(xscale="log", yticks=range(len(kinds)), xlabel="standard deviation / number")
    right.set_yticklabels(kinds, fontsize=7)
    right.set_title(
        f"{identified.determined} of {identified.weights} combinations are told by data"
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
    file = io.BytesIO()
    picture.savefig(file, format="png")
    return file.getvalue()


def table(identified: Mapping[str, Any]) -> list[str]:
    """Paragraphs of a card, of `Identified.to_json`."""
    scale = identified["scale"]
    given = "" if scale is None else f", the {scale[0]} of {scale[1]} taken as exact"
    text = (
        f"Data tells {identified['determined']} of the {identified['weights']} combinations of its "
        f"numbers; of the others, what is written is where they started or nearly so. "
        f"Standard deviations (Laplace's approximation{given}) say what is told one by one:"
    )
    rows = ["| number | of | started at | found | +- | |", "|---|---|---|---|---|---|"]
    for row in identified["numbers"]:
        known = "" if row["known"] else "left open"
        values = " | ".join(f"{row[name]:.4g}" for name in ("start", "found"))
        rows.append(f"| {row['kind']} | {row['of']} | {values} | {row['spread']:.1g} | {known} |")
    listed = "\n".join(rows)
    inner = f"<details><summary>All numbers</summary>\n\n{listed}\n\n</details>"
    return [text, f"![numbers found]({PICTURE})", inner]
