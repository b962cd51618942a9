"""The local cloud: an emulator of AWS, its Lambda executor and an embedded PostgreSQL."""
