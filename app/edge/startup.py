"""The start of the server, if it fails for a reason that the operator can do something about."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class StartupErrorMiddleware:
    """Reports an ``expected`` error of the start by its message. Starlette would report it with a traceback."""

    def __init__(self, app: ASGIApp, *, expected: tuple[type[Exception], ...]) -> None:
        self._app = app
        self._expected = expected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on but the report of a failed start, which is replaced if the error is expected."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        failed: list[Message] = []

        async def hold_back(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                failed.append(message)
            else:
                await send(message)

        try:
            await self._app(scope, receive, hold_back)
        except BaseException as error:
            if failed and isinstance(error, self._expected):
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            for message in failed:
                await send(message)
            raise
