"""A check for Schemathesis: no response contains a line of ``FUZZ_SECRETS``."""

import os
from typing import Any

import schemathesis

SECRETS = os.environ["FUZZ_SECRETS"].splitlines()


@schemathesis.check
def tells_no_secret(
    _ctx: schemathesis.CheckContext, response: schemathesis.Response, _case: schemathesis.Case[Any]
) -> None:
    for secret in SECRETS:
        assert secret not in response.text, "the response contains a secret"
