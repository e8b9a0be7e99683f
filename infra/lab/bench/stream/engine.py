"""A stand-in for Triton with our model: it says one answer, at once.

The predict worker's own limit is to be seen, which a real engine would hide: it needs a hundred
times as long. It speaks what Triton speaks (KServe's gRPC protocol), and the answer stands in it as
our model's does (`serving.triton.protocol`). What it is asked it does not read.

    python -m infra.lab.bench.stream.engine PORT FILE_OF_THE_ANSWER
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
from grpc import aio
from tritonclient.grpc import service_pb2

from infra.local.ports import HOST
from serving.process.ready import tell_ready

INFER = "/inference.GRPCInferenceService/ModelInfer"


def response(answer: bytes) -> bytes:
    """`answer` as Triton's message around it."""
    output = service_pb2.ModelInferResponse.InferOutputTensor(
        name="response", datatype="BYTES", shape=[1]
    )
    content = len(answer).to_bytes(4, "little") + answer  # how KServe writes a BYTES tensor
    message = service_pb2.ModelInferResponse(
        model_name="listune", model_version="1", outputs=[output], raw_output_contents=[content]
    )
    return bytes(message.SerializeToString())


class _OneAnswer(grpc.GenericRpcHandler):
    def __init__(self, said: bytes) -> None:
        async def infer(_: bytes, __: Any) -> bytes:
            return said

        self._infer = grpc.unary_unary_rpc_method_handler(infer)

    def service(self, handler_call_details: Any) -> Any:
        return self._infer if handler_call_details.method == INFER else None


async def start(port: int, answer: bytes) -> aio.Server:
    """A server that answers at `port` of this machine."""
    server = aio.server()
    server.add_generic_rpc_handlers((_OneAnswer(response(answer)),))
    server.add_insecure_port(f"{HOST}:{port}")
    await server.start()
    return server


async def main() -> None:
    """Answers until the process is ended."""
    server = await start(int(sys.argv[1]), Path(sys.argv[2]).read_bytes())
    tell_ready()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
