-- What has changed on live traffic, as sizes and not as p-values: the newest `drift.window_hours`
-- against the `drift.reference_hours` before them, by record time. Computed when asked, never by
-- the conductor.

CREATE OR REPLACE VIEW store.drift_time AS
WITH setting AS (
    SELECT coalesce(max(try_cast(value AS DOUBLE)) FILTER (name = 'drift_window_hours'), 24) AS newest,
           coalesce(max(try_cast(value AS DOUBLE)) FILTER (name = 'drift_reference_hours'), 168) AS before
    FROM store.meta
)
SELECT until_ms, until_ms - (3600000 * newest)::BIGINT AS now_ms,
       until_ms - (3600000 * (newest + before))::BIGINT AS reference_ms
FROM setting, (SELECT max(timestamp_ms) AS until_ms FROM store.predictions WHERE purpose = 'live');

-- Arms that the champion answers.
CREATE OR REPLACE VIEW store.champions_arms AS
SELECT coalesce(list(name || chr(31) || one.name), []) AS names
FROM (SELECT name, unnest(from_json(content, '{"arms": [{"name": "VARCHAR", "answers": "VARCHAR"}]}').arms) AS one
      FROM store.experiments)
WHERE one.answers = 'champion';

-- Live answers in either period. Those in an arm are left out, unless the champion of now or of then
-- gave them: it answers the sellers of its arm as it answers everyone.
CREATE OR REPLACE VIEW store.drift_answers AS
SELECT CASE WHEN p.timestamp_ms > t.now_ms THEN 'now' ELSE 'reference' END AS period,
       p.request_id, p.prediction_id, p.adapter_id, p.adapter_hash,
       json_array_length(p.requested) AS asked,
       p."values"::JSON::MAP(VARCHAR, VARCHAR[]) AS suggested,
       p.confidence::JSON::MAP(VARCHAR, DOUBLE) AS sure,
       coalesce(len(json_keys(p.invalid)), 0) AS invalid
FROM store.predictions p, store.drift_time t
WHERE p.purpose = 'live' AND p.status = 'ok' AND p.timestamp_ms > t.reference_ms
  AND (p.arms IS NULL OR p.fell_back IS NOT NULL
       OR p.adapter_hash = (SELECT adapter_hash FROM store.champion)
       OR list_has_all((SELECT names FROM store.champions_arms),
              list_transform(map_entries(p.arms::JSON::MAP(VARCHAR, VARCHAR)),
                             lambda e: e.key || chr(31) || e.value)));

-- A row for each value suggested. `accepted`: of all values of its answer, those that the last
-- review took; NULL without a review.
CREATE OR REPLACE VIEW store.drift_suggested AS
WITH named AS (
    SELECT period, prediction_id, adapter_id, sure, unnest(map_entries(suggested)) AS entry
    FROM store.drift_answers
)
SELECT period, prediction_id, adapter_id, sure[entry.key] AS confidence
FROM named WHERE len(entry.value) > 0;

CREATE OR REPLACE VIEW store.drift_reviewed AS
SELECT a.period, a.prediction_id, a.adapter_id, r.shown, r.accepted
FROM store.drift_answers a
JOIN (FROM store.reviews QUALIFY row_number() OVER
         (PARTITION BY prediction_id
          ORDER BY timestamp_ms DESC, "offset" DESC, partition DESC) = 1) r
  USING (prediction_id)
WHERE r.shown > 0;

CREATE OR REPLACE VIEW main.drift_inputs AS
WITH asked AS (
    SELECT CASE WHEN q.timestamp_ms > t.now_ms THEN 'now' ELSE 'reference' END AS period,
           q.payload ->> '$.category' AS stored,
           len(q.payload ->> '$.title') + coalesce(len(q.payload ->> '$.description'), 0) AS letters
    FROM store.requests q, store.drift_time t WHERE q.timestamp_ms > t.reference_ms
),
binned AS (
    SELECT 'category' AS signal, coalesce(c.name, a.stored) AS bin, period
    FROM asked a LEFT JOIN store.categories c ON c.category = a.stored
    UNION ALL
    SELECT 'text length', lpad(round(pow(2, floor(2 * log2(letters + 1)) / 2))::BIGINT::VARCHAR, 6, ' '),
           period
    FROM asked
)
SELECT signal, trim(bin) || CASE signal WHEN 'text length' THEN '+' ELSE '' END AS bin,
       count(*) FILTER (period = 'reference') AS reference, count(*) FILTER (period = 'now') AS now
