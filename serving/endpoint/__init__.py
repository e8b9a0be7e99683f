"""An OpenAI-compatible chat endpoint that answers as an engine does. Read in this order:

- `client`: one attempt over plain HTTP; `reading`: what is asked, and what an answer's text says.
- `limits`: how often, and whether at all; `spend`: what a day may cost; `admission`: all of them.
- `arm`: the endpoint for sellers who wait, with patience, retries and all limits; `check`: what it
  makes of some listings.

Other rooms use:

- `serving.endpoint.arm`: `EndpointArm`, which answers or raises `EndpointUnavailable`.
- `serving.endpoint.client`: `ChatClient`, `AttemptFailed` (the trainer compares with an endpoint).
- `serving.endpoint.reading`: `as_result`; `serving.endpoint.check`: `check`, `summarise`.
"""
