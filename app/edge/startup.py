"""The start of the server, if it fails for a reason that the operator can do something about."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


async def run_lifespan(
    lifespan: ASGIApp, expected: tuple[type[Exception], ...], scope: Scope, receive: Receive, send: Send
) -> None:
    """Run a lifespan, and report an ``expected`` error of the start by its message.

    Starlette would report it with a traceback.
    """
    failed: list[Message] = []

    async def hold_back(message: Message) -> None:
        if message["type"] == "lifespan.startup.failed":
            failed.append(message)
        else:
            await send(message)

    try:
        await lifespan(scope, receive, hold_back)
    except BaseException as error:
        if failed and isinstance(error, expected):
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        for message in failed:
            await send(message)
        raise
