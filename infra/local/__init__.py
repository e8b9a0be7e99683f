"""The local stack: real parts, fetched once, run as separate processes under one supervisor.

What the rest of infra uses:
- settings.LocalSettings: cache folder, ports, heap, base model;
- fetch.ensure_all, fetch.ensure_base_model: the parts, in the cache and whole;
- kafka.Kafka, triton.Triton: how to run the two servers;
- supervisor.Supervisor, supervisor.ProcessSpec, supervisor.read_state: running all of it;
- ports.choose_port, ports.free_port; tiny_model.make_tiny_model for tests;
- errors.LocalError: everything that goes wrong, in one sentence.
"""
