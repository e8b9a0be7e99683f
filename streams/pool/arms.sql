-- What experiments and canaries are decided and reported by (`schemas.experiment`).

CREATE OR REPLACE VIEW main.experiments AS
SELECT name, state, (content -> '$.arms')::JSON AS arms, (content -> '$.slices')::JSON AS slices,
       make_timestamp_ms(started_ms) AS started_at,
       make_timestamp_ms((content ->> '$.ends_ms')::BIGINT) AS ends_at,
       make_timestamp_ms(ended_ms) AS ended_at, reason
FROM store.experiments ORDER BY started_ms, name;
COMMENT ON VIEW main.experiments IS
'Experiments and canaries that run or ran: the arms, the control first; the slices of the hash range that each arm has, in the order in which they were given; since when, until when, and why one ended.';

-- Every review of every live answer. `tried`: the seller is in the arm of a canary's adapter, which
-- then answers in place of the champion of another experiment's arm. `filled`: of the values asked for, those that the listing has in
-- the end and that are legal, whoever filled them in.
CREATE OR REPLACE VIEW store.reviewed_answers AS
WITH matched AS (
    SELECT split_part(p.listing_id, chr(31), 1) AS seller, p.prediction_id, p.arms,
           coalesce(regexp_matches(p.arms, '"canary:[^"]*":"canary"'), false) AS tried,
           p.adapter_id, p.adapter_hash, p.category, json_array_length(p.requested) AS asked,
           r.shown, r.accepted, p.latency_ms, r.timestamp_ms, r."offset", r.partition,
           list_intersect(from_json(p.requested, '["VARCHAR"]'),
               list_transform(list_filter(map_entries(r.submitted::JSON::MAP(VARCHAR, VARCHAR[])),
                   lambda one: len(one.value) > 0), lambda one: one.key)) AS filled,
           list_transform(from_json(r.refused, '[{"attribute": "VARCHAR"}]'),
               lambda one: one.attribute) AS refused
    FROM store.predictions p JOIN store.reviews r USING (prediction_id)
    WHERE p.purpose = 'live' AND p.status = 'ok' AND r.shown IS NOT NULL
)
SELECT * EXCLUDE (filled, refused),
       (len(filled) - coalesce(len(list_intersect(filled, refused)), 0))::INTEGER AS filled
FROM matched;

-- One closed number per seller: what came of the first review of the first answer that the seller,
-- or a listing without one, got in the experiment and reviewed. It never changes afterwards, and the
-- next reviews of the same seller, which resemble it, are no evidence of their own. What a canary's
-- adapter answered counts in the canary alone: it is chance who is in it, so the others of the arm
-- are like all of it. Order by
-- (closed_ms, "offset", partition): the log's.
CREATE OR REPLACE VIEW main.arm_sellers AS
WITH of_each AS (
    SELECT *, unnest(map_entries(arms::JSON::MAP(VARCHAR, VARCHAR))) AS entry
    FROM store.reviewed_answers WHERE arms IS NOT NULL
)
SELECT entry.key AS experiment, entry.value AS arm, seller, adapter_id, adapter_hash, category,
       asked, shown, accepted, latency_ms, timestamp_ms AS closed_ms, "offset", partition, filled
FROM of_each WHERE NOT tried OR starts_with(entry.key, 'canary:')
QUALIFY row_number() OVER (PARTITION BY entry.key, seller
    ORDER BY timestamp_ms, "offset", partition) = 1;
COMMENT ON VIEW main.arm_sellers IS
'One row per experiment and seller (or listing without one) in it, of the first answer that was reviewed, at its first review: the arm, and how many values were asked for, shown and accepted. The unit of analysis of experiments and canaries.';

-- Live answers, reviewed or not, by experiment. An engine of ours made it, or else it is paid by the
-- token or suggests nothing.
CREATE OR REPLACE VIEW store.arm_answers AS
SELECT entry.key AS experiment, entry.value AS arm, * EXCLUDE (entry)
FROM (SELECT split_part(listing_id, chr(31), 1) AS seller, prediction_id, status, latency_ms,
             timestamp_ms, fell_back, tokens_read, tokens_written,
             adapter_hash <> 'blind' AND NOT starts_with(adapter_hash, 'endpoint:') AS by_engine,
             unnest(map_entries(arms::JSON::MAP(VARCHAR, VARCHAR))) AS entry
      FROM store.predictions WHERE arms IS NOT NULL AND purpose = 'live');

