"""The tables. Times are ISO 8601 texts in UTC: they sort, read well, and no clock is compared with another's."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_SHA256 = String(64)
_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts by itself in SQLite

tokens = Table(
    "tokens",
    metadata,
    Column("id", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("team", Text, nullable=False),
    Column("hash", _SHA256, nullable=False, unique=True),
    Column("created_at", Text, nullable=False),
    Column("revoked_at", Text),
)

blobs = Table(
    "blobs",
    metadata,
    Column("sha256", _SHA256, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("location", Text, nullable=False, unique=True),
    Column("created_at", Text, nullable=False),
    Column("used_at", Text, nullable=False),
)

holdings = Table(  # who may read a blob and use it in jobs, and whose quota it counts against
    "holdings",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("sha256", _SHA256, ForeignKey("blobs.sha256", ondelete="CASCADE"), primary_key=True),
    Column("created_at", Text, nullable=False),
    Index(None, "sha256"),
)

stored_bytes = Table(  # the sizes of what each owner holds, added up
    "stored_bytes",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("team", Text),
    Column("party", Text, nullable=False),  # who takes turns: the team, or everybody without one together
    Column("name", Text),
    Column("settings", Text, nullable=False),
    Column("checkpoint_sha256", _SHA256),
    Column("checkpoint_size", BigInteger),
    Column("checkpoint_filename", Text),
    Column("attempt", Integer, nullable=False),
    Column("attempts_before", Integer, nullable=False, server_default="0"),  # those up to the last one that got on
    Column("version", Integer, nullable=False),
    Column("turn", BigInteger),  # grows with every claim: who was served last
    Column("claim", Text),
    Column("worker", Text),
    Column("beat", BigInteger, nullable=False),
    Column("lease_seconds", Float),  # that its beat may stand still, as its worker says; nothing of an older version's
    Column("stage_name", Text),
    Column("stage_index", Integer),
    Column("stage_count", Integer),
    Column("progress_done", BigInteger),
    Column("progress_total", BigInteger),
    Column("progress_unit", Text),
    Column("progress_rate", Float),  # units a second, by its worker's own monotonic clock
    Column("created_at", Text, nullable=False),
    Column("started_at", Text),
    Column("finished_at", Text),
    Column("result", Text),
    Column("error", Text),
    Column("artifacts", Text, nullable=False),
    Index(None, "status", "lane", "party", "seq"),
    Index(None, "party", "turn"),
    Index(None, "turn"),
    Index(None, "owner", "seq"),
    Index(None, "owner", "status"),
    Index(None, "owner", "kind", "seq", "status"),
    Index(None, "checkpoint_sha256", "status"),
    # ids are unique, and have an index for that: on PostgreSQL in the order of the database's language, where what
    # begins alike does not always stand together. This one has them in the order of characters.
    Index("ix_jobs_id_beginning", "id", postgresql_ops={"id": "varchar_pattern_ops"}).ddl_if(dialect="postgresql"),
)

BROKEN_OFF = text("event IN ('lost', 'given-back')")
"""Of entries in logs, those of attempts that did not come to an end: as an index of them alone has it."""

job_log = Table(  # what happened to a job
    "job_log",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("job_id", String(32), nullable=False),
    Column("at", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("text", Text, nullable=False),
    Index(None, "job_id", "seq"),
    Index("ix_job_log_broken_off", "event", sqlite_where=BROKEN_OFF, postgresql_where=BROKEN_OFF),
)

job_files = Table(  # what a job's settings name beside its checkpoint
    "job_files",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("sha256", _SHA256, primary_key=True),
    Index(None, "sha256"),
)

job_artifacts = Table(  # what a job made, as its own `artifacts` say: found by the file
    "job_artifacts",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("sha256", _SHA256, primary_key=True),
    Index(None, "sha256"),
)

journal = Table(  # what a long job has written down to go on from; files of its own, nobody's quota
    "journal",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sha256", _SHA256, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("location", Text, nullable=False, unique=True),
    Column("written_at", Text, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", _SHA256, nullable=False),
    Column("job_id", String(32), nullable=False),
    Column("created_at", Text, nullable=False),
)

scores = Table(  # one row for each measured score: what the leaderboard sorts and filters by
    "scores",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("track", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("team", Text),
    Column("name", Text),
    Column("searched", Text, nullable=False, server_default=""),  # team and name with their case folded
    Column("sha256", _SHA256, nullable=False),
    Column("correct", Integer, nullable=False),
    Column("images", Integer, nullable=False),
    Column("qualifies", Boolean, nullable=False),
    Column("score", Float, nullable=False),
    Column("storage_score", Float, nullable=False),
    Column("math_score", Float, nullable=False),
    Column("parameters", BigInteger, nullable=False),
    Column("nonzero", BigInteger, nullable=False),
    Column("param_bits", Integer),
    Column("mul_bits", Integer),
    Column("scorer_version", Text, nullable=False),
    Column("finished_at", Text, nullable=False),
)

MERIT = (scores.c.qualifies.desc(), scores.c.score, scores.c.finished_at, scores.c.job_id)
"""How entries rank. Indexes have those of a board in this order, with all that ranks and counts ask for."""
Index("ix_scores_track_policy_merit", scores.c.track, scores.c.policy, *MERIT, scores.c.team)
Index("ix_scores_track_merit", scores.c.track, *MERIT, scores.c.team)

store = Table("store", metadata, Column("identity", String(32), primary_key=True))  # of the files: one row

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("lanes", Text, nullable=False),
    Column("devices", Text, nullable=False),
    Column("isolation", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("lease_seconds", Float),  # as in `jobs`
    Column("seen_at", Text, nullable=False),
)
