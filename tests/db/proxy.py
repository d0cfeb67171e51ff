"""A proxy between a client and PostgreSQL, which can fail like a network."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy.engine import make_url


class Proxy:
    """Forwards data in both directions until it is set to fail."""

    def __init__(self, url: str) -> None:
        self._target = make_url(url)
        self.url = ""
        self.is_silent = False
        """Whether data is dropped. Connections stay open."""
        self.unanswered: list[bytes] = []
        """Data that clients have sent while the proxy was silent, on connections that were already open."""
        self.lost_response_to: bytes | None = None
        """The next message with these bytes is forwarded, and then the connection is closed without its response."""

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if self.is_silent:
            await client.read()
            to_client.close()
            return
        path = f"{self._target.query['host']}/.s.PGSQL.5432"
        server, to_server = await asyncio.open_unix_connection(path)
        is_cut = False

        async def forward_requests() -> None:
            nonlocal is_cut
            while data := await client.read(65536):
                if self.is_silent:
                    self.unanswered.append(data)
                    continue
                if self.lost_response_to and self.lost_response_to in data:
                    self.lost_response_to, is_cut = None, True
                to_server.write(data)
            to_server.close()

        async def forward_responses() -> None:
            while (data := await server.read(65536)) and not is_cut:
                to_client.write(data)
            to_client.close()

        try:
            with suppress(OSError):
                await asyncio.gather(forward_requests(), forward_responses())
        finally:
            for writer in (to_client, to_server):
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()


@asynccontextmanager
async def open_proxy(url: str) -> AsyncIterator[Proxy]:
    """Open a proxy in front of the test server, which listens on a Unix socket."""
    proxy = Proxy(url)
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        proxy.url = make_url(url).set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
        yield proxy
