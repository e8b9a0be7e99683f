"""A new adapter becomes champion again and again while many clients ask."""

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle

from schemas.events import BASE_ADAPTER
from serving.adapter_file import blob_hash
from serving.triton.push import Canary, CanaryRequest, push_and_try
from tests.serving.helpers import (
    BRAND,
    COLOUR,
    EVERY_KIND,
    LAMP,
    WASHABLE,
    assert_alike,
)
from tests.waiting import LONG_S, wait_for

CLIENTS = 16
SWAPS = 3
LAMPS = tuple(replace(LAMP, listing_id=f"lamp-{n}", title=f"Lamp {n}") for n in range(4))
CANARY = Canary((CanaryRequest(LAMP, (COLOUR, WASHABLE, BRAND)),))


def test_adapters_swapped_under_load_fail_no_request_and_never_answer_for_another(
    client, make_blob
):
    names = {BASE_ADAPTER: BASE_ADAPTER}
    champion = BASE_ADAPTER
    done = threading.Event()
    answers = []

    def ask_on(number):
        """One client; it names whoever is champion when it asks."""
        for lamp in cycle(LAMPS):
            named = champion
            answers.append((named, lamp, client.generate(lamp, EVERY_KIND, adapter_hash=named)))
            if done.is_set():
                return

    def answered():
        """Whether the champion has answered as often as there are clients."""
        return sum(named == champion for named, _, _ in answers) >= CLIENTS

    with ThreadPoolExecutor(CLIENTS) as pool:
        asking = [pool.submit(ask_on, number) for number in range(CLIENTS)]
        try:
            wait_for(answered)
            for swap in range(SWAPS):
                name = f"swapped-r{swap}-a1"
                blob = make_blob(name, seed=50 + swap)
                push_and_try(client, blob, name, CANARY)
                names[blob_hash(blob)] = name
                champion = blob_hash(blob)
                wait_for(answered)
        finally:
            done.set()
        # A request that failed raises here.
        for one in asking:
            one.result(LONG_S)

    by_champion = defaultdict(int)
    for named, _, answer in answers:
        assert (answer.adapter_hash, answer.adapter_id) == (named, names[named])
        by_champion[named] += 1
    assert by_champion.keys() == names.keys()
    # Not only by name: asked alone and in peace, the same adapter says the same.
    calm = {
        (named, lamp.listing_id): client.generate(lamp, EVERY_KIND, adapter_hash=named)
        for named in names
        for lamp in LAMPS
    }
    for named, lamp, answer in answers:
        assert_alike(answer, calm[named, lamp.listing_id])
    said = {str(answer.confidence) for answer in calm.values()}
    assert len(said) == len(calm), "adapters that say the same would hide a mistake"
