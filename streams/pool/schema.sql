-- The pool's tables (schema `store`, ours) and views (schema `main`, for people).
--
-- Every table is filled from the log and can be rebuilt from it, but for `outbox`, `pending` and
-- `backfill_orders`, which hold what was decided here and has not come back through the log yet.
-- `listing_id` is the listing's key (`schemas.identity`): its seller's id before its own, if it has one.
-- Lists and objects are kept as JSON text: DuckDB rewrites a whole row when a nested column changes.
-- Times are milliseconds since 1970 in UTC. No column has a sequence as its default: a client's
-- ATTACH reads the definitions of all tables and fails on it (DuckDB 1.5).

CREATE SCHEMA IF NOT EXISTS store;

-- Who this file belongs to and what it was opened with: cluster_id, topic:<name>, pool, k, ...
CREATE TABLE IF NOT EXISTS store.meta (name VARCHAR PRIMARY KEY, value VARCHAR NOT NULL);

-- The next offset expected, written in the same transaction as the rows up to it.
CREATE TABLE IF NOT EXISTS store.watermarks (
    topic VARCHAR, partition INTEGER, next_offset BIGINT NOT NULL, PRIMARY KEY (topic, partition)
);

-- The category schemas in force, by which every sample is measured, whatever it was made under.
-- A row for each name that a category has or had; `name` is the one in force, and its row has the
-- schema as JSON.
CREATE TABLE IF NOT EXISTS store.categories (
    category VARCHAR PRIMARY KEY, hash VARCHAR NOT NULL, name VARCHAR, content VARCHAR
);
-- A file from before categories could be renamed; `Pool` writes its rows anew.
ALTER TABLE store.categories ADD COLUMN IF NOT EXISTS name VARCHAR;
ALTER TABLE store.categories ADD COLUMN IF NOT EXISTS content VARCHAR;

-- Listings whose samples are still to be measured by a category schema that changed. A listing
-- leaves in the transaction that measures it; until then its samples are not fresh.
CREATE TABLE IF NOT EXISTS store.outdated (listing_id VARCHAR PRIMARY KEY);

-- Live requests, the first in the log of each request_id.
CREATE TABLE IF NOT EXISTS store.requests (
    request_id VARCHAR PRIMARY KEY, listing_id VARCHAR NOT NULL, input_hash VARCHAR NOT NULL,
    partition INTEGER, "offset" BIGINT, timestamp_ms BIGINT, payload VARCHAR NOT NULL,
    seller_id VARCHAR, text_group BIGINT
);
-- `text_group`: equal for texts that differ in no letter and no digit (`schemas.likeness`); of a sample
-- without a text equal for the same pictures. A file
-- from before it has none: listings that it had by then are told to be alike by their titles alone.
ALTER TABLE store.requests ADD COLUMN IF NOT EXISTS seller_id VARCHAR;
ALTER TABLE store.requests ADD COLUMN IF NOT EXISTS text_group BIGINT;

-- Canonical answers: the first in the log of each request_id.
CREATE TABLE IF NOT EXISTS store.predictions (
    request_id VARCHAR PRIMARY KEY, prediction_id VARCHAR NOT NULL, listing_id VARCHAR NOT NULL,
    category VARCHAR, category_schema_hash VARCHAR, input_hash VARCHAR, status VARCHAR,
    purpose VARCHAR, requested VARCHAR, "values" VARCHAR, mode VARCHAR, batches INTEGER,
    adapter_id VARCHAR, adapter_hash VARCHAR, latency_ms DOUBLE,
    partition INTEGER, "offset" BIGINT, timestamp_ms BIGINT, invalid VARCHAR,
    confidence VARCHAR, missing_required VARCHAR, arms VARCHAR, fell_back VARCHAR,
    tokens_read INTEGER, tokens_written INTEGER
);
-- Attribute to the text that its schema refused. A file from before they were kept has none of the
-- predictions that it had by then: a value that is allowed later does not make those complete.
ALTER TABLE store.predictions ADD COLUMN IF NOT EXISTS invalid VARCHAR;
-- Attribute to probability, and the required attributes without a value; an older file has neither.
ALTER TABLE store.predictions ADD COLUMN IF NOT EXISTS confidence VARCHAR;
ALTER TABLE store.predictions ADD COLUMN IF NOT EXISTS missing_required VARCHAR;
-- Experiment to arm, as JSON; NULL where the seller was in none, as in a file from before arms.
ALTER TABLE store.predictions ADD COLUMN IF NOT EXISTS arms VARCHAR;
ALTER TABLE store.predictions ADD COLUMN IF NOT EXISTS fell_back VARCHAR;
ALTER TABLE store.predictions ADD COLUMN IF NOT EXISTS tokens_read INTEGER;
ALTER TABLE store.predictions ADD COLUMN IF NOT EXISTS tokens_written INTEGER;
-- SHA-256 of the pictures that were seen, in order, and a sentence for each that was not, as JSON; NULL
-- where there is none.
ALTER TABLE store.predictions ADD COLUMN IF NOT EXISTS pictures VARCHAR;
ALTER TABLE store.predictions ADD COLUMN IF NOT EXISTS notes VARCHAR;

