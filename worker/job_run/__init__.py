"""One attempt at a job, from the claim to its end in the records: `run.run_job`."""
