"""Prints what the store has of all runs. Runs in a container on the store's network: nobody else gets there."""

from __future__ import annotations

import dataclasses
import json
import os
import sys

from tests.support.history_reading import read_indexes, read_runs
from tests.support.store_keys import StoreKeys

if __name__ == "__main__":
    with StoreKeys(os.environ["WINDLASS_STORE_URL"]) as store:
        found = {
            "runs": [dataclasses.asdict(run) for run in read_runs(store).values()],
            "indexes": dataclasses.asdict(read_indexes(store)),
        }
    json.dump(found, sys.stdout)
