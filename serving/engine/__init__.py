"""The tree engine: requests in, attribute values out, adapters pushed while it runs."""
