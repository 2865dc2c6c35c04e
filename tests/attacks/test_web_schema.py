"""The JSON API against what chance makes of its own description: it keeps to it, and no 5xx."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from msgspec.structs import replace

from fleet.registry.words import Heard
from fleet.serve import api
from tests.fleet_web import OPERATOR, Web, web
from tests.telling import event, presence, record, state
from wire.messages import Update, to_json

schemathesis = pytest.importorskip("schemathesis")

NOW_S = 1_800_000_000.0
NAME = "door"
PATHS = sorted(path for route in api.ROUTES for path in route.handler.paths)
EXAMPLES = 25


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as opened:
        update = Update("trial", "digits", "2", "a" * 64, 3, NOW_S, None, "it is tried")
        said = [
            Heard(NAME, "presence", to_json(presence(True)), NOW_S),
            Heard(NAME, "state", to_json(state(faults=("camera: gone",))), NOW_S),
            *(
                Heard(NAME, "telemetry", to_json(record(n, time=NOW_S + n)), NOW_S + n)
                for n in range(1, 5)
            ),
            Heard(NAME, "event", to_json(event(6)), NOW_S),
            Heard(NAME, "event", to_json(replace(event(8), kind="update", update=update)), NOW_S),
        ]  # fmt: skip
        opened.hear(*said, now_s=NOW_S + 10)
        yield opened


@pytest.fixture(scope="module")
def token(served: Web) -> str:
    return served.accounts.add_token(OPERATOR, 1).secret


@pytest.fixture(scope="module")
def described(served: Web, token: str) -> dict[str, Any]:
    with served.browser() as browser:
        answer = browser.get("/api/v1/openapi.json", authorization=f"Bearer {token}")
        found: dict[str, Any] = answer.json()
        return found


def test_the_description_is_of_openapi_and_complete(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) == {re.sub(r":\w+}", "}", path) for path in PATHS}
    for path, methods in described["paths"].items():
        assert set(methods) == {"get"}, path  # it only reads
        assert methods["get"]["description"], path
        assert {"200", "400", "401", "404"} <= set(methods["get"]["responses"])
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_whatever_is_asked(
    path: str, mode: str, served: Web, described: dict[str, Any], token: str
) -> None:
    """positive: what the description allows; negative: what it does not."""
    schema = schemathesis.openapi.from_dict(described)
    operation = schema[re.sub(r":\w+}", "}", path)]["GET"]
    generation = schemathesis.GenerationMode(mode)
    checks = [
        schemathesis.checks.not_a_server_error,
        schemathesis.checks.CHECKS.get_one("status_code_conformance"),
        schemathesis.checks.CHECKS.get_one("content_type_conformance"),
        schemathesis.checks.CHECKS.get_one("response_schema_conformance"),
    ]

    @hypothesis.given(case=operation.as_strategy(generation_mode=generation))
    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def ask(case: Any) -> None:
        if mode == "positive" and "name" in case.path_parameters:
            case.path_parameters["name"] = NAME
        for header in list(case.headers or ()):
            if header.lower() == "transfer-encoding":
                del case.headers[header]  # of HTTP itself: refused before anything of ours is asked
        response = case.call(base_url=served.home, headers={"authorization": f"Bearer {token}"})
        case.validate_response(response, checks=checks)

    ask()
