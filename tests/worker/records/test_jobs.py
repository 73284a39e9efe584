"""Laws of the records: a job is accepted once, claimed once, ended once."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.worker.records.making import accept, new_job, store
from tests.worker.records.plans import plans_of
from worker.errors import CheckpointNotFound, IdempotencyConflict, JobNotFound, StorageQuota, TooManyWaiting
from worker.records import Records
from worker.records.jobs import Filter
from worker.records.leases import MAX_ATTEMPTS
from worker.records.tables import jobs as jobs_table
from worker.records.tables import metadata
from worker.records.values import Ending, Idempotency, JobError, Stage, Status, StoredBlob

LANES = ("short",)


def test_migrations_make_the_tables_the_code_speaks_of(records: Records) -> None:
    """But for an index of PostgreSQL's alone, which alembic would have on SQLite too."""
    elsewhere = {"ix_jobs_id_beginning"} if records.database.is_sqlite else set[str]()
    here = {"include_object": lambda _, name, *__: name not in elsewhere}
    with records.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=here), metadata) == []


def test_processes_that_start_at_once_migrate_once(database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for opened in list(pool.map(lambda _: Records(database_url), range(4))):
            assert opened.jobs.counts() == {}
            opened.close()


def test_a_job_is_read_as_it_was_accepted(records: Records) -> None:
    job = accept(records, team="wavecomp", name="entry")
    assert records.jobs.read(job.id) == job
    assert (job.status, job.attempt, job.team, job.name, job.version) == (Status.QUEUED, 0, "wavecomp", "entry", 1)
    assert job.started_at is job.finished_at is job.result is job.error is job.stage is None
    with pytest.raises(JobNotFound):
        records.jobs.read("0" * 32)


def test_a_job_needs_a_checkpoint_its_owner_holds(records: Records) -> None:
    blob = store(records, owner="a")
    with pytest.raises(CheckpointNotFound):
        records.jobs.submit(new_job(blob, owner="b"), None, 10)
    assert records.jobs.submit(new_job(blob, owner="a"), None, 10).new


def test_the_same_key_is_the_same_job_and_another_body_a_conflict(records: Records) -> None:
    blob = store(records)
    first = records.jobs.submit(new_job(blob), Idempotency("key", "f" * 64), 10)
    again = records.jobs.submit(new_job(blob), Idempotency("key", "f" * 64), 10)
    assert first.new
    assert not again.new
    assert again.job == first.job
    with pytest.raises(IdempotencyConflict):
        records.jobs.submit(new_job(blob), Idempotency("key", "e" * 64), 10)
    assert len(records.jobs.list(Filter(), 10)) == 1


def test_keys_are_forgotten_with_time_and_jobs_are_not(records: Records) -> None:
    blob = store(records)
    first = records.jobs.submit(new_job(blob), Idempotency("key", "f" * 64), 10)
    assert records.jobs.forget_keys(days=1) == 0
    assert records.jobs.forget_keys(days=-1) == 1
    again = records.jobs.submit(new_job(blob), Idempotency("key", "e" * 64), 10)
    assert again.job.id != first.job.id
    assert records.jobs.read(first.job.id) == first.job


def test_a_submission_repeated_by_a_broken_connection_is_one_job(records: Records) -> None:
    new = new_job(store(records))
    assert records.jobs.submit(new, None, 10).job == records.jobs.submit(new, None, 10).job


def test_twenty_senders_of_one_key_make_one_job(records: Records) -> None:
    blob = store(records)
    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(lambda _: records.jobs.submit(new_job(blob), Idempotency("k", "f" * 64), 99), range(20)))
    assert len({submitted.job.id for submitted in made}) == 1
    assert sum(submitted.new for submitted in made) == 1


def test_a_team_may_only_have_so_many_jobs_waiting(records: Records) -> None:
    blob = store(records, owner="a")
    store(records, owner="b")
    for _ in range(3):
        records.jobs.submit(new_job(blob, owner="a"), None, 3)
    with pytest.raises(TooManyWaiting):
        records.jobs.submit(new_job(blob, owner="a"), None, 3)
    records.jobs.submit(new_job(blob, owner="b"), None, 3)


def test_listing_is_newest_first_and_goes_on_where_it_stopped(records: Records) -> None:
    made = [accept(records) for _ in range(5)]
    first = records.jobs.list(Filter(), 3)
    rest = records.jobs.list(Filter(before=first[-1].seq), 3)
    assert [job.id for job in (*first, *rest)] == [job.id for job in reversed(made)]
    assert records.jobs.list(Filter(status=Status.RUNNING), 3) == ()
    assert records.jobs.list(Filter(kind="fuse"), 3) == ()


