"""The `listune` command: options in, a call of the room that does it, tables and sentences out.

It decides nothing itself, and no other room imports it. A module is a command or a few:

- `app`: all of them in one application, errors as one sentence. `output`: where they print.
- `local`: `fetch`, `up`, `down`, `status`. `worker`: one process, as the supervisor starts it.
- `listings`: `request`, `review`. `models`: `sql`, `models`, `retrain`, `promote`, `rollback`.
- `wire`: `schemas`, `asyncapi`, what a producer in another language needs to know.
- `importing` (with `induced`), `schema_sources`, `check`: a catalog and a schema from files of
  others, and what they could teach.
- `letters`, `forget`, `pool` (`replay`), `evaluate`: what an operator needs now and then.
- `drift`, `proposals`: what changes on live traffic, and what the schema could allow.
- `audit` (with `audit_session` and `keys`): suggested values judged by people at the terminal.
- `history`: `bootstrap`, a first adapter from a catalog.
- `demo`, `bench`, `chaos`, `experiment`: the runs; the last has the commands about arms, too.
"""
