"""Bodies of the commands of the local cloud; `decant_cloud.cli` imports them when a command runs."""