FROM binned GROUP BY signal, binned.bin ORDER BY signal, binned.bin;
COMMENT ON VIEW main.drift_inputs IS
'What sellers ask about, in the newest hours and in those before: live requests by category, and by length of title and description in characters; a bin goes from its number up to the next.';

CREATE OR REPLACE VIEW main.drift_outputs AS
WITH answered AS (
    SELECT period, adapter_id, count(*) AS answers, sum(asked)::BIGINT AS asked,
           sum(len(list_filter(map_values(suggested), lambda v: len(v) > 0)))::BIGINT AS filled,
           sum(invalid)::BIGINT AS invalid
    FROM store.drift_answers GROUP BY ALL
),
suggested AS (
    SELECT period, adapter_id, avg(confidence) AS confidence
    FROM store.drift_suggested GROUP BY ALL
),
reviewed AS (
    SELECT period, adapter_id, count(*) AS reviews, sum(shown)::BIGINT AS shown,
           sum(accepted)::BIGINT AS accepted
    FROM store.drift_reviewed GROUP BY ALL
),
expected AS (
    SELECT s.period, s.adapter_id, avg(s.confidence) AS expected
    FROM store.drift_suggested s JOIN store.drift_reviewed USING (prediction_id) GROUP BY ALL
)
SELECT period, adapter_id, answers, asked, filled / nullif(asked, 0) AS completeness,
       (asked - filled - invalid) / nullif(asked, 0) AS abstained,
       invalid / nullif(asked, 0) AS refused, confidence,
       coalesce(reviews, 0) AS reviews, coalesce(shown, 0) AS shown,
       accepted / nullif(shown, 0) AS acceptance, expected AS expected_precision
FROM answered LEFT JOIN suggested USING (period, adapter_id)
LEFT JOIN reviewed USING (period, adapter_id) LEFT JOIN expected USING (period, adapter_id)
ORDER BY period DESC, answers DESC, adapter_id;
COMMENT ON VIEW main.drift_outputs IS
'What is answered, in the newest hours and in those before, by adapter: shares of the values asked for that were filled, left blank, or refused by the schema; the mean confidence of those suggested; and of reviewed answers the acceptance, beside the precision that the confidence promised.';

CREATE OR REPLACE VIEW main.drift_labels AS
WITH reviewed AS (
    SELECT CASE WHEN r.timestamp_ms > t.now_ms THEN 'now' ELSE 'reference' END AS period,
           r.review_id, coalesce(c.name, r.category) AS category, c.content,
           r.submitted::JSON::MAP(VARCHAR, VARCHAR[]) AS submitted,
           coalesce(json_array_length(r.refused), 0) AS refused
    FROM store.reviews r JOIN store.drift_time t ON r.timestamp_ms > t.reference_ms
    LEFT JOIN store.categories c ON c.category = r.category
    QUALIFY row_number() OVER (PARTITION BY r.listing_id, period
        ORDER BY r.timestamp_ms DESC, r."offset" DESC, r.partition DESC) = 1
),
enums AS (
    SELECT name AS category, attribute ->> '$.name' AS attribute
    FROM (SELECT name, unnest(from_json(content, '{"attributes": ["JSON"]}').attributes) AS attribute
          FROM store.categories WHERE category = name)
    WHERE attribute ->> '$.type' = 'enum'
),
named AS (SELECT period, category, unnest(map_entries(submitted)) AS entry FROM reviewed),
typed AS (
    SELECT n.period, n.category, n.entry.key AS attribute, unnest(n.entry.value) AS "value"
    FROM named n JOIN enums e ON e.category = n.category AND e.attribute = n.entry.key
),
seen AS (
    SELECT category, sum("count")::BIGINT AS of_enums,
           coalesce(sum("count") FILTER (NOT known), 0)::BIGINT AS new_values
    FROM (SELECT category, attribute, "value", count(*) FILTER (period = 'now') AS "count",
                 bool_or(period = 'reference') AS known
          FROM typed GROUP BY ALL)
    GROUP BY category
),
counted AS (
    SELECT period, category, count(*) AS reviews,
           sum(len(list_filter(map_values(submitted), lambda v: len(v) > 0)))::BIGINT AS "values",
           sum(refused)::BIGINT AS refused
    FROM reviewed GROUP BY ALL
)
SELECT period, category, reviews, "values", refused, refused / nullif("values", 0) AS share_refused,
       CASE period WHEN 'now' THEN coalesce(of_enums, 0) END AS enum_values,
       CASE period WHEN 'now' THEN coalesce(new_values, 0) END AS new_values
