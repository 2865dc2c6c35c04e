"""The fleet's web: pages, JSON API and what guards them.

How a page hangs in: a module below `pages/` (or `acting/`) has handlers of Litestar and, at its
end, a table that states who may ask for each:

    @get("/events", sync_to_thread=True)
    def events_page(request: WebRequest) -> HtmlResponse:
        page = parts_of(request).registry.events(EventQuery())
        return html(request, "events.html", {"page": page})

    ROUTES = (Route("viewer", events_page),)

and `pages/__init__.py` (`acting/__init__.py`) joins these tables to one `ROUTES`. A handler that is
in no table is reached by nobody. Handlers that touch the database are plain functions with
`sync_to_thread=True`. Parameters are said as Litestar wants them now: `name: FromPath[str]`,
`since_s: FromQuery[float] = 0.0` (litestar.params). Raise `Refused` (400) and
`Unavailable` (503), or an HTTP exception of Litestar: each becomes a page, or JSON below /api, of
one sentence.

Every template gets: `visitor` (name, role, or None), `may_act` (is an operator), `csrf`, `path`,
`fleet`, `version`, `parts` (how the parts of the server are: name, state, words, since_s), and
`static("app.css")` for an address that may be cached for ever. What changes something is a POST (or
PUT, DELETE) that carries `csrf`: a form in a hidden field of that name, a script in the header
X-CSRF-Token (from `<meta name="csrf">`). Uploads are scripts' business: the body as it is.
"""
