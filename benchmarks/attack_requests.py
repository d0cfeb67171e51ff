"""The requests of the attackers in `benchmarks/attack.py`. The last parameter is the client that sends them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass

import httpx2

BIG_BODY = b"x" * 9_000_000
JSON = {"Content-Type": "application/json"}
DEEP_JSON = b"[" * 32_000 + b"]" * 32_000
HEADER = b"X-Header: %s\r\n" % (b"x" * 1000)
HEADERS = 30_000_000 // len(HEADER)


@dataclass(slots=True)
class Targets:
    """Accounts to attack with, and doctors to attack."""

    accounts: list[str]
    doctor: str
    """The token of the doctor with many patients."""
    limited_doctor: str
    """The id of the same doctor, who has a daily limit."""
    full_doctor: str
    """The id of the doctor who is fully booked for a year."""
    first: str
    """The start of that year, and of the limited doctor's open day, as an ISO 8601 time."""


async def send_big_body(client: httpx2.AsyncClient) -> None:
    await client.post("/appointments", content=BIG_BODY)


async def send_deep_json(client: httpx2.AsyncClient) -> None:
    await client.post("/auth/register", content=DEEP_JSON, headers=JSON)


async def send_slow_body(client: httpx2.AsyncClient) -> None:
    await client.post("/auth/register", content=trickle(), headers=JSON)


async def trickle() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(1)


async def guess_password(names: Iterator[str], client: httpx2.AsyncClient) -> None:
    await client.post("/auth/login", data={"username": next(names), "password": "w"})


async def change_password(token: str, client: httpx2.AsyncClient) -> None:
    body = {"current_password": "wrong", "new_password": "correct horse battery"}
    await client.post("/auth/change-password", json=body, headers=bearer(token))


async def search(client: httpx2.AsyncClient) -> None:
    await client.get("/search/slots", params={"between": "03:00-03:05"})


async def list_patients(doctor: str, client: httpx2.AsyncClient) -> None:
    await client.get("/doctors/me/appointments?limit=100", headers=bearer(doctor))


async def find_next_slot(path: str, first: str, client: httpx2.AsyncClient) -> None:
    await client.get(path, params={"from": first})


async def list_slots(path: str, listing: dict[str, str], client: httpx2.AsyncClient) -> None:
    await client.get(path, params=listing)


async def book(token: str, targets: Targets, client: httpx2.AsyncClient) -> None:
    body = {"doctor_id": targets.limited_doctor, "start_time": targets.first}
    await client.post("/appointments", json=body, headers=bearer(token))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def send_headers(client: httpx2.AsyncClient) -> None:
    """Send 30 MB of headers, or fewer if the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    with suppress(OSError), closing(writer):
        writer.write(b"GET /doctors HTTP/1.1\r\nHost: x\r\n")
        for _ in range(HEADERS):
            writer.write(HEADER)
            await writer.drain()
        writer.write(b"\r\n")
        await reader.read(1)
