"""The server that the browser tests use."""

import signal

import httpx2


async def test_server_of_the_tests_handles_no_signals(address: str) -> None:
    async with httpx2.AsyncClient() as client:
        assert (await client.get(f"{address}/livez")).status_code == 200
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
