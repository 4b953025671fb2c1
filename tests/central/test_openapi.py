"""Schemathesis, a program we did not write, asks the service what its description promises.

Every call of `/openapi.json` with what fits its schema and with what does not, each request signed
by a paired till so that it comes through to the handlers: never a 5xx, always a described form.
"""

from __future__ import annotations

import secrets
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from requests.auth import AuthBase
from schemathesis import checks

from central.api import describe
from central.service import Central
from sync import signing
from tests.central.conftest import Pair, issue
from tests.central.till import Till

API = schemathesis.openapi.from_dict(describe.openapi())

CHECKED = [
    checks.not_a_server_error,
    checks.CHECKS.get_by_names(["response_schema_conformance"])[0],
    checks.CHECKS.get_by_names(["content_type_conformance"])[0],
]


class Signed(AuthBase):
    """Signs whatever is asked, as a paired till would."""

    def __init__(self, till: Till) -> None:
        self._signer = signing.Signer(signing.key_id(till.posid, till.epoch), till.key)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the signature over the request as it will be sent."""
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        message = signing.Message(
            method=str(request.method),
            authority=urlsplit(str(request.url)).netloc,
            target=request.path_url,
            headers=request.headers,
            body=body,
        )
        nonce = secrets.token_urlsafe(16)
        signing.sign(message, self._signer, created_s=int(time.time()), nonce=nonce)
        return request


@pytest.fixture
def signed(central: Central, pair: Pair) -> Signed:
    """A till that has redeemed, and signs."""
    till = pair("POS1")
    till.redeem(issue(central))
    till.push()
    return Signed(till)


@API.parametrize()
@settings(
    max_examples=25,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_what_is_described_is_answered(case: Any, url: str, signed: Signed) -> None:
    """Nothing that can be asked ends in a bug, and every answer has its described form."""
    case.query = {name: value for name, value in (case.query or {}).items() if name != "wait"}
    answer = case.call_and_validate(base_url=url, auth=signed, checks=CHECKED)
    assert answer.status_code != 401 or case.path == "/v1/enrolments", answer.text


def test_a_signature_comes_through(url: str, signed: Signed) -> None:
    """The control: what is signed here reaches the handlers, what is not does not."""
    assert requests.get(f"{url}/v1/verdicts?after=0", auth=signed, timeout=5).status_code == 200
    assert requests.get(f"{url}/v1/verdicts?after=0", timeout=5).status_code == 401
