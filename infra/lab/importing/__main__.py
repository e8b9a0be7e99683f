"""`python -m infra.lab.importing`: measure imports of several sizes."""

import sys

from infra.lab.importing.speed import main

main(sys.argv[1:])
