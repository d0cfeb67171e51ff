"""A check for Schemathesis: none of what ``FUZZ_SECRETS`` has, line by line, is in an answer."""

import os
from typing import Any

import schemathesis

SECRETS = os.environ["FUZZ_SECRETS"].splitlines()


@schemathesis.check
def tells_no_secret(
    _ctx: schemathesis.CheckContext, response: schemathesis.Response, _case: schemathesis.Case[Any]
) -> None:
    for secret in SECRETS:
        assert secret not in response.text, "tells what nobody is to know"
