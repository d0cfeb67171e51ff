import gc

from app.core.settings import Settings
from app.main import create_app


async def test_imported_objects_are_frozen_while_the_server_runs(settings: Settings) -> None:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        assert gc.get_freeze_count() > 100_000
    assert gc.get_freeze_count() == 0
