"""Which pooling made the vectors that a server sends? Is it the one that the model declares?

    python -m helpers.audit MODEL --endpoint http://localhost:8080
    python -m helpers.audit MODEL --vectors FILE.npy --texts FILE
    python -m helpers.audit MODEL --sentence-transformers

MODEL is a folder, a hub id (with --revision) or a name of the course. Its own weights say what each recipe would give;
every recipe is laid beside what is served. Exit code 0: as declared. 1: not as declared. 2: this could not be told.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor
from transformers.utils import logging as transformers_logging

from helpers import arguments, declared, encoders, endpoints, served, verdicts
from helpers.recipes import Model, words
from helpers.served import CLOSE, EXACT, HALF_PRECISION, TOLD_APART
from helpers.verdicts import AGREES, CANNOT_TELL, CODES, MISPOOLED

SHOWN, BAR = 8, 20  # recipes in the table, and the length of the longest bar
MOST_TEXTS = 32  # of a file: they are taken for one batch


@dataclass(frozen=True)
class Report:
    """What an audit found.

    Attributes
    ----------
    status : {"agrees", "mis-pooled", "cannot tell"}
    line : str
        The verdict in one sentence.
    declared : tuple of str
        What the folder says.
    scores : DataFrame
        The nearest recipe first: recipe (in words), same (how many others give the same numbers), cosine, worst, error,
        loss (`served.Score`).
    invariances : DataFrame
        How far a text's vector moves when it is asked for in another way; empty for vectors from a file.
    """

    status: str
    line: str
    declared: tuple[str, ...]
    scores: pd.DataFrame
    invariances: pd.DataFrame

    @property
    def code(self) -> int:
        """0 agrees, 1 mis-pooled, 2 cannot tell."""
        return CODES[self.status]


def load(name: str, revision: str | None = None) -> Model:
    """Load a model with what its folder declares. Errors as in `encoders.load` and `declared.read`."""
    folder = encoders.folder(name, revision, declared.FILES)
    says = declared.read(folder)
    encoder = encoders.load(str(folder / says.transformer) if says.transformer else name, revision)
    return Model(replace(encoder, name=Path(name).name), says)


def audit(
    model: Model, requests: Sequence[Sequence[str]], vectors: Tensor, invariances: pd.DataFrame | None = None,
    quantized: bool = False,
) -> Report:  # fmt: skip
    """Compare what is served with what is declared.

    Parameters
    ----------
    model, requests, vectors
        As in `served.identify`.
    invariances : DataFrame, optional
        From `served.ask`.
    quantized : bool
        Whether the server is known to use weights of few bits: then vectors that nearly fit are taken for right.
    """
    requests = [arguments.texts(request) for request in requests]
    vectors = torch.as_tensor(arguments.numbers("vectors", vectors, "[N, d]"), dtype=torch.float32)
    if not requests or len(vectors) != sum(map(len, requests)):
        raise ValueError(f"{len(vectors)} vectors do not fit {sum(map(len, requests))} texts: give one row a text.")
    ours = invariances is not None  # the texts are our own, and were asked for in every way
    if invariances is None:
        invariances = pd.DataFrame({"largest change": [], "holds": []})
    scores = served.identify(model, requests, vectors)
    still = bool(invariances.holds.all())
    alone = None if still else verdicts.alone(model, requests, vectors)
    if quantized and not still and alone is None:  # few bits are rounded by their batch: two errors, each up to CLOSE
        invariances = invariances.assign(holds=invariances["largest change"] <= 2 * CLOSE)
        invariances.loc[served.AGAIN, "holds"] = invariances["largest change"][served.AGAIN] <= HALF_PRECISION
        still = bool(invariances.holds.all())
    status, line = verdicts.judge(model, scores, vectors, ours, quantized)
    moved = " and ".join(invariances.index[~invariances.holds.astype(bool)])
    if not invariances.holds.get(served.AGAIN, True):
        status, line = MISPOOLED, f"the same text asked for again has another vector (dropout left on?); {line}"
    elif alone and scores[0].loss > max(EXACT, TOLD_APART * alone[1][0].loss):  # no recipe explains how it moves
        status, line = verdicts.judge_alone(model, requests, vectors, *alone)
        scores = alone[1]
    elif not still and status == AGREES:
        status, line = MISPOOLED, f"the pooling is the declared one, but a text has another vector {moved}"
    elif not still and status == CANNOT_TELL:
        line = f"{line}; a text has another vector {moved}"
    table = pd.DataFrame([{"recipe": words(score.recipe, model), "same": same, "cosine": score.cosine,
                           "worst": score.worst, "error": score.error, "loss": score.loss}
                          for score, same in served.distinct(scores, model)])  # fmt: skip
    return Report(status, line, model.declared.told, table, invariances)


# The command


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--revision", help="of a hub id: the commit's hash")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--endpoint", metavar="URL", help="of a server; with a key, set " + endpoints.KEY)
    source.add_argument("--vectors", type=Path, metavar="FILE.npy", help="[n, d], of --texts")
    source.add_argument("--sentence-transformers", action="store_true", help="what that library makes of MODEL")
    parser.add_argument("--texts", type=Path, metavar="FILE", help="one text a line, as they were embedded")
    parser.add_argument("--served-name", metavar="NAME", help="what the server calls the model, if not MODEL")
    parser.add_argument("--quantized", action="store_true", help="the server's weights have few bits: nearly is right")
    parser.add_argument("--expect", choices=declared.MODES, help="the right pooling, where MODEL declares none")
    parser.add_argument("--figure", type=Path, metavar="FILE.png", help="draw the cosine of each recipe")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    chosen = parser.parse_args(arguments)
    if (chosen.vectors is None) != (chosen.texts is None):
        parser.error("--vectors and --texts belong together: give both")
    try:
        transformers_logging.disable_progress_bar()
        model = load(chosen.model, chosen.revision)
        if chosen.expect:
            model = replace(model, declared=_expected(model.declared, chosen.expect))
        report = _reported(model, chosen)
        if chosen.figure and len(report.scores):
            draw(report).savefig(chosen.figure, bbox_inches="tight")
    except Exception as error:  # whatever it is, it is no verdict: one sentence, and not the exit code of an accusation
        report = Report(CANNOT_TELL, f"this could not be tested: {error or type(error).__name__}", (), pd.DataFrame(),
                        pd.DataFrame())  # fmt: skip
    said = as_json(report) if chosen.json else as_text(report)
    # Nothing that a server or a folder says may steer the terminal; and a terminal may lack a character.
    said = "".join(one if one.isprintable() or one == "\n" else " " for one in said)
    print(said.encode(sys.stdout.encoding or "utf-8", errors="replace").decode(sys.stdout.encoding or "utf-8"))
    return report.code


def _expected(says: declared.Declared, mode: str) -> declared.Declared:
    """What a folder declares, with the pooling that the user gives."""
    return replace(says, modes=(declared.MODES[mode],), told=(*says.told, f"you say: {mode}"))


def _reported(model: Model, chosen: argparse.Namespace) -> Report:
    if chosen.vectors:
        texts, vectors = _from_files(chosen.texts, chosen.vectors)
        return audit(model, [texts], vectors, quantized=chosen.quantized)
    if chosen.endpoint:
        embed = endpoints.find(chosen.endpoint, chosen.served_name or chosen.model).embed
    elif chosen.sentence_transformers:
        from sentence_transformers import SentenceTransformer  # slow to import

        folder = encoders.folder(chosen.model, chosen.revision, declared.FILES)
        embed = SentenceTransformer(str(folder), local_files_only=True).encode
    else:
        likely = declared.likely(declared.is_causal(model.encoder.model))
        line = "nothing served was given: add --endpoint URL, --vectors with --texts, or --sentence-transformers"
        told = model.declared.told if model.declared.modes else (*model.declared.told, f"likely {likely}")
        return Report(CANNOT_TELL, line, told, pd.DataFrame(), pd.DataFrame())
    return audit(model, *served.ask(embed), quantized=chosen.quantized)


def _from_files(texts: Path, vectors: Path) -> tuple[list[str], Tensor]:
    try:
        lines = texts.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{texts.name} is no text in UTF-8: save it so.") from error
    try:
        found = np.load(vectors, allow_pickle=False)  # a pickle could run code
    except FileNotFoundError:
        raise
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{vectors.name} is no array of numbers: write it with numpy.save.") from error
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind != "f" or not found.size:
        raise ValueError(f"{vectors.name} is no array of floating-point numbers of shape [texts, numbers].")
    if len(found) != len(lines):
        raise ValueError(f"{vectors.name} has {len(found)} rows and {texts.name} {len(lines)} lines: one for each.")
    if not (np.abs(found) < endpoints.LARGEST).all():  # NaN as well
        raise ValueError(f"{vectors.name} holds NaN, infinity or a number above {endpoints.LARGEST:.0e}.")
    return lines[:MOST_TEXTS], torch.as_tensor(found[:MOST_TEXTS], dtype=torch.float32)


def as_text(report: Report) -> str:
    """Return a report for a terminal: the verdict, then the evidence."""
    lines = [f"{report.status.upper()}: {report.line}", "", "Declared", *(f"  {one}" for one in report.declared)]
    if len(report.scores):
        lines += ["", "Served: the nearest recipes", "   cosine   smallest  largest error"]
        lines += [f"  {row.cosine:8.5f}  {row.worst:8.5f}  {row.error:10.2e}   {_bar(row.cosine)}"
                  f"  {row.recipe}{f' (and {row.same} that give the same)' * (row.same > 0)}"
                  for row in report.scores.head(SHOWN).itertuples()]  # fmt: skip
    if len(report.invariances):
        lines += ["", "The same text, asked for in another way: how far its vector moves (0: not at all)"]
        lines += [f"  {row['largest change']:.1e}  {'holds' if row.holds else 'DOES NOT HOLD'}: {name}"
                  for name, row in report.invariances.iterrows()]  # fmt: skip
    return "\n".join(lines)


def _bar(cosine: float) -> str:
    return f"{'█' * round(BAR * max(cosine, 0)):{BAR}}"


def as_json(report: Report) -> str:
    """Return a report as JSON."""
    return json.dumps({
        "status": report.status, "line": report.line, "code": report.code, "declared": report.declared,
        "recipes": report.scores.head(SHOWN).to_dict("records"),
        "invariances": report.invariances.reset_index(names="asked").to_dict("records"),
    }, indent=1)  # fmt: skip


def draw(report: Report) -> Figure:
    """Draw the cosine of the nearest recipe of each pooling, whatever else it does."""
    named = report.scores.assign(pooling=report.scores.recipe.str.split(",").str[0])
    named = named.sort_values("cosine", ascending=False, kind="stable")  # of equal cosines the nearer one
    best = named.drop_duplicates("pooling").head(SHOWN)
    figure, axes = plt.subplots(figsize=(7.5, 0.45 * len(best) + 1))
    axes.barh(best.recipe, best.cosine.clip(lower=0), color="#0173b2")
    axes.invert_yaxis()
    axes.set(xlabel="cosine with what is served, mean over the texts", xlim=(0, 1), title=report.status)
    return figure


if __name__ == "__main__":
    print("Reading the model and trying every recipe: a moment, or minutes with a large model.", file=sys.stderr)
    sys.exit(main())
