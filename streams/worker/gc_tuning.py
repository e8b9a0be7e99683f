"""When Python's garbage collector looks, in a process that decodes events all the time."""

import gc

YOUNG_OBJECTS = 200_000
"""So many more than were let go are made before it looks at them."""


def collect_seldom() -> None:
    """Lets the collector look at what is new, and at that not all the time.

    A micro-batch of decoded events is a hundred thousand objects, none of them in a cycle. At
    Python's own setting each is looked at several times, and with it all modules, which was half of
    the time that decoding took.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
