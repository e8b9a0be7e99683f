"""The client's side of Triton: calls, their JSON, and the push of an adapter."""
