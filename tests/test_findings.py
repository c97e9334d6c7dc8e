"""The main finding, as picture and sentence: what README and book show is what the tables say."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from helpers.contrasts import Contrast
from helpers.evaluation import Interval
from tools import findings
from tools.project import ROOT

#: Of the colour scale 0 to 1, mean over the picture: fonts may be smoothed a little differently.
SAME_PICTURE = 0.01


@pytest.fixture(scope="module")
def found():
    return findings.gaps()


def test_readme_and_picture_are_what_the_tables_say(found, tmp_path):
    assert findings.sentence(found) in (ROOT / "README.md").read_text(encoding="utf-8")
    findings.draw(found).savefig(tmp_path / "again.png", dpi=110)
    kept, again = (plt.imread(path)[..., :3] for path in (findings.PICTURE, tmp_path / "again.png"))
    assert kept.shape == again.shape and np.abs(kept - again).mean() < SAME_PICTURE


def test_every_cell_and_method_is_there_and_corrected_together(found):
    assert len(found) == len({(gap.method, gap.model, gap.mode, gap.dataset) for gap in found}) == 5 * 8
    raw, corrected = np.array([(gap.contrast.p, gap.p) for gap in found]).T
    smallest = raw.argmin()
    assert (corrected >= raw).all() and corrected[smallest] == pytest.approx(min(1, raw[smallest] * len(found)))


def planted(method: str, effect: float, p: float, found) -> findings.Gap:
    """A gap of a known size in the first cell."""
    like = next(gap for gap in found if gap.method == method)
    contrast = Contrast(**{**vars(like.contrast), "effect": Interval(effect, effect - 0.01, effect + 0.01), "p": p})
    return findings.Gap(method, like.model, like.mode, like.dataset, contrast, p)


def test_the_sentence_counts_what_is_shown_and_nothing_else(found):
    gaps = [planted("max", 0.2, 0.01, found), planted("first", -0.2, 0.049, found), planted("last", -0.3, 0.051, found)]
    said = findings.sentence(gaps)
    assert "max: ahead in 1, behind in 0" in said and "first token: ahead in 0, behind in 1" in said
    assert "last token: ahead in 0, behind in 0" in said and "in 1 cells" in said
