"""Readers of category schemas: the project's JSON format and the Shopify taxonomy."""
