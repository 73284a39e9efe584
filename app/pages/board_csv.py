"""Entries of the leaderboard as a file for spreadsheets."""

import csv
import io
from collections.abc import Sequence

from app.spreadsheets import harmless
from micronet.tracks import Track
from worker.records.scores import Entry

_HEAD = (
    *("rank", "team", "name", "correct", "images", "margin", "score", "storage", "math", "parameters", "nonzero"),
    *("param_bits", "mul_bits", "sparsity", "policy", "qualifies", "scorer_version", "finished_at", "job"),
    "checkpoint_sha256",
)


def csv_of(entries: Sequence[Entry], chosen: Track, ranked: bool) -> str:
    """Comma-separated values, a line for each entry; ranks only where they are of one policy."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_HEAD)
    writer.writerows(_row(entry, chosen, ranked) for entry in entries)
    return text.getvalue()


def _row(entry: Entry, chosen: Track, ranked: bool) -> tuple[object, ...]:
    return (
        *(entry.rank if ranked else None, harmless(entry.team), harmless(entry.name), entry.correct, entry.images),
        entry.correct - chosen.required_correct,
        *(entry.score, entry.storage_score, entry.math_score, entry.parameters, entry.nonzero),
        *(entry.param_bits, entry.mul_bits, entry.sparsity, entry.policy, entry.qualifies),
        *(entry.scorer_version, entry.finished_at, entry.job_id, entry.sha256),
    )