-- Which listing showed which picture (`streams.pool.pictures`). No key: an index would take more memory
-- than the rows.
CREATE TABLE IF NOT EXISTS store.pictures (listing_sha256 VARCHAR NOT NULL, sha256 VARCHAR NOT NULL);

-- All reviews; the last of a listing, by the broker's time, wins. `shown` and `accepted` count values.
CREATE TABLE IF NOT EXISTS store.reviews (
    review_id VARCHAR PRIMARY KEY, prediction_id VARCHAR, listing_id VARCHAR NOT NULL,
    category VARCHAR, category_schema_hash VARCHAR, submitted VARCHAR,
    shown INTEGER, accepted INTEGER,
    partition INTEGER, "offset" BIGINT, timestamp_ms BIGINT, refused VARCHAR
);
-- Finds the reviewed text where the prediction is not known. Of a file from before it was kept `Pool`
-- takes it from the predictions.
ALTER TABLE store.reviews ADD COLUMN IF NOT EXISTS request_id VARCHAR;
-- Where each value of `submitted` comes from, in short (schemas.origins): a letter for each, t(yped),
-- c(hanged), a(ccepted), u(nknown) or - for a blank. NULL from before it was kept.
ALTER TABLE store.reviews ADD COLUMN IF NOT EXISTS origins VARCHAR;
-- Of the values that are illegal, mended or not: attribute, reason, value and sentence.
ALTER TABLE store.reviews ADD COLUMN IF NOT EXISTS refused VARCHAR;

-- Listings whose last review reviewed a text that is not here (yet): they have no sample.
CREATE TABLE IF NOT EXISTS store.textless (listing_id VARCHAR PRIMARY KEY);

-- One row per listing and adapter: what the model filled against what the seller submitted, both for
-- the text that the seller reviewed. `request_id`: the last live request with that text.
CREATE TABLE IF NOT EXISTS store.samples (
    listing_id VARCHAR, adapter_hash VARCHAR, adapter_id VARCHAR, category VARCHAR,
    c_model DOUBLE, c_catalog DOUBLE, gap DOUBLE, deficit DOUBLE,
    request_id VARCHAR, prediction_id VARCHAR, review_id VARCHAR, purpose VARCHAR,
    timestamp_ms BIGINT, edits DOUBLE, held_out BOOLEAN,
    seller_id VARCHAR, text_group BIGINT, asked INTEGER, asked_share DOUBLE,
    blind BOOLEAN, arms VARCHAR,
    PRIMARY KEY (listing_id, adapter_hash)
);
-- A file from before edits were measured; `Pool` has all its samples measured anew.
ALTER TABLE store.samples ADD COLUMN IF NOT EXISTS edits DOUBLE;
-- A file from before listings were held out; `Pool` notes which are.
ALTER TABLE store.samples ADD COLUMN IF NOT EXISTS held_out BOOLEAN;
-- A file from before these. `asked`: attributes that were asked for, `asked_share`: of all that the
-- category has; NULL counts as all of them.
ALTER TABLE store.samples ADD COLUMN IF NOT EXISTS seller_id VARCHAR;
ALTER TABLE store.samples ADD COLUMN IF NOT EXISTS text_group BIGINT;
ALTER TABLE store.samples ADD COLUMN IF NOT EXISTS asked INTEGER;
ALTER TABLE store.samples ADD COLUMN IF NOT EXISTS asked_share DOUBLE;
-- Of the review (`streams.pool.samples`). A file from before these has all its samples measured anew.
ALTER TABLE store.samples ADD COLUMN IF NOT EXISTS blind BOOLEAN;
ALTER TABLE store.samples ADD COLUMN IF NOT EXISTS arms VARCHAR;
-- What was seen when the reviewed answer was made, as in `predictions`.
ALTER TABLE store.samples ADD COLUMN IF NOT EXISTS pictures VARCHAR;

