"""Helpers of the course: one line from texts to verdicts, one module a step.

``data`` → ``encoders`` → ``pooling`` → ``heads`` and ``finetuning`` → ``evaluation`` and ``contrasts`` → ``rules`` →
``claims`` → ``figures``. The long runs behind the tables: ``grid`` (what is run), ``records`` (the table) and
``experiments`` (the command); ``cells`` reads one cell of the table for a chapter. Below them stand ``course`` (a
session; with ``doctor``, ``packages`` and ``progress``), ``sources`` (where files come from), ``checkpoints`` (from
files to an encoder), ``memory`` (when it runs out), ``cache`` (files written once), ``arguments`` (what a caller
gives, checked) and ``masked`` (what poolings are built from); beside ``figures`` stand ``checks``, ``widgets`` and
``views``.
Chapter 6 asks classifiers (``classifiers``, ``trained``) about other texts (``templates``, ``doses``) and their
``words``: ``explain``, ``faithfulness`` and ``fairness`` say what, ``classifier_studies`` runs it, ``study_rules``
judges.

Chapter 7: ``documentation`` and ``tasks`` (questions, summaries), ``yardsticks`` (what a choice is worth), ``matching``
(question and candidate), ``task_studies``, ``task_rules``. Chapter 9: ``attentions`` (richer poolings), ``evidence``
(one sentence among many), ``evidence_studies``, ``future_rules``. ``study`` is what all studies share, and ``studies``
the command that runs them.

Chapter 8: ``declared`` (what a folder says), ``readings`` and ``recipes`` (every way to make a vector), ``endpoints``
and ``served`` (ask a server, find its recipe), ``audit`` (the verdict, and the command); ``mysteries`` and
``serving_studies`` are the chapter's own.
"""

import os

# The hub's libraries (huggingface_hub, and hf_xet, which fetches for it) tell of their use unless this is set before
# they are loaded. Every helper comes after this line. Who sets the variable has the last word.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
