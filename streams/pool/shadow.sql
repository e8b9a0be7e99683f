-- What adapters on trial would have answered (`streams.pool.deciding.shadow`).

-- Of each listing and text the last shadow answer of an adapter, beside the last live answer by an
-- adapter that was champion which a seller reviewed. Lists compare as they are written.
CREATE OR REPLACE VIEW main.shadow AS
WITH live AS (
    SELECT p.listing_id, p.input_hash, p."values", r.submitted
    FROM store.predictions p
    JOIN store.reviews r USING (prediction_id)
    SEMI JOIN (SELECT adapter_hash FROM store.alias_moves UNION ALL SELECT 'base') c USING (adapter_hash)
    WHERE p.purpose = 'live' AND p.status = 'ok'
    QUALIFY row_number() OVER (PARTITION BY p.listing_id, p.input_hash
        ORDER BY r.timestamp_ms DESC, r."offset" DESC, r.partition DESC) = 1
),
pairs AS (
    SELECT s.adapter_id, s.adapter_hash, s.listing_id,
           from_json(s.requested, '["VARCHAR"]') AS requested,
           s."values"::JSON::MAP(VARCHAR, VARCHAR[]) AS shadows,
           l."values"::JSON::MAP(VARCHAR, VARCHAR[]) AS champions,
           l.submitted::JSON::MAP(VARCHAR, VARCHAR[]) AS submitted
    FROM (FROM store.predictions WHERE purpose = 'shadow' AND status = 'ok'
          QUALIFY row_number() OVER (PARTITION BY listing_id, adapter_hash
              ORDER BY timestamp_ms DESC, "offset" DESC, partition DESC) = 1) s
    JOIN live l ON l.listing_id = s.listing_id AND l.input_hash = s.input_hash
),
named AS (
    SELECT *, unnest(requested) AS attribute FROM pairs
),
compared AS (
    SELECT adapter_id, adapter_hash, listing_id,
           nullif(shadows[attribute], []) AS shadows, nullif(champions[attribute], []) AS champions,
           nullif(submitted[attribute], []) AS submitted
    FROM named
)
SELECT adapter_id, adapter_hash, count(DISTINCT listing_id) AS listings, count(*) AS attributes,
       count(*) FILTER (shadows = champions)
           / nullif(count(*) FILTER (shadows IS NOT NULL OR champions IS NOT NULL), 0) AS agreement,
       count(*) FILTER (shadows IS NULL AND champions IS NULL) / count(*) AS both_blank,
       count(shadows) AS suggested,
       count(*) FILTER (shadows = submitted) / nullif(count(shadows), 0) AS acceptance,
       count(champions) AS champion_suggested,
       count(*) FILTER (champions = submitted) / nullif(count(champions), 0) AS champion_acceptance
FROM compared GROUP BY adapter_id, adapter_hash ORDER BY adapter_id, adapter_hash;
COMMENT ON VIEW main.shadow IS
'What adapters on trial answered to copies of live requests, which nobody saw, beside the champion on the same listings. `agreement`: attributes with equal values, of those that either filled; `both_blank`: of all attributes. `acceptance`: of the values suggested those that the seller submitted, as they would have been accepted; the sellers had seen the champion''s values, which they lean towards.';
