"""Models that do not come with the package: how they are known, fetched, kept and checked."""
