"""What tests fork processes from has imported what takes long, whichever test comes first."""

import sys
from multiprocessing.connection import Connection

import pytest

from tests.forks import FORKS

SLOW_TO_IMPORT = {"faust", "streams.curate.app", "streams.predict.app", "torch", "transformers"}


def tell(missing: Connection) -> None:
    missing.send(SLOW_TO_IMPORT - sys.modules.keys())


@pytest.mark.slow
def test_a_forked_process_has_imported_what_takes_long() -> None:
    found, missing = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=tell, args=(missing,))
    process.start()
    assert found.recv() == set()
    process.join()
