"""The job system: blobs, records, doorbell, supervisor, runner. Never imports torch; a job's own process does."""
