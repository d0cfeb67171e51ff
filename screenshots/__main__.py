"""Take the pictures of pages for the documentation, in the system's Chromium, with the demo clinic.

The application runs in this process, on loopback, with a fresh SQLite file and a fixed clock, so the pictures depend
only on the code. Pages with ids are left out, because ids are random.
"""

import asyncio
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from playwright.async_api import Browser, async_playwright

from app.core.dependencies import Resources
from app.core.permissions import Role
from app.demo.clinic import PASSWORD, fill
from app.main import create_app
from app.services import accounts
from screenshots.scenes import ADMIN, NOW, SCENES, WAITING, Scene, View
from tests.databases import migrate, settings_for
from tests.web.conftest import FLAGS

PICTURES = Path(__file__).parents[1] / "docs/pictures"
MAX_BYTES = 150_000


async def main() -> int:
    """Take all pictures. The exit status is 0 if each could be taken and is small enough."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        print("no Chromium here; apt-get install chromium", file=sys.stderr)
        return 1
    heavy = False
    with tempfile.TemporaryDirectory() as folder:
        async with serving(f"sqlite+aiosqlite:///{folder}/demo.db") as address, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=found, args=FLAGS)
            for scene in SCENES:
                for view in scene.views:
                    path = PICTURES / f"{scene.name}-{view.name}.png"
                    await take(browser, address, scene, view, path)
                    size = path.stat().st_size
                    heavy |= size > MAX_BYTES
                    print(f"{path.name:<32} {size // 1000:>4} KB{' TOO LARGE' if size > MAX_BYTES else ''}")
            await browser.close()
    return int(heavy)


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[str]:
    """Serve the demo clinic, and yield its address."""
    await migrate(url)
    settings = settings_for(url)
    app = create_app(settings, clock=lambda: NOW)
    async with app.router.lifespan_context(app):
        await open_clinic(app.state.resources)
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", proxy_headers=False))
        task = asyncio.create_task(server.serve([listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await task


async def open_clinic(resources: Resources) -> None:
    """Fill the database with the demo clinic, an administrator, and doctors who wait for approval."""
    await fill(resources.database, resources.settings, NOW)
    async with resources.database.write() as transaction:
        for email, name, role in ((ADMIN, "Ruth Feld", Role.ADMIN), *((*each, Role.DOCTOR) for each in WAITING)):
            public: dict[str, Any] = {"specialty": "Cardiology", "time_zone": "Europe/Oslo"}
            await accounts.register(
                transaction,
                resources.passwords,
                email=email,
                password=PASSWORD,
                name=name,
                role=role,
                now=NOW,
                refuse_weak=False,
                confirmed=True,
                approved=False,
                **(public if role is Role.DOCTOR else {}),
            )


async def take(browser: Browser, address: str, scene: Scene, view: View, path: Path) -> None:
    """Take one picture, of the visible part of the page."""
    context = await browser.new_context(
        base_url=address,
        viewport=view.size,
        device_scale_factor=view.scale,
        color_scheme=view.scheme,
        java_script_enabled=False,
        reduced_motion="reduce",
        locale="en-GB",
    )
    await context.add_cookies([{"name": "zone", "value": scene.zone, "url": address}])
    page = await context.new_page()
    if scene.who:
        await page.goto("/sign-in")
        await page.fill("#username", scene.who)
        await page.fill("#password", PASSWORD)
        await page.click("main form button")
    await scene.go(page)
    await page.screenshot(path=path)
    await context.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
