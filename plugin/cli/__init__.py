"""The command ``diffc``, one module a subcommand."""
