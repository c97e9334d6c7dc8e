"""Helpers of the course: one line from texts to verdicts, one module a step.

``data`` → ``encoders`` → ``pooling`` → ``heads`` and ``finetuning`` → ``evaluation`` and ``contrasts`` → ``rules`` →
``claims`` → ``figures``. The long runs behind the tables: ``grid`` (what is run), ``records`` (the table) and
``experiments`` (the command). Below them stand ``course`` (a session), ``sources`` (where files come from),
``checkpoints`` (from files to an encoder) and ``cache`` (files written once); beside ``figures`` stand ``checks`` and
``widgets``.
"""
