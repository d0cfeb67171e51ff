"""The application.

Time zones come from the ``tzdata`` package, whose version the lock pins, and never from the operating system: hosts
that share a database must agree on what a clock shows. It is set here because importing anything from ``app`` runs this
first.
"""

import zoneinfo

zoneinfo.reset_tzpath(())
# A zone that was read before came from the operating system.
zoneinfo.ZoneInfo.clear_cache()
