"""What every Faust worker has: its app, watchdog, schema file and dead letters."""
