"""Jobs on pages: what was begun, how far it is, and the picture that came of it."""

from __future__ import annotations

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

from fleet.actions.jobs import Actor, Job
from fleet.serve.rendering import HtmlResponse, html
from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest, by_script, parts_of, signed_in, visitor_of


def actor_of(request: WebRequest) -> Actor:
    """Who asks, as jobs and the audit trail know them."""
    return Actor(signed_in(request).name, visitor_of(request).address)


def begun(request: WebRequest, job: Job) -> HtmlResponse:
    """The answer to what began a job, for a script: how it is."""
    return html(request, "acting_jobs.html", {"jobs": [job]}, 202)


def shown(request: WebRequest, job: Job, link: str) -> HtmlResponse | Redirect:
    """The same where there may be no script: it goes on at a page."""
    return begun(request, job) if by_script(request) else Redirect(link, status_code=303)


@get("/jobs", sync_to_thread=False)
def jobs(request: WebRequest) -> HtmlResponse:
    """The newest jobs of a page, as a part of it."""
    link = request.query_params.get("link", "")
    return html(request, "acting_jobs.html", {"jobs": parts_of(request).actions.jobs_of(link)})


@get("/job/{identity:str}", sync_to_thread=False)
def job_page(request: WebRequest, identity: FromPath[str]) -> HtmlResponse:
    """One job, for browsers without scripts."""
    return html(request, "acting_job.html", {"job": _found(request, identity)})


@get("/job/{identity:str}/picture", sync_to_thread=False)
def job_picture(request: WebRequest, identity: FromPath[str]) -> Response[bytes]:
    """What a device took a picture of."""
    picture = _found(request, identity).picture
    if picture is None:
        raise NotFoundException("there is no picture")
    return Response(picture, media_type="image/jpeg")


def _found(request: WebRequest, identity: str) -> Job:
    job = parts_of(request).actions.jobs.find(identity)
    if job is None:
        raise NotFoundException("this job is forgotten: the audit trail knows what came of it")
    return job


ROUTES = (
    Route("operator", jobs),
    Route("operator", job_page),
    Route("operator", job_picture),
)
