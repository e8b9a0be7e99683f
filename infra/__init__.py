"""Settings, the `listune` command, the local stack, the demo. No domain logic lives here."""
