"""One attempt at a job, from the claim to its end in the records.

run                  `run_job`: the whole of it, in order
context, attempt     what a worker runs jobs with; that, one job and its heartbeat
fetching             the job's files, from the store into its scratch directory
heartbeat, pace      renews the lease and tells how far the job is, and how fast
threads              starts those that follow a job
monitor              follows the process until it ends or has to be ended
journal_keeper       stores what a long job writes down to go on from
outcomes, blame      how an attempt ends; whether that counts against the job
too_large            jobs that find no room on the disk of this worker, or in the store
retrying             while database, disk or store are away
finishing            writes the end, together with the files that the job made
"""
