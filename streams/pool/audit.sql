-- What audits are drawn from (`streams.audit`).

-- What was suggested is taken to be what was shown; lists compare as they are written. A reader that
-- asks for no text leaves title and description unread.
CREATE OR REPLACE VIEW main.suggestions AS
WITH suggested AS (
    SELECT prediction_id, request_id, listing_id, category, category_schema_hash, adapter_id,
           adapter_hash, timestamp_ms, confidence::JSON::MAP(VARCHAR, DOUBLE) AS sure,
           unnest(map_entries("values"::JSON::MAP(VARCHAR, VARCHAR[]))) AS entry
    FROM store.predictions WHERE purpose = 'live' AND status = 'ok'
),
reviewed AS (
    SELECT prediction_id, submitted::JSON::MAP(VARCHAR, VARCHAR[]) AS submitted
    FROM store.reviews
    QUALIFY row_number() OVER
        (PARTITION BY prediction_id ORDER BY timestamp_ms DESC, "offset" DESC, partition DESC) = 1
)
SELECT s.prediction_id, string_split(s.listing_id, chr(31))[-1] AS listing_id,
       CASE WHEN contains(s.listing_id, chr(31)) THEN split_part(s.listing_id, chr(31), 1) END
           AS seller_id,
       coalesce(c.name, s.category) AS category, s.category_schema_hash,
       s.entry.key AS attribute, s.entry.value AS "value", s.sure[s.entry.key] AS confidence,
       CASE WHEN r.submitted IS NOT NULL
            THEN coalesce(r.submitted[s.entry.key] = s.entry.value, false) END AS accepted,
       s.adapter_id, s.adapter_hash, make_timestamp_ms(s.timestamp_ms) AS predicted_at,
       q.payload ->> '$.title' AS title, q.payload ->> '$.description' AS description
FROM suggested s
LEFT JOIN reviewed r USING (prediction_id)
LEFT JOIN store.categories c ON c.category = s.category
LEFT JOIN store.requests q ON q.request_id = s.request_id
WHERE len(s.entry.value) > 0;
COMMENT ON VIEW main.suggestions IS
'One row per value that a live answer suggested, several of one attribute as one: its raw confidence, and whether the last review of that answer accepted it (empty while there is none). Audits are drawn from it.';
