"""What tests fork processes from: one that has imported PyTorch, Faust and the rooms.

To import them takes a process longer than most of what a test has it do. Python has one process to
fork from, and what that imports is what was said last, so it is said here alone.
"""

import multiprocessing

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.streams.worker_process", "trainer.learning.finetune"])
