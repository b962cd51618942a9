"""Everything that runs or deploys the bundle, and nothing that ships in it."""
