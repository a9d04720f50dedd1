"""The OpenAPI document is valid and true: whatever it promises holds for a real service, asked with
what the document allows and with what it does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from openapi_spec_validator import validate
from pydantic import SecretStr
from schemathesis import GenerationMode
from schemathesis.core.control import SkipTest
from schemathesis.core.failures import AcceptedNegativeData

from dgnet.service.settings import ServiceSettings
from tests.service.real_service import real_service

KEY = "a-key"
SLOW_IS_FINE = [
    HealthCheck.too_slow,
    HealthCheck.filter_too_much,
    HealthCheck.data_too_large,
    HealthCheck.large_base_example,
]
# Without types: what it has is unknown in every part.
SCHEMATHESIS: Any = import_module("schemathesis")
POSITIVE_DATA_ACCEPTANCE: Any = import_module(
    "schemathesis.specs.openapi.checks"
).positive_data_acceptance


async def document_of(http: httpx.AsyncClient) -> dict[str, Any]:
    return (await http.get("/openapi.json")).json()


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        place = cast("dict[str, Any]", value)
        own = place.get("$ref")
        found = {own} if isinstance(own, str) else set[str]()
        return found.union(*map(references, place.values()))
    if isinstance(value, list):
        return set[str]().union(*map(references, cast("list[Any]", value)))
    return set()


async def test_the_document_is_valid_and_no_reference_dangles(http: httpx.AsyncClient) -> None:
    document = await document_of(http)
    validate(document)
    assert "$defs" not in json.dumps(document)
    named = references(document)
    assert "#/components/schemas/SourceSpec" in named
    assert named <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


async def test_keys_are_a_security_scheme(http: httpx.AsyncClient) -> None:
    document = await document_of(http)
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for operation in operations.values():
            wanted = '[{}, {"apiKey": []}]' if path.startswith("/v1/") else "null"
            assert json.dumps(operation.get("security")) == wanted


class TestWithKeys:
    @pytest.fixture
    def settings(self) -> ServiceSettings:
        return ServiceSettings(api_keys=(SecretStr(KEY),))

    async def test_a_key_is_needed_where_some_are_set(self, http: httpx.AsyncClient) -> None:
        paths = (await document_of(http))["paths"]
        assert paths["/v1/jobs"]["post"]["security"] == [{"apiKey": []}]
        assert "security" not in paths["/livez"]["get"]


async def test_allow_names_every_method_that_the_document_has(
    http: httpx.AsyncClient, app: FastAPI
) -> None:
    for path, operations in (await document_of(http))["paths"].items():
        response = await http.request("TRACE", path.replace("{", "").replace("}", ""))
        assert response.status_code == 405
        allowed = set(response.headers["allow"].split(", "))
        documented = {method.upper() for method in operations}
        assert allowed == documented | ({"HEAD"} if "GET" in documented else set())


@pytest.fixture(scope="module", params=["without keys", "with a key", "with a wrong key"])
def asked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[str, dict[str, str]]]:
    """A real service's address, and the headers to ask it with."""
    root: Path = tmp_path_factory.mktemp("data")
    (root / "market").mkdir()
    keys = "" if request.param == "without keys" else KEY
    headers = {
        "without keys": {},
        "with a key": {"Authorization": f"Bearer {KEY}"},
        "with a wrong key": {"Authorization": "Bearer other"},
    }[request.param]
    waits = {"request_timeout_seconds": 0.5, "max_wait_seconds": 0.5, "min_free_bytes": 0}
    with real_service(root, api_keys=keys, **waits) as there:
        yield there.url, headers


def holds_for(
    url: str, headers: dict[str, str], mode: GenerationMode, examples: int
) -> dict[str, int]:
    """Ask every operation so often; how many answers each had."""
    schema: Any = SCHEMATHESIS.openapi.from_url(f"{url}/openapi.json", headers=headers)
    schema.config.generation.update(modes=[mode])
    counts: dict[str, int] = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.endswith("/events"):
            continue  # lasts as long as its job

        counts[operation.label] = 0
        _ask(operation, headers, mode, examples, counts)
    return counts


def _is_a_fault(failure: BaseException) -> bool:
    """Parameters that nobody knows are ignored, and the key is added after it was left out."""
    if not isinstance(failure, AcceptedNegativeData):
        return True
    violations = re.findall(r"^ *- (.*)$", str(failure), flags=re.MULTILINE)
    harmless = ("query: violates `additionalProperties`", "(was Authorization)")
    return not all(any(part in violation for part in harmless) for violation in violations)


def _ask(
    operation: Any,
    headers: dict[str, str],
    mode: GenerationMode,
    examples: int,
    counts: dict[str, int],
) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples, database=None, deadline=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=SLOW_IS_FINE,
    )  # fmt: skip
    def ask(case: Any) -> None:
        response = case.call(headers=dict(headers), timeout=20)
        counts[operation.label] += 1
        # A spec that the schema allows may name a folder that is not there.
        try:
            case.validate_response(
                response, headers=headers, excluded_checks=[POSITIVE_DATA_ACCEPTANCE]
            )
        except BaseExceptionGroup as failures:
            if any(map(_is_a_fault, failures.exceptions)):
                raise

    try:
        ask()
    except (Unsatisfiable, SkipTest):  # no parameters: nothing can be wrong with them
        assert mode is GenerationMode.NEGATIVE


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_a_real_service_keeps_to_its_document(
    asked: tuple[str, dict[str, str]], mode: GenerationMode
) -> None:
    counts = holds_for(*asked, mode, examples=4)
    assert len(counts) >= 12


@pytest.mark.long
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_a_real_service_keeps_to_its_document_for_long(
    asked: tuple[str, dict[str, str]], mode: GenerationMode
) -> None:
    holds_for(*asked, mode, examples=100)
