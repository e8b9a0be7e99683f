"""The graphs of one base: plain ones, with an adapter merged in or none, and one for all adapters.

An adapter that is an input costs each of its places two products and a sum, even where it has no
rank: on a CPU a fifth of a pass of few rows, a tenth of one with many (docs/engine.md, Adapters).
So the base begins as a plain graph, the graph that takes adapters is made with the first of them,
and one that all passes ask for gets a plain graph of its own. Whoever asks holds the plain ones:
one that is dropped gives its memory back.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.events import BASE_ADAPTER
from serving.engine.lora import Lora
from serving.engine.openvino.compiled import Compiled
from serving.engine.openvino.graph import Graph, Sizes, sizes_of
from serving.engine.openvino.support import Unsuited, check_base
from serving.engine.openvino.weights import Constants, Merged, Weights
from serving.process.memory import give_back


class Making:
    """Makes a base's graphs; what it takes from the model from then on is no weights."""

    def __init__(self, model: Any, folder: Path | None, lora: Callable[[str], Lora]) -> None:
        """Take the weights of the transformers model `model`.

        Args:
            model: its layers' weights are not needed afterwards.
            folder: where weights lie, as `serving.engine.openvino.weights` says.
            lora: the adapter of a hash, in fp32.

        Raises:
            Unsuited: the graph cannot express it, or `folder` cannot be written.
        """
        self._model = model
        self._folder = folder
        self._lora = lora
        self._lock = threading.Lock()
        self._adapting: Compiled | None = None
        try:
            check_base(model)
            self.sizes: Sizes = sizes_of(model)
            with Weights(folder) as self._weights:
                self.places = Graph(model, self.sizes, self._weights).places
        except AttributeError as error:
            raise Unsuited(
                f"{model.config.model_type} is not built like Llama, Qwen or SmolLM ({error})"
            ) from None

    def adapting(self) -> Compiled:
        """The graph that takes adapters, made the first time; in any thread.

        Raises:
            Unsuited: OpenVINO does not compile it.
        """
        with self._lock:
            if self._adapting is None:
                self._adapting = self._compiled(self._weights, adapts=True)
                self._weights.let_go()
                give_back()
            return self._adapting

    def merged(self, adapter_hash: str) -> Compiled:
        """A plain graph of the base, or of an adapter; in any thread.

        Raises:
            UnknownAdapter: there is none.
            Unsuited: OpenVINO does not compile it, or its weights cannot be written.
        """
        if adapter_hash == BASE_ADAPTER:
            made = self._compiled(self._weights)
        else:
            pairs = {
                f"{layer}.{group}": pair
                for (layer, group), pair in self._lora(adapter_hash).pairs.items()
            }
            with Weights(self._folder) as own:
                made = self._compiled(Merged(self._weights, own, pairs))
            own.let_go()
        self._weights.let_go()
        give_back()
        return made

    def _compiled(self, weights: Constants, adapts: bool = False) -> Compiled:
        return Compiled(Graph(self._model, self.sizes, weights, adapts), self._model.dtype)
