"""The claims ledger as a page of the book, filled from the tables like the chapters' own."""

import pandas as pd

from helpers import claims, figures

SCALE = "laptop"


def page() -> str:
    """Return the page in Markdown: a table of verdicts, then each claim with its test, rule and evidence."""
    ledger = figures.written(claims.ledger(SCALE))
    lines = [
        "# The claims ledger",
        "",
        f"What is said of poolings, and what the course's experiments say of it, at the scale `{SCALE}`: small models, "
        "so nothing here is a statement about BERT base or GPT-2. Test and rule of each claim were written before its "
        "run; code fills this page. The two numbers in brackets are a 95% interval that is not corrected; p is "
        "corrected for all tests of the rules that were written together.",
        "",
        "| | claim | verdict | chapters |",
        "|---|---|---|---|",
    ]
    lines += [f"| [{id}](#{_anchor(id)}) | {row.sentence} | {row.verdict} | {row.chapters} |"
              for id, row in ledger.iterrows()]  # fmt: skip
    for claim in claims.CLAIMS:
        row = ledger.loc[claim.id]
        lines += [
            "",
            f"({_anchor(claim.id)})=",
            f"## {claim.id}: {claim.sentence}",
            "",
            f"**Verdict: {row.verdict}.**",
            "",
            f"- *Test.* {claim.test}",
            f"- *Rule.* {claim.rule}",
            f"- *Evidence that decides.* {_evidence(row)}",
            f"- *Chapters* {claim.chapters}. *Made by* `{claim.source}`.",
        ]
    return "\n".join(lines) + "\n"


def _anchor(id: str) -> str:
    return f"claim-{id.lower()}"


def _evidence(row: pd.Series) -> str:
    if pd.isna(row.test):
        return "none at this scale."
    return f"{row.test}: {row.effect} {row.unit}, corrected p {row.p}, detectable {row.detectable}."
