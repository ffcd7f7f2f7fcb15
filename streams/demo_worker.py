"""The demo's worker process: a worker with settings from a JSON file that the demo wrote."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from streams.logs import configure
from streams.settings import Settings
from streams.worker import Worker


async def _run(path: Path) -> None:
    await Worker(Settings.model_validate_json(path.read_text())).run()


if __name__ == "__main__":
    configure()
    asyncio.run(_run(Path(sys.argv[1])))
