"""Helpers of the course: one line from texts to verdicts, one module a step.

``data`` → ``encoders`` → ``pooling`` → ``heads`` → ``evaluation`` → ``figures``.
Below them stand ``course`` (a session), ``sources`` (where files come from) and
``cache`` (files written once); beside ``figures`` stand ``checks`` and ``widgets``.
"""
