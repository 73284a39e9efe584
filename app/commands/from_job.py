"""Files that a server has already, named by the jobs they are of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.client import Client, Stored
from app.commands.jobs import OWN_COMMANDS
from app.handed_on import handed_on, with_given
from app.job_ids import whole_id
from micronet.contract.pipeline import RECIPES, recipe
from micronet.errors import SettingsError


@dataclass(frozen=True, slots=True)
class FromJob:
    """A file that a server has, and the job it is of: one that `made` it, or that was sent it."""

    file: Stored
    job: Mapping[str, Any]
    made: bool

    def settings(self, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """What a job of `kind` on the file is told: what is given, or by a recipe that is; else what the job was told,
        where both can be told it: of an architecture and a normalization, each part that is not given."""
        name = self.file.filename if self.made else None
        handed = handed_on(kind, self.job["kind"], self.job["settings"], name)
        said = recipe(named) if (named := given.get("recipe")) in RECIPES else {}
        return with_given({name: value for name, value in handed.items() if name not in said}, given)


def file_of_job(client: Client, named: str) -> FromJob:
    """What JOB[/ARTIFACT] names: a file that the job made; of a job that makes none, the one it was sent.

    Raises SettingsError, ServerError.
    """
    beginning, _, name = named.partition("/")
    job_id = whole_id(client, beginning)
    job = client.job(job_id)
    files = {artifact["name"]: Stored(artifact["sha256"], artifact["name"]) for artifact in job["artifacts"]}
    made, sent = bool(files), job["checkpoint"]
    if not files and job["kind"] in OWN_COMMANDS and sent is not None:
        filename = sent["filename"] or sent["sha256"]
        files = {filename: Stored(sent["sha256"], filename)}
    if not files:
        raise SettingsError(f"--from {named}: job {job_id} is {job['status']}, and no file is of it.")
    if not name and len(files) == 1:
        return FromJob(next(iter(files.values())), job, made)
    if name not in files:
        choice = ", ".join(f"{job_id}/{known}" for known in files)
        raise SettingsError(f"--from {named}: name one of its files: {choice}.")
    return FromJob(files[name], job, made)
