-- What audits are drawn from (`streams.audit`).

-- What was suggested is taken to be what was shown; lists compare as they are written.
-- What belongs to a value is put beside it before the values of an answer become rows: maps that are
-- looked into row by row are copied for each, and took nine times as long.
CREATE OR REPLACE VIEW main.suggestions AS
WITH answered AS (
    SELECT prediction_id, listing_id, category, category_schema_hash, adapter_id,
           adapter_hash, timestamp_ms, "values"::JSON::MAP(VARCHAR, VARCHAR[]) AS suggested,
           confidence::JSON::MAP(VARCHAR, DOUBLE) AS sure, submitted
    FROM store.predictions
    LEFT JOIN (SELECT prediction_id, submitted::JSON::MAP(VARCHAR, VARCHAR[]) AS submitted
               FROM store.reviews QUALIFY row_number() OVER (PARTITION BY prediction_id
                   ORDER BY timestamp_ms DESC, "offset" DESC, partition DESC) = 1)
         USING (prediction_id)
    WHERE purpose = 'live' AND status = 'ok'
),
single AS (
    SELECT * EXCLUDE (suggested, sure, submitted),
           unnest(list_transform(map_entries(suggested), lambda e: {
               'attribute': e.key, 'value': e.value, 'confidence': sure[e.key],
               'accepted': CASE WHEN submitted IS NOT NULL
                                THEN coalesce(submitted[e.key] = e.value, false) END
           })) AS one
    FROM answered
)
SELECT s.prediction_id, string_split(s.listing_id, chr(31))[-1] AS listing_id,
       CASE WHEN contains(s.listing_id, chr(31)) THEN split_part(s.listing_id, chr(31), 1) END
           AS seller_id,
       coalesce(c.name, s.category) AS category, s.category_schema_hash,
       s.one.attribute AS attribute, s.one."value" AS "value", s.one.confidence AS confidence,
       s.one.accepted AS accepted,
       s.adapter_id, s.adapter_hash, make_timestamp_ms(s.timestamp_ms) AS predicted_at
FROM single s
LEFT JOIN store.categories c ON c.category = s.category
WHERE len(s.one."value") > 0;
COMMENT ON VIEW main.suggestions IS
'One row per value that a live answer suggested, several of one attribute as one: its raw confidence, and whether the last review of that answer accepted it (empty while there is none). Audits are drawn from it.';
