"""The application.

Time zones come from the ``tzdata`` package, whose version is pinned, and never from the operating system, because hosts
that share a database must compute the same local times (ADR 0028). This is set here because importing anything from
``app`` runs this module first.
"""

import zoneinfo

zoneinfo.reset_tzpath(())
# Zones that were loaded earlier came from the operating system.
zoneinfo.ZoneInfo.clear_cache()
