"""What a choice among texts is worth, and how well one chooses without a model: the two yardsticks of chapter 7."""

from collections.abc import Sequence
from functools import lru_cache

import bm25s
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from helpers import arguments
from helpers.documentation import stems

ROUGE = ("rouge1", "rouge2", "rougeL")


def rouge(summary: str, sentences: Sequence[str]) -> np.ndarray:
    """Return how much of a human summary each sentence holds and how little else: ROUGE-1, 2 and L, ``[sentences, 3]``.

    F1 of shared words, of shared pairs of words, and of the longest common subsequence, after stemming (Lin 2004; the
    package rouge-score).
    """
    summary, sentences = arguments.text(summary, "summary"), arguments.texts(sentences)
    found = [_scorer().score(summary, sentence) for sentence in sentences]
    return np.array([[one[kind].fmeasure for kind in ROUGE] for one in found])


@lru_cache
def _scorer():
    from rouge_score.rouge_scorer import RougeScorer  # here, because it imports nltk, which opens files

    return RougeScorer(list(ROUGE), use_stemmer=True)


# Answers: scores of a set's candidates, one array a question


def reciprocal_rank(scores: np.ndarray, answer: int) -> float:
    """Return 1 over the rank of the answer. Among equal scores each order is as likely: then what is expected.

    With one right answer a question, its mean is the mean average precision (MAP) as well.
    """
    first, equal = _ranked(scores, answer)
    return float((1 / np.arange(first, first + equal)).mean())


def top_1(scores: np.ndarray, answer: int) -> float:
    """Return 1 where the answer comes first, else 0; with k equal scores at the top 1 / k."""
    first, equal = _ranked(scores, answer)
    return 1 / equal if first == 1 else 0.0


def rank(scores: np.ndarray, answer: int, rng: np.random.Generator) -> int:
    """Return the rank of the answer, from 1. Among equal scores one order is drawn."""
    first, equal = _ranked(scores, answer)
    return first + int(rng.integers(equal))


def _ranked(scores: np.ndarray, answer: int) -> tuple[int, int]:
    """The best rank that the answer may have, and how many candidates have its score."""
    scores = arguments.numbers("scores", scores, "[candidates]")
    answer = arguments.whole("answer", answer, 0, len(scores) - 1)
    return 1 + int((scores > scores[answer]).sum()), int((scores == scores[answer]).sum())


def overlap(questions: Sequence[str], candidates: Sequence[list[str]]) -> list[np.ndarray]:
    """Return the share of a question's stems that each of its candidates has."""
    asked = [set(stems(question)) for question in questions]
    return [np.array([len(own.intersection(stems(text))) / max(1, len(own)) for text in texts])
            for own, texts in zip(asked, candidates, strict=True)]  # fmt: skip


def bm25(questions: Sequence[str], candidates: Sequence[list[str]]) -> list[np.ndarray]:
    """Return the BM25 scores of each question's candidates (Robertson and Zaragoza 2009; the package bm25s).

    How telling a word is follows from the candidates of all questions, each counted once.
    """
    texts = list(dict.fromkeys(text for own in candidates for text in own))
    place = {text: number for number, text in enumerate(texts)}
    index = bm25s.BM25()
    index.index([stems(text) or ["-"] for text in texts], show_progress=False)
    known = index.vocab_dict
    asked = [[word for word in stems(question) if word in known] for question in questions]
    return [index.get_scores(own)[[place[text] for text in texts]] if own else np.zeros(len(texts))
            for own, texts in zip(asked, candidates, strict=True)]  # fmt: skip


# Summaries


def central(documents: Sequence[list[str]]) -> list[int]:
    """Choose of each document the sentence nearest to its centroid in TF-IDF space (Radev et al. 2004)."""
    vectors = TfidfVectorizer(sublinear_tf=True).fit([sentence for own in documents for sentence in own])
    found = []
    for own in documents:
        parts = vectors.transform(own)  # rows of length 1, or 0
        found.append(int(np.asarray(parts @ parts.mean(axis=0).T).argmax()))
    return found