-- Listings that a round has trained on; never selected again.
CREATE TABLE IF NOT EXISTS store.used (
    listing_id VARCHAR, round INTEGER, role VARCHAR, PRIMARY KEY (listing_id, round)
);
-- A file from when each round had validation listings of its own: nothing was trained on those.
DELETE FROM store.used WHERE role = 'validation';

-- Training rounds. `state`: decided (in the outbox only), requested, training, proposed; or closed:
-- promoted, rejected, superseded, quarantined, closed (its end was compacted away), challenger (not
-- decided yet); or failed (an attempt did, the next one is to be decided); or judging (a challenger,
-- again); or canary (its adapter is tried on a share of sellers). `proposal`: the event whose adapter
-- may become champion, of a canary the one that started it. `look`: how often it was ordered to be judged, `looked_ms`: when the last time. `request`
-- has the files of all looks.
CREATE TABLE IF NOT EXISTS store.rounds (
    round INTEGER PRIMARY KEY, attempt INTEGER NOT NULL, state VARCHAR NOT NULL,
    parent_id VARCHAR, parent_hash VARCHAR, adapter_id VARCHAR, adapter_hash VARCHAR,
    request VARCHAR, proposal VARCHAR, reason VARCHAR, metrics VARCHAR, parent_metrics VARCHAR,
    train_seconds DOUBLE, eval_seconds DOUBLE,
    requested_ms BIGINT, started_ms BIGINT, lease_until_ms BIGINT, closed_ms BIGINT,
    look INTEGER DEFAULT 1, looked_ms BIGINT
);
ALTER TABLE store.rounds ADD COLUMN IF NOT EXISTS look INTEGER DEFAULT 1;
ALTER TABLE store.rounds ADD COLUMN IF NOT EXISTS looked_ms BIGINT;

-- Adapters that a trainer told of. Only a published one can become champion.
CREATE TABLE IF NOT EXISTS store.adapters (
    adapter_hash VARCHAR PRIMARY KEY, adapter_id VARCHAR NOT NULL, adapter_uri VARCHAR,
    parent_id VARCHAR, parent_hash VARCHAR, round INTEGER, published BOOLEAN NOT NULL,
    metrics VARCHAR, created_ms BIGINT
);

-- Every move of the champion alias in log order; the last row is the champion.
CREATE SEQUENCE IF NOT EXISTS store.alias_order;
CREATE TABLE IF NOT EXISTS store.alias_moves (
    n BIGINT, event_id VARCHAR PRIMARY KEY, kind VARCHAR,
    adapter_id VARCHAR, adapter_hash VARCHAR, adapter_uri VARCHAR, since_ms BIGINT,
    watch_reference DOUBLE
);
-- What its parent's net benefit surely was at least, of an adapter that a canary let go to all.
ALTER TABLE store.alias_moves ADD COLUMN IF NOT EXISTS watch_reference DOUBLE;

-- Experiments and canaries of this pool (`schemas.experiment`), `content` as JSON. `state`: running or
-- ended; `ended_ms` and `reason` of those that ended.
CREATE TABLE IF NOT EXISTS store.experiments (
    name VARCHAR PRIMARY KEY, content VARCHAR NOT NULL, state VARCHAR NOT NULL,
    started_ms BIGINT NOT NULL, ended_ms BIGINT, reason VARCHAR
);

-- What persons asked the conductor for and it has not decided yet.
CREATE TABLE IF NOT EXISTS store.wishes (
    event_id VARCHAR PRIMARY KEY, kind VARCHAR, adapter_id VARCHAR, created_ms BIGINT
);

-- Control events applied, so that one that comes twice counts once. Heartbeats are left out.
CREATE TABLE IF NOT EXISTS store.control_events (event_id VARCHAR PRIMARY KEY);

-- Events to publish, written in the transaction that decided them; deleted once delivered.
CREATE SEQUENCE IF NOT EXISTS store.outbox_order;
CREATE TABLE IF NOT EXISTS store.outbox (
    id BIGINT PRIMARY KEY, topic VARCHAR NOT NULL,
    key VARCHAR NOT NULL, payload VARCHAR NOT NULL, created_ms BIGINT NOT NULL
);

-- Decisions that have not come back through the log yet: nothing else is decided before they have.
-- The identity of an attempt at a round is `<pool>:<round>:<attempt>`, of an event its event_id.
CREATE TABLE IF NOT EXISTS store.pending (event_id VARCHAR PRIMARY KEY);

