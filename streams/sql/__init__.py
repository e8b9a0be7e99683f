"""Ad-hoc SQL on the pool: the server, its HTTP page, the client, and what is let through."""
