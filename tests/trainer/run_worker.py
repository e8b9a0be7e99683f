"""The worker as a process: `python run_worker.py settings.json`."""

import json
import logging
import sys
from pathlib import Path

from serving.settings import ServingSettings
from trainer import round_queue
from trainer.settings import KafkaSettings, TrainerSettings
from trainer.worker import main

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    round_queue.SESSION_MS = 6_000  # the broker allows no less
    given = json.loads(Path(sys.argv[1]).read_text())
    main(
        TrainerSettings.model_validate(given["trainer"]),
        ServingSettings.model_validate(given["serving"]),
        KafkaSettings.model_validate(given["kafka"]),
    )