-- Orders to measure a listing again under the champion, or to see what an adapter on trial answers.
CREATE TABLE IF NOT EXISTS store.backfill_orders (
    request_id VARCHAR PRIMARY KEY, listing_id VARCHAR, adapter_hash VARCHAR,
    created_ms BIGINT, outcome VARCHAR,  -- NULL while outstanding, then the answer's status
    category_schema_hash VARCHAR
);
ALTER TABLE store.backfill_orders ADD COLUMN IF NOT EXISTS category_schema_hash VARCHAR;
-- Of the text that was ordered; in a file from before it was kept NULL, which stands for any.
ALTER TABLE store.backfill_orders ADD COLUMN IF NOT EXISTS input_hash VARCHAR;
-- `backfill`, or `shadow` for an adapter on trial (`streams.pool.deciding.shadow`).
ALTER TABLE store.backfill_orders ADD COLUMN IF NOT EXISTS purpose VARCHAR DEFAULT 'backfill';

-- Listings that were forgotten, by the SHA-256 of their id. `rounds`: those that trained on it, a
-- JSON array, NULL until the conductor has looked; `settled`: nothing of it is left in their files.
CREATE TABLE IF NOT EXISTS store.forgotten (
    listing_sha256 VARCHAR PRIMARY KEY, forgotten_ms BIGINT NOT NULL, rounds VARCHAR,
    settled BOOLEAN NOT NULL
);

-- ------------------------------------------------------------------------------- views for people

-- By log order, not by clock; before the first move it is the base.
CREATE OR REPLACE VIEW store.champion AS
SELECT adapter_id, adapter_hash, adapter_uri, since_ms
FROM (SELECT n, adapter_id, adapter_hash, adapter_uri, since_ms FROM store.alias_moves
      UNION ALL SELECT 0, 'base', 'base', NULL, 0)
ORDER BY n DESC LIMIT 1;

CREATE OR REPLACE VIEW store.measured AS
SELECT s.*, s.adapter_hash = (SELECT adapter_hash FROM store.champion)
           AND NOT EXISTS (FROM store.outdated o WHERE o.listing_id = s.listing_id) AS fresh,
       EXISTS (FROM store.used u WHERE u.listing_id = s.listing_id) AS used
FROM store.samples s;

CREATE OR REPLACE VIEW main.samples AS
SELECT string_split(s.listing_id, chr(31))[-1] AS listing_id, s.category,
       r.payload ->> '$.title' AS title, s.adapter_id, s.adapter_hash,
       s.c_model, s.c_catalog, s.gap, s.deficit, s.edits, s.purpose, s.prediction_id, s.review_id,
       s.fresh, s.used, s.held_out, make_timestamp_ms(s.timestamp_ms) AS measured_at,
       s.seller_id, r.payload -> '$.tags' AS tags, s.asked, s.blind, s.arms::JSON AS arms,
       s.pictures::JSON AS pictures
FROM store.measured s LEFT JOIN store.requests r USING (request_id);
COMMENT ON VIEW main.samples IS
'One row per listing and adapter: completeness of model and catalog, gap, deficit and edits. `fresh`: measured under the champion and by the schema in force; `used`: a round has trained on the listing; `held_out`: none ever does, it judges; `asked`: attributes asked for; `blind`: no model has touched what the seller submitted; `arms`: of each experiment the arm that the seller was in; `pictures`: SHA-256 of those that were seen.';

