"""What a server process of the tests runs. It imports no module of the application, because the fork server does."""

import os
import resource
import sys
from collections.abc import Mapping

import uvicorn


def run(arguments: list[str], environment: Mapping[str, str], stderr: str | None, descriptors: tuple[int, int]) -> None:
    """Run uvicorn as its command line does, with what a child process would inherit, and standard error in a file."""
    os.environ.clear()
    os.environ.update(environment)
    if stderr is not None:
        os.dup2(os.open(stderr, os.O_WRONLY | os.O_APPEND), sys.stderr.fileno())
    resource.setrlimit(resource.RLIMIT_NOFILE, descriptors)
    sys.modules.pop("app.main", None)  # it reads the environment when it is imported
    uvicorn.main(arguments)