FROM counted LEFT JOIN seen USING (category)
ORDER BY period DESC, reviews DESC, category;
COMMENT ON VIEW main.drift_labels IS
'What sellers submit, in the newest hours and in those before, by category, from the last review of each listing in each period: the values, those that the schema refused, and of the newest hours the values of enums, and how many of them nobody submitted in the hours before.';

-- Distances are Jensen-Shannon's (the root of the divergence to base 2, 0 to 1); others are
-- differences. `noise`: what chance alone gives with so many, were all of them independent.
CREATE OR REPLACE VIEW main.drift AS
WITH bins AS (
    FROM main.drift_inputs
    UNION ALL
    SELECT 'confidence', floor(10 * confidence)::VARCHAR, count(*) FILTER (period = 'reference'),
           count(*) FILTER (period = 'now')
    FROM store.drift_suggested WHERE confidence IS NOT NULL GROUP BY ALL
),
shares AS (
    SELECT signal, reference, now, sum(reference) OVER signals AS n_reference,
           sum(now) OVER signals AS n_now, count(*) OVER signals AS bins,
           reference / nullif(n_reference, 0) AS p, now / nullif(n_now, 0) AS q, (p + q) / 2 AS m
    FROM bins WINDOW signals AS (PARTITION BY signal)
),
distances AS (
    SELECT s.signal, s.n_reference::BIGINT AS n_reference, s.n_now::BIGINT AS n_now,
           sqrt(greatest(0, sum(CASE WHEN p > 0 THEN p / 2 * log2(p / m) ELSE 0 END
                              + CASE WHEN q > 0 THEN q / 2 * log2(q / m) ELSE 0 END)))
               AS distance,
           sqrt((bins - 1) / (8 * ln(2)) * (1 / nullif(s.n_reference, 0) + 1 / nullif(s.n_now, 0))) AS noise
    FROM shares s GROUP BY s.signal, s.n_reference, s.n_now, s.bins
),
lengths AS (
    SELECT period, avg(letters) AS mean
    FROM (SELECT CASE WHEN q.timestamp_ms > t.now_ms THEN 'now' ELSE 'reference' END AS period,
                 len(q.payload ->> '$.title') + coalesce(len(q.payload ->> '$.description'), 0) AS letters
          FROM store.requests q, store.drift_time t WHERE q.timestamp_ms > t.reference_ms)
    GROUP BY period
),
outputs AS (
    SELECT o.period, sum(o.asked)::BIGINT AS asked, sum(o.shown)::BIGINT AS shown,
           sum(o.completeness * o.asked) / nullif(sum(o.asked), 0) AS completeness,
           sum(o.abstained * o.asked) / nullif(sum(o.asked), 0) AS abstained,
           sum(o.acceptance * o.shown) / nullif(sum(o.shown), 0) AS acceptance,
           sum(o.expected_precision * o.shown)
               / nullif(sum(o.shown) FILTER (o.expected_precision IS NOT NULL), 0) AS expected,
           string_agg(DISTINCT o.adapter_id, ', ' ORDER BY o.adapter_id) AS adapters
    FROM main.drift_outputs o GROUP BY o.period
),
sure AS (SELECT period, avg(confidence) AS mean FROM store.drift_suggested GROUP BY period),
labels AS (
    SELECT l.period, sum(l."values")::BIGINT AS "values",
           sum(l.refused) / nullif(sum(l."values"), 0) AS refused,
           sum(l.enum_values)::BIGINT AS enum_values,
           sum(l.new_values) / nullif(sum(l.enum_values), 0) AS new_values
    FROM main.drift_labels l GROUP BY l.period
),
told AS (
    SELECT 1 AS place, 'category' AS signal, 'input' AS kind, NULL::DOUBLE AS reference,
           NULL::DOUBLE AS now, true AS binned, NULL::BIGINT AS n_reference, NULL::BIGINT AS n_now
    UNION ALL SELECT 2, 'text length', 'input', any_value(mean) FILTER (period = 'reference'),
           any_value(mean) FILTER (period = 'now'), true, NULL, NULL FROM lengths
    UNION ALL SELECT 3, 'completeness', 'output', any_value(completeness) FILTER (period = 'reference'),
           any_value(completeness) FILTER (period = 'now'), false,
           any_value(asked) FILTER (period = 'reference'), any_value(asked) FILTER (period = 'now')
           FROM outputs
    UNION ALL SELECT 4, 'abstained', 'output', any_value(abstained) FILTER (period = 'reference'),
           any_value(abstained) FILTER (period = 'now'), false,
           any_value(asked) FILTER (period = 'reference'), any_value(asked) FILTER (period = 'now')
           FROM outputs
    UNION ALL SELECT 5, 'confidence', 'output', any_value(mean) FILTER (period = 'reference'),
           any_value(mean) FILTER (period = 'now'), true, NULL, NULL FROM sure
    UNION ALL SELECT 6, 'acceptance', 'output', any_value(acceptance) FILTER (period = 'reference'),
           any_value(acceptance) FILTER (period = 'now'), false,
           any_value(shown) FILTER (period = 'reference'), any_value(shown) FILTER (period = 'now')
           FROM outputs
    UNION ALL SELECT 7, 'overconfidence', 'output',
           any_value(expected - acceptance) FILTER (period = 'reference'),
           any_value(expected - acceptance) FILTER (period = 'now'), false,
           any_value(shown) FILTER (period = 'reference'), any_value(shown) FILTER (period = 'now')
           FROM outputs
    UNION ALL SELECT 8, 'refused', 'label', any_value(refused) FILTER (period = 'reference'),
           any_value(refused) FILTER (period = 'now'), false,
           any_value("values") FILTER (period = 'reference'), any_value("values") FILTER (period = 'now')
           FROM labels
    UNION ALL SELECT 9, 'new values', 'label', 0, any_value(new_values) FILTER (period = 'now'), false,
           any_value("values") FILTER (period = 'reference'), any_value(enum_values) FILTER (period = 'now')
           FROM labels
)
SELECT t.signal, t.kind, t.reference, t.now,
       CASE WHEN t.binned THEN d.distance ELSE t.now - t.reference END AS effect,
       CASE WHEN t.binned THEN d.noise WHEN t.signal = 'new values' THEN NULL
            -- Of a difference of shares, at the share of acceptance for what promises it.
            ELSE sqrt(greatest(0, pooled * (1 - pooled)) * (1 / nullif(sizes.n, 0) + 1 / nullif(sizes.m, 0))) END AS noise,
       sizes.n AS n_reference, sizes.m AS n_now,
       concat_ws('; ',
           CASE WHEN sizes.n < 100 OR sizes.m < 100 THEN 'too few to tell' END,
           CASE WHEN t.kind = 'output' AND o.reference <> o.now THEN 'other adapters' END,
           CASE t.signal WHEN 'acceptance' THEN
               (SELECT nullif(value, '') FROM store.meta WHERE name = 'drift_alarm') END) AS remark
FROM told t LEFT JOIN distances d ON d.signal = t.signal,
     (SELECT any_value(adapters) FILTER (period = 'reference') AS reference,
             any_value(adapters) FILTER (period = 'now') AS now,
             sum(w.acceptance * w.shown) / nullif(sum(w.shown), 0) AS acceptance FROM outputs w) o,
     LATERAL (SELECT coalesce(CASE WHEN t.binned THEN d.n_reference ELSE t.n_reference END, 0) AS n,
                     coalesce(CASE WHEN t.binned THEN d.n_now ELSE t.n_now END, 0) AS m) sizes,
     LATERAL (SELECT CASE t.signal WHEN 'overconfidence' THEN o.acceptance
                     ELSE (t.reference * sizes.n + t.now * sizes.m) / nullif(sizes.n + sizes.m, 0)
                     END AS pooled) p
ORDER BY place;
COMMENT ON VIEW main.drift IS
'What has changed on live traffic, one row a signal: its mean or share in the reference and now, and the size of the change, the Jensen-Shannon distance for category, text length and confidence, else the difference. `noise`: the size that chance alone gives with so many. Effects, no tests: the alarm is for those.';