-- Seller by seller first, as `streams.pool.spread` does, so that none costs others their places.
CREATE OR REPLACE VIEW main.pool AS
WITH setting AS (
    SELECT any_value(value) FILTER (name = 'selection') AS selection,
           any_value(try_cast(value AS DOUBLE)) FILTER (name = 'min_gap') AS min_gap,
           any_value(try_cast(value AS BIGINT)) FILTER (name = 'most_per_seller') AS per_seller,
           any_value(try_cast(value AS BIGINT)) FILTER (name = 'most_per_category') AS per_category,
           any_value(try_cast(value AS BIGINT)) FILTER (name = 'most_per_group') AS per_group
    FROM store.meta
),
counting AS (
    SELECT s.*, per_seller, per_category, per_group, coalesce(asked_share, 1) *
           CASE selection WHEN 'gap' THEN gap WHEN 'edits' THEN edits ELSE deficit END AS score
    FROM store.measured s, setting
    WHERE fresh AND NOT used AND NOT held_out
      AND CASE selection WHEN 'edits' THEN edits ELSE deficit END > 0
      AND CASE selection WHEN 'edits' THEN edits ELSE deficit END >= min_gap
),
by_seller_and_text AS (
    FROM counting QUALIFY text_group IS NULL OR row_number() OVER
        (PARTITION BY seller_id, text_group ORDER BY score DESC, listing_id) <= per_group
),
by_seller AS (
    FROM by_seller_and_text QUALIFY seller_id IS NULL OR row_number() OVER
        (PARTITION BY seller_id ORDER BY score DESC, listing_id) <= per_seller
),
by_text AS (
    FROM by_seller QUALIFY text_group IS NULL OR row_number() OVER
        (PARTITION BY text_group ORDER BY score DESC, listing_id) <= per_group
),
by_category AS (
    FROM by_text QUALIFY row_number() OVER
        (PARTITION BY category ORDER BY score DESC, listing_id) <= per_category
)
SELECT row_number() OVER (ORDER BY s.score DESC, s.listing_id) AS rank,
       string_split(s.listing_id, chr(31))[-1] AS listing_id, s.category,
       r.payload ->> '$.title' AS title, s.adapter_id, s.adapter_hash,
       s.c_model, s.c_catalog, s.gap, s.deficit, s.edits, s.purpose, s.prediction_id, s.review_id,
       make_timestamp_ms(s.timestamp_ms) AS measured_at,
       s.seller_id, r.payload -> '$.tags' AS tags, s.asked, s.score
FROM by_category s LEFT JOIN store.requests r USING (request_id)
ORDER BY rank;
COMMENT ON VIEW main.pool IS
'What the next round would take, best first: fresh, unused samples that are not held out, with a deficit (or edits, where ranked by them) of at least min_gap. `score`: gap, deficit or edits as set, over all attributes that the category has and not only over those asked for. At most their share are of one seller, category and text; what has nearly the same title is left out when the round is put together.';

CREATE OR REPLACE VIEW store.round_origins AS
SELECT round, (request ->> '$.origins.typed')::BIGINT AS typed,
       (request ->> '$.origins.changed')::BIGINT AS changed,
       (request ->> '$.origins.accepted')::BIGINT AS accepted,
       (request ->> '$.origins.unknown')::BIGINT AS "unknown",
       typed + changed + accepted + "unknown" AS "values"
FROM store.rounds WHERE typed IS NOT NULL;

CREATE OR REPLACE VIEW main.origins AS
SELECT round, typed, changed, accepted, "unknown", "values",
       typed / nullif("values", 0) AS share_typed, changed / nullif("values", 0) AS share_changed,
       accepted / nullif("values", 0) AS share_accepted,
       "unknown" / nullif("values", 0) AS share_unknown
FROM (FROM store.round_origins
      UNION ALL
      SELECT NULL, coalesce(sum(len(o) - len(replace(o, 't', ''))), 0)::BIGINT,
             coalesce(sum(len(o) - len(replace(o, 'c', ''))), 0)::BIGINT,
             coalesce(sum(len(o) - len(replace(o, 'a', ''))), 0)::BIGINT,
             coalesce(sum(len(o) - len(replace(o, 'u', ''))), 0)::BIGINT,
             coalesce(sum(len(replace(o, '-', ''))), 0)::BIGINT
      FROM (SELECT coalesce(r.origins, repeat(CASE r.shown WHEN 0 THEN 't' ELSE 'u' END,
                                              len(json_keys(r.submitted)))) AS o
            FROM main.pool p JOIN store.reviews r USING (review_id)))
ORDER BY round NULLS LAST;
COMMENT ON VIEW main.origins IS
'Where values come from: `typed` by the seller where nothing had been suggested, `changed` from a suggestion, or `accepted` as suggested. One row for each round, of the values that it trained on, and one without a round for what sellers submitted of the listings in `pool`.';

