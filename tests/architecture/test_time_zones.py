"""Clocks follow the pinned data, whatever the host has."""

import os
import subprocess
import sys
import zoneinfo
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.schemas.fields import TIME_ZONES
from tests.zone_files import write_zone

ROOT = Path(__file__).parents[2]
NOON_IN_VANCOUVER = """
from datetime import datetime
from zoneinfo import ZoneInfo

ZoneInfo("America/Vancouver")  # as a library may do before
import {module}
print(datetime(2027, 1, 5, 12, tzinfo=ZoneInfo("America/Vancouver")).isoformat())
"""


def ask(module: str, folder: Path) -> str:
    write_zone(folder, "America/Vancouver", "PST8PDT,M3.2.0,M11.1.0")
    code = NOON_IN_VANCOUVER.format(module=module)
    environment = os.environ | {"PYTHONTZPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_host_data_are_used_without_the_application(tmp_path: Path) -> None:
    assert ask("zoneinfo", tmp_path) == "2027-01-05T12:00:00-08:00"


@pytest.mark.parametrize("module", ["app.main", "app.cli", "app.scheduling", "tests.conftest", "benchmarks.engine"])
def test_the_pinned_data_are_used(module: str, tmp_path: Path) -> None:
    assert ask(module, tmp_path) == "2027-01-05T12:00:00-07:00"


@pytest.mark.parametrize("folder", ["app", "benchmarks", "screenshots"])
def test_every_program_that_reads_zones_imports_the_application(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        source = path.read_text()
        assert "ZoneInfo" not in source or folder == "app" or "from app." in source, path


def test_search_path_of_time_zones_is_empty() -> None:
    assert zoneinfo.TZPATH == ()
    assert {"localtime", "Factory"}.isdisjoint(TIME_ZONES)


@pytest.mark.parametrize(
    ("zone", "noon"),
    [
        ("America/Vancouver", "2027-01-05T12:00:00-07:00"),
        ("America/Edmonton", "2027-01-05T12:00:00-06:00"),
        ("America/Winnipeg", "2027-01-05T12:00:00-05:00"),
        ("Africa/Casablanca", "2027-01-05T12:00:00+00:00"),
        ("America/Havana", "2027-01-05T12:00:00-04:00"),
    ],
)
def test_recently_changed_zones_have_their_new_rules(zone: str, noon: str) -> None:
    assert datetime(2027, 1, 5, 12, tzinfo=ZoneInfo(zone)).isoformat() == noon
