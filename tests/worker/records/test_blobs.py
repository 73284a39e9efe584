"""Which files are forgotten, and which stay whatever their age."""

from tests.worker.records.making import store
from tests.worker.records.test_scores import keep, row
from worker.records import Records

NEVER, SOON = 365, -1


def test_what_the_best_entries_were_measured_on_stays_to_be_measured_again(records: Records) -> None:
    """Each team's best on each board that qualifies; the others go with time, as any file does."""
    files = {
        name: store(records, content=name, size=100) for name in ["better", "worse", "failed", "other", "unranked"]
    }
    keep(
        records,
        row(team="a", score=0.03, sha256=files["better"].sha256),
        row(team="a", score=0.04, sha256=files["worse"].sha256),
        row(team="a", score=0.01, correct=7999, sha256=files["failed"].sha256),
        row(team="b", score=0.05, sha256=files["other"].sha256),
    )
    forgotten = records.blobs.forget_unneeded(days=SOON, total_bytes=1000)
    assert {blob.sha256 for blob in forgotten} == {files[name].sha256 for name in ("worse", "failed", "unranked")}
    assert records.blobs.find(files["better"].sha256, None) == files["better"]


def test_where_there_is_too_much_they_go_last(records: Records) -> None:
    best, young = store(records, content="best", size=100), store(records, content="young", size=100)
    keep(records, row(sha256=best.sha256))
    assert records.blobs.forget_unneeded(days=NEVER, total_bytes=150) == (young,)
    assert records.blobs.forget_unneeded(days=NEVER, total_bytes=50) == (best,)


def test_the_better_entry_takes_the_place_of_the_one_before(records: Records) -> None:
    first, second = store(records, content="first"), store(records, content="second")
    keep(records, row(team="a", policy="challenge", score=0.03, sha256=first.sha256))
    assert records.blobs.forget_unneeded(days=SOON, total_bytes=1000) == (second,)
    second = store(records, content="second")
    keep(records, row(team="a", policy="challenge", score=0.02, sha256=second.sha256))
    assert records.blobs.forget_unneeded(days=SOON, total_bytes=1000) == (first,)