CREATE OR REPLACE VIEW main.rounds AS
SELECT r.round, r.attempt, r.look, r.state, r.parent_id, r.adapter_id,
       CASE WHEN r.request IS NOT NULL THEN coalesce(r.request ->> '$.trigger', 'count') END
           AS "trigger",
       (r.request ->> '$.selection') AS selection, u.listings,
       (r.request ->> '$.mean_deficit')::DOUBLE AS mean_deficit,
       o.typed / nullif(o."values", 0) AS share_typed,
       o.changed / nullif(o."values", 0) AS share_changed,
       o.accepted / nullif(o."values", 0) AS share_accepted,
       (r.request ->> '$.near_held_out')::INTEGER AS near_held_out,
       (r.request ->> '$.over_share')::INTEGER AS over_share,
       (r.request ->> '$.blind_held_out')::INTEGER AS blind_held_out,
       (r.parent_metrics ->> '$.net_benefit.value')::DOUBLE AS net_benefit_before,
       (r.metrics ->> '$.net_benefit.value')::DOUBLE AS net_benefit,
       (r.parent_metrics ->> '$.completeness.value')::DOUBLE AS completeness_before,
       (r.metrics ->> '$.completeness.value')::DOUBLE AS completeness,
       (r.parent_metrics ->> '$.recall.value')::DOUBLE AS recall_before,
       (r.metrics ->> '$.recall.value')::DOUBLE AS recall,
       (r.parent_metrics ->> '$.precision.value')::DOUBLE AS precision_before,
       (r.metrics ->> '$.precision.value')::DOUBLE AS "precision",
       r.train_seconds, r.eval_seconds, r.reason,
       make_timestamp_ms(r.requested_ms) AS requested_at, make_timestamp_ms(r.closed_ms) AS closed_at
FROM store.rounds r
LEFT JOIN (SELECT round, count(*) AS listings FROM store.used GROUP BY round) u USING (round)
LEFT JOIN store.round_origins o USING (round)
ORDER BY r.round;
COMMENT ON VIEW main.rounds IS
'Training rounds: state, parent and adapter, and what the judge measured before and after. `near_held_out`: listings that were passed over because they are nearly the same as held-out ones; `over_share`: beyond the share of one seller, category or product; `blind_held_out`: of those that judged it, how many no model had touched.';

CREATE OR REPLACE VIEW main.models AS
SELECT a.adapter_id, a.adapter_hash, a.round, a.parent_id, a.published,
       a.adapter_hash = (SELECT adapter_hash FROM store.champion) AS champion,
       (a.metrics ->> '$.net_benefit.value')::DOUBLE AS net_benefit,
       (a.metrics ->> '$.completeness.value')::DOUBLE AS completeness,
       (a.metrics ->> '$.recall.value')::DOUBLE AS recall,
       (a.metrics ->> '$.precision.value')::DOUBLE AS "precision",
       make_timestamp_ms(a.created_ms) AS created_at
FROM (SELECT adapter_id, adapter_hash, round, parent_id, published, metrics, created_ms
      FROM store.adapters
      UNION ALL SELECT 'base', 'base', 0, NULL, true, NULL, 0) a
ORDER BY a.round, a.created_ms;
COMMENT ON VIEW main.models IS
'The base and every adapter that a trainer told of; `champion` marks the one that live requests get.';

CREATE OR REPLACE VIEW main.models_by_inputs AS
SELECT adapter_id, adapter_hash, round, one.key AS inputs,
       (one."value" ->> '$.listings')::INTEGER AS listings,
       (one."value" ->> '$.net_benefit.value')::DOUBLE AS net_benefit,
       (one."value" ->> '$.completeness.value')::DOUBLE AS completeness,
       (one."value" ->> '$.recall.value')::DOUBLE AS recall,
       (one."value" ->> '$.precision.value')::DOUBLE AS "precision"
FROM (SELECT adapter_id, adapter_hash, round, created_ms,
             unnest(map_entries((metrics -> '$.by_inputs')::MAP(VARCHAR, JSON))) AS one
      FROM store.adapters WHERE metrics ->> '$.by_inputs' IS NOT NULL)
ORDER BY round, created_ms, inputs;
COMMENT ON VIEW main.models_by_inputs IS
'The figures of each adapter by what was seen of the held-out listings (text, image, text+image, nothing), where that was not the same of all.';

CREATE OR REPLACE VIEW main.acceptance_by_day AS
SELECT date_trunc('day', make_timestamp_ms(r.timestamp_ms))::DATE AS day, p.adapter_id,
       count(*) AS reviews, sum(r.shown)::BIGINT AS shown, sum(r.accepted)::BIGINT AS accepted,
       sum(r.accepted) / nullif(sum(r.shown), 0) AS acceptance,
       sum(r.accepted) / nullif(sum(json_array_length(p.requested)), 0) AS online_completeness
FROM store.predictions p
JOIN (FROM store.reviews QUALIFY row_number() OVER
         (PARTITION BY prediction_id
          ORDER BY timestamp_ms DESC, "offset" DESC, partition DESC) = 1) r
  USING (prediction_id)
