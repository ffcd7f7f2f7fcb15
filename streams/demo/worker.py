"""The demo's worker process: a worker with settings from a JSON file that the demo wrote."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from streams.failures import Failure
from streams.service.logs import configure
from streams.settings.settings import Settings
from streams.worker import Worker


async def _run(settings: Settings) -> None:
    await Worker(settings).run()


if __name__ == "__main__":
    configure()
    try:
        asyncio.run(_run(Settings.model_validate_json(Path(sys.argv[1]).read_text())))
    except Failure as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
