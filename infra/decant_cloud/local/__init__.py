"""The local cloud: LocalStack, its Lambda executor and an embedded PostgreSQL."""
