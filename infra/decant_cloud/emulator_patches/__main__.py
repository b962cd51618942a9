"""Starts the engine that DECANT_ENGINE names."""

from decant_cloud.emulator_patches.start import start

if __name__ == "__main__":
    start()
