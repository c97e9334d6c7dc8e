"""The claims ledger: what the source says of pooling, how each claim is tested, and what the results say of it.

Test and rule of a claim were written before its experiment was run. Code fills the ledger; nobody types in it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from helpers import future_rules, records, rules, studies, study_rules, task_rules
from helpers.records import NotRun, Table
from helpers.rules import Results, Verdict

NOT_RUN = "not run at this scale"


@dataclass(frozen=True)
class Claim:
    """One claim of the source.

    Attributes
    ----------
    id : str
        The design's number; a letter where a claim of the source is two.
    sentence : str
        The claim in our words.
    test : str
        The experiment that could refute it.
    rule : str
        What supports it, what refutes it; what is neither is a draw.
    chapters : str
    source : str
        Where its result comes from.
    judge : callable
        From what is on file to a verdict.
    """

    id: str
    sentence: str
    test: str
    rule: str
    chapters: str
    source: str
    judge: Callable[["OnFile"], Verdict]


@dataclass(frozen=True)
class OnFile:
    """The results of one scale, read when a claim asks for them."""

    scale: str
    folder: Path

    @cached_property
    def table(self) -> Table:
        return Table(self.scale, self.folder)

    @cached_property
    def grid(self) -> Results:
        return rules.read(self.table, self.scale)


def _grid(*parts: str, judge: Callable[[Results], Verdict]) -> Claim:
    """A claim that the grid decides."""
    return Claim(*parts, source="python -m helpers.experiments", judge=lambda found: judge(found.grid))


_TURN = (
    "Supported: the two sides have different best poolings, the gap between these two changes from side to side, and "
    "on each side its own best is shown to beat the other's. Depends: gaps change without that. Refuted: otherwise, if "
    "all changes are within 2 points."
)

CLAIMS = (
    _grid(
        "C1a", "Mean, max and weighted sum differ in sentiment accuracy.",
        "The gap of each two of them, fine-tuned, on average over the BERT and the GPT-2, over reviews and sentences.",
        "Supported: any gap is shown. Refuted: otherwise, if all gaps are within 2 points.", "3, 4, 5",
        judge=rules.poolings_differ,
    ),
    _grid(
        "C1b", "Which pooling is best depends on the architecture.",
        "Each gap on the BERT minus the same gap on the GPT-2, fine-tuned, on average over reviews and sentences.",
        _TURN, "4, 5", judge=rules.best_depends_on_model,
    ),
    _grid(
        "C2a", "Max does best for sentiment on a fine-tuned BERT.",
        "Max against mean and against weighted sum on the fine-tuned BERT, on average over reviews and sentences.",
        "Supported: max beats both. Depends: it beats one and is not beaten. Refuted: one beats max; or else both gaps "
        "are within 2 points.", "3, 5", judge=rules.max_is_best,
    ),
    _grid(
        "C2b", "The weighted sum is less consistent: it varies more over the seeds.",
        "How much its accuracy varies over the seeds, as a ratio to the mean's, over all cells of the grid (model, "
        "frozen or fine-tuned, data set). If the two vary alike, it makes no difference whose result a seed's is: the "
        "ratio is held against those after every such exchange (of a seed, in all cells of a data set at once).",
        "Supported: the ratio is shown to be above 1. Refuted: below 1.", "3, 5", judge=rules.less_consistent,
    ),
    _grid(
        "C3", "Which pooling is best depends on the task's character.",
        "Each gap on whole reviews minus the same gap on single sentences, fine-tuned, on average over BERT and GPT-2.",
        _TURN, "5", judge=rules.best_depends_on_data,
    ),
    Claim(
        "C4", "Mean is the easiest to explain, max the hardest; the weighted sum is as interpretable as its weights.",
        "How far the probability of an answer falls without the tokens with the largest parts, and how little with "
        "them alone: each against a random order in the same model, as a part of what there is to lose (fine-tuned "
        "BERT and GPT-2, single sentences).",
        "Supported: mean is above max on both models. Refuted: max is above mean on both. Depends: one is shown.",
        "6", "python -m helpers.studies --only explained",
        lambda found: study_rules.explained(found.scale, found.folder),
    ),
    Claim(
        "C5", "Max is drawn to emotionally strong words and amplifies bias, mean least; the weighted sum inherits the "
        "bias of its data.",
        "How far the score moves when a person is exchanged for one of the other sex, and its slope over the rating of "
        "one inserted word: max minus mean, fine-tuned, mean of the BERT and the GPT-2.",
        "Supported: max reacts more than mean in both tests. Refuted: less in both. Depends: one is shown.",
        "6", "python -m helpers.studies --only gaps doses",
        lambda found: study_rules.reactions(found.scale, found.folder),
    ),
    Claim(
        "C6", "In question answering max catches the keyword, mean the whole intent, and the weighted sum does best.",
        "Reciprocal rank of the right answer, all poolings trained with the same budget, mean of the BERT and the "
        "GPT-2: max − mean where the answer has a word of the question, mean − max where it has none, and the weighted "
        "sum minus each of them on all questions.",
        "Supported: all four are above zero. Refuted: all below. Depends: some are shown.",
        "7", "python -m helpers.studies --only answers",
        lambda found: task_rules.question_answering(found.scale, found.folder),
    ),
    Claim(
        "C7", "For summaries mean suits best; max finds the key point and loses context.",
        "ROUGE-1 of the sentence that is chosen, mean − max, paired by text, generic and trained, mean of the BERT and "
        "the GPT-2.",
        "Supported: mean is above max in both. Refuted: below in both. Depends: one is shown.",
        "7", "python -m helpers.studies --only summaries",
        lambda found: task_rules.summarizing(found.scale, found.folder),
    ),
    Claim(
        "C8", "As contexts grow, simple poolings lose more information than attention pooling.",
        "A sentence of evidence in texts of 32 to 512 tokens, frozen BERT and GPT-2, a head for each length: the slope "
        "of the accuracy over the doublings of the length, attention minus mean and attention minus max.",
        "Supported: attention's slope is above both. Refuted: below both, and it does not end above. Depends: one is "
        "shown.",
        "9", "python -m helpers.studies --only evidence",
        lambda found: future_rules.longer(found.scale, found.folder),
    ),
    Claim(
        "C9", "A pooling made for its task beats a generic one.",
        "Weights that depend on the question (or on the text that is summed up) minus the mean, both trained with the "
        "same budget, mean of the BERT and the GPT-2: reciprocal rank on answers, ROUGE-1 on summaries.",
        "Supported: it wins on both. Refuted: it loses on both. Depends: one is shown.",
        "7, 9", "python -m helpers.studies --only answers summaries",
        lambda found: task_rules.made_for_the_task(found.scale, found.folder),
    ),
    Claim(
        "C10", "As models grow, the choice of pooling matters more.",
        "The spread (standard deviation) of the accuracies of mean, max and weighted sum, beyond the luck of the "
        "seeds, fine-tuned on single sentences, for the pair of models in three sizes: its slope over the doublings of "
        "the parameters.",
        "Supported: the slope is above zero. Refuted: below. The models are the sample.",
        "9", "python -m helpers.experiments --scale sizes",
        lambda found: future_rules.larger(found.scale, found.folder),
    ),
)  # fmt: skip


def claim(number: str) -> Claim:
    """Return a claim by its id."""
    found = {one.id: one for one in CLAIMS}
    if number not in found:
        raise ValueError(f"There is no claim {number!r}: take one of {', '.join(found)}.")
    return found[number]


def judge(number: str, scale: str, folder: Path = records.RESULTS) -> Verdict:
    """Return what the results of a scale say of one claim.

    Raises
    ------
    NotRun
        Its experiment has not been run at this scale, or not to the end.
    """
    return claim(number).judge(OnFile(scale, folder))


def ledger(scale: str, folder: Path = records.RESULTS) -> pd.DataFrame:
    """Return what the results of a scale say of every claim.

    Returns
    -------
    DataFrame
        Index claim; columns sentence, chapters, test, effect (`Interval`), unit, p (corrected), detectable, n, verdict,
        scale, provenance. Test, effect, p and detectable are those of the test that decides. They are missing where the
        verdict is "not run at this scale".
    """
    rules.settings_of(scale)  # a scale that decides no claim says so
    results, rows = OnFile(scale, folder), []
    for one in CLAIMS:
        row = {"claim": one.id, "sentence": one.sentence, "chapters": one.chapters}
        try:
            found = one.judge(results)
        except NotRun:
            rows.append(row | {"verdict": NOT_RUN, "scale": scale})
            continue
        shown = found.evidence.loc[found.deciding, ["test", "effect", "p", "detectable", "n"]].to_dict()
        told = {"unit": found.unit, "verdict": found.verdict, "scale": scale, "provenance": _provenance(one, results)}
        rows.append(row | shown | told)
    shown = ["test", "effect", "unit", "p", "detectable", "n", "verdict", "scale", "provenance"]
    found = pd.DataFrame(rows, columns=["claim", "sentence", "chapters", *shown]).set_index("claim")
    return found.astype({"n": "Int64"})


def _provenance(one: Claim, found: OnFile) -> str:
    """Commits, dates, machines and precisions of the rows."""
    tables = [found.table]
    if "--scale" in one.source:
        tables.append(Table(one.source.split("--scale ")[1], found.folder))
    if "--only" in one.source:
        names = one.source.split("--only ")[1].split()
        tables = [studies.table(name, found.scale, found.folder) for name in names]
    rows = pd.concat([table.rows for table in tables])
    told = ("commit", "date", "hardware", "precision")
    made = [sorted(rows[column].dropna().astype(str).unique()) for column in told]
    return "; ".join(" and ".join(values) for values in made)