def test_every_job_is_claimed_once_however_many_claim(records: Records) -> None:
    made = {accept(records).id for _ in range(30)}
    claimed: Counter[str] = Counter()

    def work(number: int) -> None:
        while (job := records.leases.claim(f"worker-{number}", LANES)) is not None:
            claimed[job.id] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(claimed) == made
    assert set(claimed.values()) == {1}


def test_teams_take_turns(records: Records) -> None:
    waiting = ["a", "a", "a", "a", "b", "b", "c"]
    for team in waiting:
        accept(records, team=team)
    order = []
    while (job := records.leases.claim("w", LANES)) is not None:
        order.append(job.team)
        records.leases.finish(job, Ending(Status.SUCCEEDED))
    assert order == ["a", "b", "c", "a", "b", "a", "a"]


def test_a_team_with_a_job_running_lets_others_go_first(records: Records) -> None:
    accept(records, team="a")
    assert records.leases.claim("w", LANES) is not None
    accept(records, team="a")
    accept(records, team="b")
    second = records.leases.claim("w", LANES)
    assert second is not None
    assert second.team == "b"


def test_a_team_that_trains_has_its_turn_for_what_is_short(records: Records) -> None:
    """Else it never had: another team that always has something waiting had the fewer jobs running each time."""
    accept(records, team="a", lane="long")
    assert records.leases.claim("w", ("short", "long")) is not None
    waiting = [accept(records, team=team) for team in ("b", "b", "a", "a", "b")]
    assert [records.jobs.place(job) for job in waiting] == [1, 3, 2, 4, 5]
    order = []
    while (job := records.leases.claim("w", LANES)) is not None:
        order.append(job.id)
        records.leases.finish(job, Ending(Status.SUCCEEDED))
    assert order == [waiting[at].id for at in (0, 2, 1, 3, 4)]


def test_who_trains_leaves_the_next_slot_for_training_to_others(records: Records) -> None:
    accept(records, team="a", lane="long")
    assert records.leases.claim("w", ("long",)) is not None
    again, other = accept(records, team="a", lane="long"), accept(records, team="b", lane="long")
    assert (records.jobs.place(again), records.jobs.place(other)) == (2, 1)
    job = records.leases.claim("w", ("short", "long"))
    assert job is not None
    assert job.id == other.id


@pytest.mark.parametrize("seed", range(3))
def test_places_are_the_order_in_which_jobs_are_claimed(records: Records, seed: int) -> None:
    """Whatever runs already, in which lane, and whoever was served before."""
    chance = random.Random(seed)
    for lane in chance.choices(["short", "long"], [3, 1], k=12):
        accept(records, team=chance.choice("abcd"), lane=lane)
    for _ in range(7):
        job = records.leases.claim("w", (chance.choice(["short", "long"]),))
        if job is not None and chance.random() < 0.5:
            records.leases.finish(job, Ending(Status.SUCCEEDED))
    for _ in range(12):
        accept(records, team=chance.choice("abcd"))
    waiting = records.jobs.list(Filter(status=Status.QUEUED), 100)
    places = records.jobs.places([job.id for job in waiting])
    assert places == {job.id: records.jobs.place(job) for job in waiting}
    assert {type(records.jobs.place(job)) for job in waiting} == {int}, "sums of PostgreSQL are no integers"
    expected = sorted((job for job in waiting if job.lane == "short"), key=lambda job: places[job.id])
    assert [places[job.id] for job in expected] == list(range(1, len(expected) + 1))
    for job in expected:
        claimed = records.leases.claim("w", LANES)
        assert claimed is not None
        assert claimed.id == job.id


def test_places_are_the_order_of_turns(records: Records) -> None:
    jobs = [accept(records, team=team) for team in ("a", "a", "b", "c")]
    assert [records.jobs.place(job) for job in jobs] == [1, 4, 2, 3]
    assert records.jobs.places([job.id for job in jobs]) == {job.id: records.jobs.place(job) for job in jobs}


def test_only_what_waits_has_a_place_and_is_put_in_order(records: Records) -> None:
    """Followers of jobs that run ask for their places too, once a second."""
    jobs = [accept(records) for _ in range(3)]
    ids = [job.id for job in jobs]
    assert records.jobs.places(ids) == {job_id: place for place, job_id in enumerate(ids, 1)}
    assert records.leases.claim("w", LANES) is not None
    assert records.jobs.places(ids) == {ids[1]: 1, ids[2]: 2}
    running = [ids[0], "0" * 32]
    assert records.jobs.places(running) == {}
    assert len(plans_of(records, lambda: records.jobs.places(running))) == 1, "where nothing waits, nothing is ordered"
    assert plans_of(records, lambda: records.jobs.places([])) == []


