"""The log of a job."""

from fastapi import APIRouter

from app.http.access import Caller, CallerDep
from app.http.documented import Answers, problem
from app.http.jobs import JobId, own_job
from app.http.routing import api_router
from app.http.schemas import JobLog, LogEntryView
from app.http.site import Site, SiteDep
from worker.records.values import LogEntry

_ANSWERS: Answers = {404: problem(404, "No such job, or another team's")}


def log_router() -> APIRouter:
    """The route of logs."""
    router = api_router("jobs")
    router.add_api_route("/jobs/{job_id}/log", _log, methods=["GET"], name="job_log", responses=_ANSWERS)
    return router


async def _log(site: SiteDep, caller: CallerDep, job_id: JobId) -> JobLog:
    """What happened to a job: accepted, claimed by which worker, each stage begun, given back or lost, ended."""
    entries = await site.database.run(_own_log, site, caller, job_id)
    return JobLog(entries=[LogEntryView(at=entry.at, event=entry.event, text=entry.text) for entry in entries])


def _own_log(site: Site, caller: Caller, job_id: str) -> tuple[LogEntry, ...]:
    job, _ = own_job(site, caller, job_id, with_result=False)
    return site.services.records.jobs.log(job.id)
