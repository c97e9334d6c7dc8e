"""What `make bench` measured, as pages of the book: all of it, and the plan for a million reviews."""

import json
from collections.abc import Iterable

from benchmarks.measure import RESULTS

#: The benchmark's parts, and what the book calls them.
TITLES = {
    "encoding": "Encoding",
    "operators": "Pooling alone, against sentence-transformers",
    "start": "To begin",
    "chapters": "The chapters at `laptop`",
    "scale": "Growing",
    "again": "The same result again",
    "tests": "The tests",
}
PLAN = "planned: a million reviews with "
PRICE = 0.10  # US dollars an hour, an example


def rows() -> list[dict]:
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def _value(row: dict) -> str:
    return "not measured" if row["measured"] is None else f"{row['measured']:,g} {row['unit']}".strip()


def _holds(row: dict) -> str:
    return {True: "yes", False: "**no**", None: ""}[row["holds"]]


def _table(found: Iterable[dict]) -> list[str]:
    lines = ["| what | goal | measured | holds | |", "|---|---|---|---|---|"]
    return lines + [f"| {row['name']} | {row['goal'].strip('-')} | {_value(row)} | {_holds(row)} | {row['note']} |"
                    for row in found]  # fmt: skip


def machines(found: Iterable[dict]) -> str:
    """Return each machine and set of versions that the rows were measured with."""
    named = {f"{row['hardware']}; {', '.join(f'{name} {version}' for name, version in row['versions'].items())}"
             for row in found}  # fmt: skip
    return "; and ".join(sorted(named))


def page() -> str:
    """Return the page of all measurements, in Markdown."""
    found = rows()
    short = [row for row in found if row["holds"] is False]
    lines = [
        "# Speed and memory",
        "",
        f"`make bench` measured this, on {machines(found)}. Where a speed is compared with the peer's, the two took "
        f"turns. Of {sum(row['holds'] is not None for row in found)} goals {len(short)} are not met.",
    ]
    if short:
        lines += ["", "## What falls short", "", *_table(short)]
    for part, title in TITLES.items():
        lines += ["", f"## {title}", "", *_table(row for row in found if row["part"] == part)]
    return "\n".join(lines) + "\n"


def plan() -> str:
    """Return the page on a million reviews, in Markdown."""
    found = {row["name"]: row for row in rows() if row["name"].startswith(PLAN)}
    models = sorted({name.removeprefix(PLAN).split(",")[0] for name in found})
    lines = [
        "# A million reviews",
        "",
        "What would it take to keep the token states of a million reviews, of at most 256 tokens each, as the course's "
        "cache keeps them (float16)? Nobody ran this. A thousand whole reviews were measured, on "
        f"{machines(found.values())}, and [time and disk grow in proportion to the texts](speed.md). Memory does not.",
        "",
        f"| encoder | disk | machine hours | a machine at {PRICE:.2f} US dollars an hour (put in your price) |",
        "|---|---|---|---|",
    ]
    for model in models:
        disk, hours = (found[f"{PLAN}{model}, {what}"]["measured"] for what in ("disk", "time"))
        lines.append(f"| `{model}` | {disk:,.0f} GB | {hours:,.1f} | {PRICE * hours:,.2f} US dollars |")
    lines += [
        "",
        "- **Do you need the token states?** For one pooling, keep the pooled vectors alone: `dim` numbers a text, and "
        "not `dim` numbers a token. The states pay where many poolings are compared.",
        "- **A killed run loses little:** what a shard holds at most, and the next run goes on behind the last one.",
        "- **Several machines:** give each a part of the texts and a cache of its own; afterwards move the shards into "
        "one folder. A shard's name is its own, so nothing is overwritten.",
        "- **Opening** reads the index of each shard. How long that takes among a million texts stands on the "
        "[page of measurements](speed.md).",
        "- **Memory** does not grow with the cache, which is read as it is needed. The pooled vectors that a head is "
        "trained on are in memory: four bytes a number.",
    ]
    return "\n".join(lines) + "\n"