CREATE OR REPLACE VIEW main.arm_units AS
WITH last_reviews AS (
    SELECT prediction_id, tried, asked, shown, accepted, filled FROM store.reviewed_answers
    WHERE arms IS NOT NULL QUALIFY row_number() OVER
        (PARTITION BY prediction_id ORDER BY timestamp_ms DESC, "offset" DESC, partition DESC) = 1
)
SELECT experiment, arm, seller, make_timestamp_ms(min(timestamp_ms)) AS first_at,
       count(*) AS answers, count(asked) AS reviews, coalesce(sum(asked), 0)::BIGINT AS asked,
       coalesce(sum(shown), 0)::BIGINT AS shown, coalesce(sum(accepted), 0)::BIGINT AS accepted,
       coalesce(sum(filled), 0)::BIGINT AS filled
FROM store.arm_answers a LEFT JOIN last_reviews r ON r.prediction_id = a.prediction_id
 AND (NOT r.tried OR starts_with(a.experiment, 'canary:'))
GROUP BY experiment, arm, seller ORDER BY experiment, first_at, seller;
COMMENT ON VIEW main.arm_units IS
'One row per experiment, arm and seller (or listing without one) that was answered: when first, and sums over all answers that were reviewed, each by its last review. For the delta method, and to see whether the arms get their shares.';

CREATE OR REPLACE VIEW main.arms AS
WITH span AS (
    SELECT experiment, min(timestamp_ms) AS begin_ms, max(timestamp_ms) AS end_ms
    FROM store.arm_answers GROUP BY experiment
),
engine AS (
    SELECT s.experiment, sum(p.latency_ms) AS busy_ms
    FROM span s JOIN store.predictions p ON p.timestamp_ms BETWEEN s.begin_ms AND s.end_ms
    WHERE p.purpose = 'live' AND p.status = 'ok'
      AND p.adapter_hash <> 'blind' AND NOT starts_with(p.adapter_hash, 'endpoint:')
    GROUP BY s.experiment
)
SELECT experiment, arm, count(DISTINCT seller) AS sellers,
       count(*) FILTER (status = 'ok') AS answers, count(*) FILTER (status <> 'ok') AS failed,
       count(fell_back) AS fell_back,
       quantile_cont(latency_ms, 0.5) FILTER (status = 'ok') AS p50_ms,
       quantile_cont(latency_ms, 0.9) FILTER (status = 'ok') AS p90_ms,
       coalesce(sum(tokens_read), 0)::BIGINT AS tokens_read,
       coalesce(sum(tokens_written), 0)::BIGINT AS tokens_written,
       coalesce(sum(tokens_read) FILTER (NOT by_engine), 0)::BIGINT AS billed_read,
       coalesce(sum(tokens_written) FILTER (NOT by_engine), 0)::BIGINT AS billed_written,
       coalesce(sum(latency_ms) FILTER (status = 'ok' AND by_engine)
                / nullif(any_value(busy_ms), 0), 0) AS engine_share,
       any_value(end_ms - begin_ms) / 3600000 AS hours
FROM store.arm_answers JOIN span USING (experiment) LEFT JOIN engine USING (experiment)
GROUP BY experiment, arm ORDER BY experiment, arm;
COMMENT ON VIEW main.arms IS
'One row per experiment and arm: live answers, how many of them failed or came from the champion because the arm''s own answerer could not answer, latency, tokens, and what the cost is reckoned from.';

CREATE OR REPLACE VIEW main.sellers AS
SELECT seller, count(DISTINCT prediction_id) AS reviews,
       arg_min(asked, (timestamp_ms, "offset", partition)) AS asked,
       arg_min(shown, (timestamp_ms, "offset", partition)) AS shown,
       arg_min(accepted, (timestamp_ms, "offset", partition)) AS accepted,
       make_timestamp_ms(min(timestamp_ms)) AS first_at, make_timestamp_ms(max(timestamp_ms)) AS last_at
FROM store.reviewed_answers WHERE adapter_hash <> 'blind'
GROUP BY seller ORDER BY first_at, seller;
COMMENT ON VIEW main.sellers IS
'One row per seller (or listing without one) with a reviewed live answer that could suggest something: how many of them, and what was asked for, shown and accepted in the first. What an experiment is planned from.';
