"""Every router of pages; one row each."""

from app.pages.board import board_router
from app.pages.compare import compare_router
from app.pages.entry import entry_router
from app.pages.files import files_of_pages_router
from app.pages.guide.page import guide_router
from app.pages.job import job_page_router
from app.pages.jobs import jobs_page_router
from app.pages.nowhere import nowhere_router
from app.pages.sign_in import sign_in_router
from app.pages.stored_files import stored_files_router
from app.pages.submit import submit_router

PAGE_ROUTERS = (
    board_router,
    submit_router,
    jobs_page_router,
    job_page_router,
    compare_router,
    entry_router,
    guide_router,
    sign_in_router,
    stored_files_router,
    files_of_pages_router,
    nowhere_router,  # takes what the others left
)
