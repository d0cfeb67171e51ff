"""Run pytest in a fork of a process that has imported everything except the mutated module.

Imports take most of the time of a run. ``warm.py serve SOCKET MODULE ARGUMENT...`` waits for requests. At each
``warm.py ask SOCKET`` it runs pytest with these arguments, on the current version of the module. ``ask`` exits with the
status of pytest.
"""

import importlib
import os
import select
import signal
import socket
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path


class _Refusal:
    """A finder that refuses to import a module, so that the modules that import it fail, too."""

    def __init__(self, module: str) -> None:
        self._module = module

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name == self._module:
            raise ImportError(name)
        return None


def _import_all_but(module: str) -> None:
    refusal = _Refusal(module)
    sys.meta_path.insert(0, refusal)
    for path in sorted(Path("app").rglob("*.py")):
        try:
            importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
        except ImportError:
            continue
    sys.meta_path.remove(refusal)


def _test(client: socket.socket, arguments: list[str]) -> None:
    import pytest  # noqa: PLC0415 - ``ask`` does not need it, and should start fast

    child = os.fork()
    if child == 0:
        os.setsid()
        code = pytest.main(arguments)
        os._exit(code)
    end = os.pidfd_open(child)
    # Wait until pytest ends, or until the client closes the socket because its time-out has expired.
    select.select([end, client.fileno()], [], [])
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(child, signal.SIGKILL)
    os.close(end)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        client.sendall(bytes([code if code >= 0 else 99]))
    except BrokenPipeError:
        return


def _serve(path: str, module: str, arguments: list[str]) -> None:
    sys.path.insert(0, str(Path.cwd()))
    sys.dont_write_bytecode = True
    for name in ("pytest", "httpx2", "zxcvbn.frequency_lists", "sqlalchemy.ext.asyncio", "fastapi"):
        importlib.import_module(name)
    _import_all_but(module)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            client, _ = listener.accept()
            with client:
                _test(client, arguments)


def _ask(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        response = server.recv(1)
    sys.exit(response[0] if response else 98)


if sys.argv[1] == "serve":
    _serve(sys.argv[2], sys.argv[3], sys.argv[4:])
else:
    _ask(sys.argv[2])