def test_where_more_wait_than_are_to_be_put_in_order_there_are_no_places(records: Records) -> None:
    ids = [accept(records).id for _ in range(3)]
    assert records.jobs.places(ids[2:], most=3) == {ids[2]: 3}
    assert records.jobs.places(ids[2:], most=2) == {}
    assert len(plans_of(records, lambda: records.jobs.places(ids, most=2))) == 2, "they are not put in order"
    assert records.leases.claim("w", LANES) is not None
    assert records.jobs.places(ids, most=2) == {ids[1]: 1, ids[2]: 2}, "what runs does not wait"


def test_who_can_do_some_kinds_only_claims_these_and_teams_take_turns(records: Records) -> None:
    for team, kind in (("a", "score"), ("a", "fuse"), ("a", "count"), ("b", "score"), ("b", "count")):
        accept(records, team=team, kind=kind)
    can_do = ("count", "fuse")
    assert records.leases.waiting(LANES, can_do) == 3
    order = []
    while (job := records.leases.claim("w", LANES, kinds=can_do)) is not None:
        order.append((job.team, job.kind))
        records.leases.finish(job, Ending(Status.SUCCEEDED))
    assert order == [("a", "fuse"), ("b", "count"), ("a", "count")]
    assert (records.leases.waiting(LANES, can_do), records.leases.waiting(LANES)) == (0, 2)


def test_lanes_are_apart(records: Records) -> None:
    accept(records, lane="long")
    assert records.leases.claim("w", ("short",)) is None
    assert records.leases.claim("w", ("short", "long")) is not None


def test_progress_raises_the_version_and_a_bare_beat_does_not(records: Records) -> None:
    accept(records)
    job = records.leases.claim("w", LANES)
    assert job is not None
    stage = Stage("evaluate", 3, 4, 100, 10_000, "images")
    assert records.leases.beat(job, stage) is Status.RUNNING
    seen = records.jobs.read(job.id)
    assert (seen.stage, seen.version) == (stage, job.version + 1)
    assert records.leases.beat(job, stage) is Status.RUNNING
    assert records.jobs.read(job.id).version == seen.version


def test_canceling_a_waiting_job_ends_it_and_a_running_one_is_asked(records: Records) -> None:
    waiting = accept(records)
    assert records.jobs.cancel(waiting.id).status is Status.CANCELED
    assert records.leases.claim("w", LANES) is None
    accept(records)
    job = records.leases.claim("w", LANES)
    assert job is not None
    assert records.jobs.cancel(job.id).status is Status.CANCELING
    assert records.leases.beat(job, None) is Status.CANCELING
    assert records.leases.finish(job, Ending(Status.SUCCEEDED, result="{}"))
    ended = records.jobs.cancel(job.id)
    assert (ended.status, ended.result) == (Status.CANCELED, None)


def test_a_job_ends_once(records: Records) -> None:
    accept(records, kind="fuse")
    job = records.leases.claim("w", LANES)
    assert job is not None
    assert records.leases.finish(job, Ending(Status.SUCCEEDED, result='{"a": 1}'))
    assert records.leases.finish(job, Ending(Status.FAILED, error=JobError(code="x", title="x", detail="x")))
    ended = records.jobs.read(job.id)
    assert (ended.status, ended.result, ended.error) == (Status.SUCCEEDED, '{"a": 1}', None)


def test_a_worker_that_lost_its_lease_changes_nothing(records: Records) -> None:
    accept(records)
    first = records.leases.claim("w1", LANES)
    assert first is not None
    (lease,) = records.leases.held()
    assert records.leases.expire(lease) is Status.QUEUED
    second = records.leases.claim("w2", LANES)
    assert second is not None
    assert (second.id, second.attempt) == (first.id, 2)
    assert records.leases.beat(first, None) is None
    assert not records.leases.finish(first, Ending(Status.SUCCEEDED))
    assert not records.leases.give_back(first)
    assert records.leases.beat(second, None) is Status.RUNNING


def test_a_lease_that_beat_since_it_was_seen_does_not_expire(records: Records) -> None:
    accept(records)
    job = records.leases.claim("w", LANES)
    assert job is not None
    (lease,) = records.leases.held()
    records.leases.beat(job, None)
    assert records.leases.expire(lease) is None


