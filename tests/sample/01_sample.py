# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A sample chapter
#
# It is small and belongs to the tests: it has one cell of each kind, so that the tools are tested on their own.

# %% tags=["setup"]
import os

REPOSITORY, RELEASE, SCALE = "REPOSITORY_URL", "RELEASE_TAG", os.environ["COURSE_SCALE"]

# %% tags=["imports"]
import base64
from dataclasses import dataclass

from IPython.display import display


@dataclass
class Verdict:
    status: str

    def __repr__(self):
        return {"passed": "✔ passed", "failed": "✘ failed", "not attempted": "○ not attempted yet"}[self.status]


# %% [markdown]
# The mean of $n$ token states $h_1, \dots, h_n$ is
#
# $$\bar h = \frac{1}{n} \sum_{i=1}^{n} h_i .$$

# %% [markdown] tags=["predict"]
# What is the mean of 2, 4 and 9?
#
# Write it down before you run the next cell.

# %% tags=["nbval-check-output"]
sum([2, 4, 9]) / 3

# %% tags=["ex-1.1"]
numbers = [2, 4, 9]


# %% tags=["exercise", "ex-1.1"]
def mean(values):
    ...


# %% [markdown] tags=["hint", "ex-1.1"]
# `sum` adds, and `len` counts.

# %% tags=["check", "ex-1.1"]
answer = mean(numbers)
Verdict("not attempted" if answer is None else "passed" if answer == 5 else "failed")


# %% tags=["solution", "ex-1.1"]
def mean(values):
    total = sum(values)
    return total / len(values)


# %% [markdown]
# A figure, with its alt text in the output.

# %%
dot = "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNkYPhfz0AEYBxVSF+FAP5FDvcfRYWgAAAAAElFTkSuQmCC"
picture = {"image/png": base64.b64decode(dot)}
display(picture, raw=True, metadata={"image/png": {"alt": "A small coloured square."}})

# %% tags=["widget"]
import ipywidgets

ipywidgets.IntSlider(description="a slider")

# %% [markdown] tags=["quiz"]
# 1. Does the order of the tokens change their mean?
#
#    Answer: No. A sum does not depend on the order
#    of what is added.
#
# 2. And one padded place that is counted?
#
#    Answer: Yes, it moves the mean towards what stands there.
