"""The demo's worker process: a worker with settings from a JSON file that the demo wrote."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from streams.service.logs import configure
from streams.settings.settings import Settings
from streams.worker import Worker


async def _run(settings: Settings) -> None:
    await Worker(settings).run()


if __name__ == "__main__":
    configure()
    asyncio.run(_run(Settings.model_validate_json(Path(sys.argv[1]).read_text())))