def test_a_job_that_loses_every_worker_fails(records: Records) -> None:
    job = accept(records)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        claimed = records.leases.claim("w", LANES)
        assert claimed is not None
        assert claimed.attempt == attempt
        (lease,) = records.leases.held()
        records.leases.expire(lease)
    lost = records.jobs.read(job.id)
    assert lost.status is Status.FAILED
    assert lost.error is not None
    assert (lost.error.code, lost.error.yours) == ("worker-lost", False)


def test_a_job_given_back_was_never_tried(records: Records) -> None:
    accept(records)
    for _ in range(5):
        job = records.leases.claim("w", LANES)
        assert job is not None
        assert job.attempt == 1
        assert records.leases.give_back(job)


def test_a_dead_worker_of_a_job_being_canceled_leaves_it_canceled(records: Records) -> None:
    job = accept(records)
    records.leases.claim("w", LANES)
    records.jobs.cancel(job.id)
    (lease,) = records.leases.held()
    assert records.leases.expire(lease) is Status.CANCELED


def test_a_job_written_in_one_transaction_or_not_at_all(records: Records) -> None:
    blob = store(records)
    broken = new_job(blob, settings=None)  # violates NOT NULL at the very last statement but one
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        records.jobs.submit(broken, Idempotency("k", "f" * 64), 10)
    assert records.jobs.submit(new_job(blob), Idempotency("k", "e" * 64), 10).new


def test_files_needed_by_a_job_are_never_forgotten(records: Records) -> None:
    job = accept(records)
    idle = store(records, content="idle")
    assert records.blobs.forget_unneeded(days=-1, total_bytes=0) == (idle,)
    assert records.blobs.find(job.checkpoint.sha256, None) is not None
    records.jobs.cancel(job.id)
    (gone,) = records.blobs.forget_unneeded(days=365, total_bytes=0)
    assert gone.sha256 == job.checkpoint.sha256
    assert records.jobs.read(job.id).checkpoint == job.checkpoint


def test_the_longest_unused_goes_first_and_no_more_than_needed(records: Records) -> None:
    blobs = [store(records, content=str(number), size=100) for number in range(4)]
    assert records.blobs.forget_unneeded(days=365, total_bytes=250) == tuple(blobs[:2])


def test_a_second_copy_is_not_kept_and_both_owners_hold_the_first(records: Records) -> None:
    first = store(records, owner="a")
    copy = StoredBlob(first.sha256, first.size, "another/place")
    assert records.blobs.add(copy, "b") == first
    assert records.blobs.find(first.sha256, "b") == first
    assert records.blobs.find(first.sha256, "c") is None


def test_a_team_may_store_only_so_much(records: Records) -> None:
    store(records, owner="a", content="1", size=60)
    with pytest.raises(StorageQuota):
        store(records, owner="a", content="2", size=50, quota=100)
    store(records, owner="a", content="1", size=60, quota=100)
    store(records, owner="b", content="2", size=50, quota=100)


def test_tokens_are_kept_as_hashes_and_can_be_revoked(records: Records) -> None:
    assert not records.tokens.were_made()
    token, other = records.tokens.create("a"), records.tokens.create("b")
    assert records.tokens.team(token) == "a"
    assert records.tokens.team(token + "x") is None
    assert records.tokens.count() == {"a": 1, "b": 1}
    with records.database.engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text("SELECT * FROM tokens")).all()
    assert token not in str(rows)
    assert records.tokens.revoke("a") == 1
    assert records.tokens.team(token) is None
    assert records.tokens.team(other) == "b"
    assert records.tokens.revoke("b") == 1
    assert records.tokens.count() == {}
    assert records.tokens.were_made()


def test_names_with_every_kind_of_character_survive(records: Records) -> None:
    text = "'; DROP TABLE jobs; -- \N{SNOWMAN}<script>\t\N{RIGHT-TO-LEFT OVERRIDE}"
    assert records.jobs.read(accept(records, name=text).id).name == text
    with records.database.engine.connect() as connection:
        assert connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(jobs_table)) == 1


def test_jobs_of_a_kind_are_found_by_an_index(records: Records) -> None:
    """None of a kind, among a hundred thousand of others, are found at once, and those of a status among many."""
    accept(records, owner="blue")
    few = accept(records, owner="blue", kind="train")
    for wanted in (Filter(owner="blue", kind="train"), Filter(owner="blue", kind="train", before=few.seq + 1)):
        plans = plans_of(records, lambda wanted=wanted: records.jobs.list(wanted, 10))
        assert [each.count("ix_jobs_owner_kind_seq_status") for each in plans] == [1]
        assert [job.id for job in records.jobs.list(wanted, 10)] == [few.id]
