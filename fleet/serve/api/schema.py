"""The description of the JSON API: OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.serialization import encode_json

from fleet.serve.api.asking import MISHAPS, ApiRequest
from fleet.serve.routes import Route
from wire.version import VERSION

DESCRIPTION = (
    "What a fleet is and was. It only reads. Programs show a token (vedette fleet users token "
    "NAME) as `Authorization: Bearer TOKEN`; a browser that is signed in needs none. Times are "
    "Unix seconds. Everything that cannot be answered is one sentence in `error`."
)

DESCRIBED = ResponseSpec(dict[str, Any], description="OpenAPI 3.1")


@get("/api/v1/openapi.json", sync_to_thread=True, responses=MISHAPS | {200: DESCRIBED})
def openapi(request: ApiRequest) -> Response[bytes]:
    """This description."""
    content = encode_json(request.app.openapi_schema.to_schema())
    return Response(content, media_type="application/json")


ROUTES = (Route("viewer", openapi),)


def described() -> OpenAPIConfig:
    """For the application. Its own pages of the description are for nobody: they load scripts from
    elsewhere."""
    return OpenAPIConfig(
        title="Vedette fleet",
        version=VERSION,
        description=DESCRIPTION,
        path="/api/description",
        render_plugins=[JsonRenderPlugin()],
        use_handler_docstrings=True,
        security=[{"token": []}, {"session": []}],
        components=Components(
            security_schemes={
                "token": SecurityScheme(type="http", scheme="bearer"),
                "session": SecurityScheme(
                    type="apiKey", name="vedette", security_scheme_in="cookie"
                ),
            }
        ),
    )