WHERE p.purpose = 'live' AND p.adapter_hash <> 'blind' AND r.shown IS NOT NULL
GROUP BY ALL ORDER BY day, p.adapter_id;
COMMENT ON VIEW main.acceptance_by_day IS
'Acceptance (values accepted unchanged / values shown) and online completeness (accepted / requested) by day and adapter, from the last review of each live prediction that was not blind.';

CREATE OR REPLACE VIEW main.refused_values AS
SELECT category, v.attribute, v.reason, count(*) AS count,
       list(DISTINCT v."value" ORDER BY v."value")[:3] AS examples,
       arg_max(v.sentence, timestamp_ms) AS sentence,
       make_timestamp_ms(max(timestamp_ms)) AS last_at
FROM (SELECT category, timestamp_ms, unnest(from_json(refused,
          '[{"attribute": "VARCHAR", "reason": "VARCHAR", "value": "VARCHAR", "sentence": "VARCHAR"}]')) AS v
      FROM store.reviews WHERE refused IS NOT NULL)
GROUP BY ALL ORDER BY count DESC, category, v.attribute, v.reason;
COMMENT ON VIEW main.refused_values IS
'Submitted values that are illegal although they were mended, or that stand for no value, counted over all reviews by attribute and reason, with up to three examples and the last sentence that says what to write instead.';

CREATE OR REPLACE VIEW main.pictures AS
SELECT prediction_id, string_split(listing_id, chr(31))[-1] AS listing_id, category, purpose, status,
       adapter_id, pictures::JSON AS pictures, notes::JSON AS notes,
       make_timestamp_ms(timestamp_ms) AS answered_at
FROM store.predictions WHERE pictures IS NOT NULL OR notes IS NOT NULL
ORDER BY timestamp_ms DESC;
COMMENT ON VIEW main.pictures IS
'Answers to listings with pictures, the newest first: SHA-256 of those that were seen, and in `notes` a sentence for each that was not, or that the model could not look at.';
-- What was shown is taken to be what the prediction suggested; lists compare as they are written.
CREATE OR REPLACE VIEW main.attribute_edits AS
WITH reviewed AS (
    SELECT coalesce(c.name, p.category) AS category, p.adapter_id,
           p."values"::JSON::MAP(VARCHAR, VARCHAR[]) AS suggestions,
           r.submitted::JSON::MAP(VARCHAR, VARCHAR[]) AS submitted,
           p.confidence::JSON::MAP(VARCHAR, DOUBLE) AS sure
    FROM store.predictions p
    JOIN (FROM store.reviews QUALIFY row_number() OVER
             (PARTITION BY prediction_id ORDER BY timestamp_ms DESC, "offset" DESC, partition DESC) = 1) r
      USING (prediction_id)
    LEFT JOIN store.categories c ON c.category = p.category
    WHERE p.purpose = 'live' AND p.status = 'ok' AND p.adapter_hash <> 'blind'
),
named AS (
    SELECT *, unnest(list_distinct(map_keys(suggestions) || map_keys(submitted))) AS attribute
    FROM reviewed
),
edited AS (
    SELECT category, attribute, adapter_id, nullif(suggestions[attribute], []) AS suggestion,
           nullif(submitted[attribute], []) AS final, sure[attribute] AS confidence
    FROM named
),
counted AS (
    SELECT category, attribute, adapter_id, count(suggestion) AS suggested,
           count(*) FILTER (suggestion = final) AS accepted,
           count(*) FILTER (suggestion <> final) AS changed,
           count(*) FILTER (suggestion IS NOT NULL AND final IS NULL) AS blanked,
           count(*) FILTER (suggestion IS NULL AND final IS NOT NULL) AS typed,
           avg(confidence) FILTER (suggestion IS NOT NULL) AS confidence
    FROM edited WHERE suggestion IS NOT NULL OR final IS NOT NULL GROUP BY ALL
),
changed_to AS (
    SELECT category, attribute, adapter_id,
           list({'value': value, 'count': n} ORDER BY n DESC, value)[:5] AS changed_to
    FROM (SELECT category, attribute, adapter_id, count(*) AS n,
                 array_to_string(final, ' | ') AS value
          FROM edited WHERE suggestion <> final GROUP BY ALL)
    GROUP BY ALL
)
SELECT category, attribute, adapter_id, suggested, accepted, changed, blanked, typed, confidence,
       coalesce(changed_to, []) AS changed_to
