"""Starts LocalStack."""

import gc
import importlib

from decant_cloud.emulator_patches.quick_start import (
    OBJECTS_TO_COLLECT_AT,
    compile_routes_for_matching_alone,
    read_descriptions_once,
    without_ec2,
)

if __name__ == "__main__":
    gc.set_threshold(OBJECTS_TO_COLLECT_AT, 20, 20)
    read_descriptions_once()
    compile_routes_for_matching_alone()
    with without_ec2():
        start = importlib.import_module("decant_cloud.emulator_patches.start")
    start.start()
