"""Files that a server has already, named by the jobs they are of."""

from app.client import Client, Stored
from app.commands.jobs import OWN_COMMANDS
from app.job_ids import whole_id
from micronet.errors import SettingsError


def stored_file(client: Client, named: str) -> Stored:
    """What JOB[/ARTIFACT] names: a file that the job made; of a job that makes none, the one it was sent.

    Raises SettingsError, ServerError.
    """
    beginning, _, name = named.partition("/")
    job_id = whole_id(client, beginning)
    job = client.job(job_id)
    files = {artifact["name"]: Stored(artifact["sha256"], artifact["name"]) for artifact in job["artifacts"]}
    sent = job["checkpoint"]
    if not files and job["kind"] in OWN_COMMANDS and sent is not None:
        filename = sent["filename"] or sent["sha256"]
        files = {filename: Stored(sent["sha256"], filename)}
    if not files:
        raise SettingsError(f"--from {named}: job {job_id} is {job['status']}, and no file is of it.")
    if not name and len(files) == 1:
        return next(iter(files.values()))
    if name not in files:
        choice = ", ".join(f"{job_id}/{known}" for known in files)
        raise SettingsError(f"--from {named}: name one of its files: {choice}.")
    return files[name]