FROM counted LEFT JOIN changed_to USING (category, attribute, adapter_id)
ORDER BY changed DESC, category, attribute, adapter_id;
COMMENT ON VIEW main.attribute_edits IS
'What sellers did with each attribute, by category and adapter, from the last review of each live prediction that was not blind: of the values suggested those accepted as written, changed (and into what most: `changed_to`) and blanked; and the values typed where none was suggested. `confidence` is the mean of those suggested. Attributes stand under the names that they had then.';

CREATE OR REPLACE VIEW main.forgotten AS
WITH RECURSIVE taken AS (
    SELECT listing_sha256, unnest(from_json(rounds, '["INTEGER"]')) AS round FROM store.forgotten
),
taught AS (
    SELECT t.listing_sha256, a.adapter_id, a.adapter_hash, true AS itself
    FROM taken t JOIN store.adapters a USING (round)
    UNION
    SELECT t.listing_sha256, a.adapter_id, a.adapter_hash, false
    FROM taught t JOIN store.adapters a ON a.parent_hash = t.adapter_hash
)
SELECT f.listing_sha256, make_timestamp_ms(f.forgotten_ms) AS forgotten_at,
       from_json(f.rounds, '["INTEGER"]') AS rounds,
       coalesce((SELECT list(DISTINCT adapter_id ORDER BY adapter_id) FROM taught t
                 WHERE t.listing_sha256 = f.listing_sha256 AND itself), []) AS adapters,
       coalesce((SELECT list(DISTINCT adapter_id ORDER BY adapter_id) FROM taught t
                 WHERE t.listing_sha256 = f.listing_sha256 AND NOT itself), []) AS descendants,
       f.settled
FROM store.forgotten f ORDER BY f.forgotten_ms;
COMMENT ON VIEW main.forgotten IS
'Listings that were forgotten: the hash of the id, when, the rounds that trained on it, their adapters and those that descend from them.';

CREATE OR REPLACE VIEW main.status AS
SELECT (SELECT value FROM store.meta WHERE name = 'status') AS status,
       c.adapter_id AS champion, c.adapter_hash AS champion_hash,
       (SELECT count(*) FROM main.pool) AS fresh,
       (SELECT value::INTEGER FROM store.meta WHERE name = 'k') AS needed,
       (SELECT count(DISTINCT listing_id) FROM store.measured WHERE held_out AND NOT used) AS held_out,
       (SELECT value::INTEGER FROM store.meta WHERE name = 'heldout_least') AS held_out_needed,
       (SELECT count(*) FROM store.samples) AS samples,
       (SELECT count(DISTINCT listing_id) FROM store.used) AS used,
       (SELECT max(round) FROM store.rounds) AS last_round,
       (SELECT count(*) FROM store.predictions p
        WHERE NOT EXISTS (FROM store.categories k WHERE k.category = p.category
                          AND k.hash = p.category_schema_hash)) AS under_other_schemas,
       (SELECT count(*) FROM store.outdated) AS outdated,
       (SELECT count(*) FROM store.textless) AS reviews_without_text,
       (SELECT nullif(value, '') FROM store.meta WHERE name = 'schema_losses') AS schema_losses,
       (SELECT count(*) FROM store.predictions p WHERE p.purpose = 'live'
        AND p.adapter_hash = c.adapter_hash AND json_array_length(p.missing_required) > 0)
           AS missing_required,
       (SELECT count(*) FROM store.backfill_orders WHERE purpose = 'backfill' AND outcome IS NULL)
           AS orders_outstanding,
       (SELECT count(*) FROM store.outbox) AS outbox,
       (SELECT name FROM store.experiments WHERE state = 'running'
        AND NOT starts_with(name, 'canary:') ORDER BY started_ms DESC, name LIMIT 1) AS experiment,
       make_timestamp_ms((SELECT max(timestamp_ms) FROM store.reviews)) AS last_review_at
FROM store.champion c;
COMMENT ON VIEW main.status IS
'One row: what the conductor waits for, the champion, and how full the pool is. `held_out` counts the reviewed listings that could judge, whoever sells them. `under_other_schemas` counts predictions made under a schema that is not in force, `outdated` listings still to be measured by the one that is, `reviews_without_text` listings whose last review is of a text that the pool does not have. `schema_losses`: what the last change of schemas lost of the pool. `missing_required` counts live answers of the champion that leave a required attribute blank. `experiment`: the one that runs.';
