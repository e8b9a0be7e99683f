-- What experiments and canaries are decided and reported by (`schemas.experiment`).

-- One closed number per seller: what came of the first review of the first answer that the seller,
-- or a listing without one, got in the experiment and reviewed. It never changes afterwards, and the
-- next reviews of the same seller, which resemble it, are no evidence of their own. Order by
-- (closed_ms, "offset", partition): the log's.
CREATE OR REPLACE VIEW main.arm_sellers AS
WITH reviewed AS (
    SELECT split_part(p.listing_id, chr(31), 1) AS seller, p.arms::JSON::MAP(VARCHAR, VARCHAR) AS arms,
           p.adapter_id, p.adapter_hash, p.category, json_array_length(p.requested) AS asked,
           r.shown, r.accepted, p.latency_ms, r.timestamp_ms, r."offset", r.partition
    FROM store.predictions p JOIN store.reviews r USING (prediction_id)
    WHERE p.arms IS NOT NULL AND p.purpose = 'live' AND p.status = 'ok' AND r.shown IS NOT NULL
),
of_each AS (SELECT *, unnest(map_entries(arms)) AS entry FROM reviewed)
SELECT entry.key AS experiment, entry.value AS arm, seller, adapter_id, adapter_hash, category,
       asked, shown, accepted, latency_ms, timestamp_ms AS closed_ms, "offset", partition
FROM of_each
QUALIFY row_number() OVER (PARTITION BY entry.key, seller
    ORDER BY timestamp_ms, "offset", partition) = 1;
COMMENT ON VIEW main.arm_sellers IS
'One row per experiment and seller (or listing without one) in it, of the first answer that was reviewed, at its first review: the arm, and how many values were asked for, shown and accepted. The unit of analysis of experiments and canaries.';
