-- Values that sellers type and the schema refuses, as what the schema could become.

-- One spelling for those that differ in letter case, accents, blanks, hyphens and outer marks only.
CREATE OR REPLACE MACRO store.spelling(text) AS
    trim(regexp_replace(lower(strip_accents(text)), '[\s\-_.,;:/''"]+', ' ', 'g'));

-- From the last review of each listing, what the schema in force still does not allow. Of a listing
-- without a seller the listing itself stands for one.
CREATE OR REPLACE VIEW store.refused_by AS
WITH last AS (
    SELECT coalesce(c.name, r.category) AS category, r.listing_id, r.timestamp_ms,
           split_part(r.listing_id, chr(31), 1) AS seller,
           unnest(from_json(r.refused, '[{"attribute": "VARCHAR", "reason": "VARCHAR", "value": "VARCHAR", "sentence": "VARCHAR"}]')) AS v
    FROM (FROM store.reviews QUALIFY row_number() OVER
             (PARTITION BY listing_id ORDER BY timestamp_ms DESC, "offset" DESC, partition DESC) = 1) r
    LEFT JOIN store.categories c ON c.category = r.category
    WHERE r.refused IS NOT NULL
),
each AS (
    SELECT category, listing_id, timestamp_ms, seller, v.attribute AS attribute, v.reason AS reason,
           v.sentence AS sentence, unnest(string_split(v."value", ' | ')) AS "value"
    FROM last WHERE v.reason NOT IN ('empty', 'placeholder', 'half_character')
),
asked AS (
    SELECT name AS category, attribute ->> '$.name' AS attribute, attribute ->> '$.type' AS type,
           list_transform(coalesce(from_json(attribute -> '$.values', '["VARCHAR"]'), []),
                          lambda v: store.spelling(v)) AS allowed,
           list_concat([attribute ->> '$.name'],
                       coalesce(from_json(attribute -> '$.aliases', '["VARCHAR"]'), [])) AS names
    FROM (SELECT name, unnest(from_json(content, '{"attributes": ["JSON"]}').attributes) AS attribute
          FROM store.categories WHERE category = name)
)
SELECT e.category, coalesce(a.attribute, e.attribute) AS attribute, a.type, e.reason, e.sentence,
       trim(e."value") AS "value", store.spelling(e."value") AS key, e.seller, e.listing_id,
       e.timestamp_ms
FROM each e LEFT JOIN asked a ON a.category = e.category AND list_contains(a.names, e.attribute)
WHERE key <> '' AND NOT (coalesce(a.type = 'enum', false) AND list_contains(a.allowed, key));

-- A spelling joins a more frequent one of its attribute that is one slip of a finger away, if both
-- are five letters or longer and have the same digits: size 41 is not size 42.
CREATE OR REPLACE VIEW main.proposals AS
WITH spelled AS (
    SELECT category, attribute, reason, key, count(DISTINCT listing_id) AS listings
    FROM store.refused_by GROUP BY category, attribute, reason, key
    QUALIFY row_number() OVER (PARTITION BY category, attribute, reason
                               ORDER BY listings DESC, key) <= 500
),
joined AS (
    SELECT s.category, s.attribute, s.reason, s.key,
           coalesce(arg_max(o.key, {'n': o.listings, 'key': o.key}), s.key) AS root
    FROM spelled s LEFT JOIN spelled o
      ON s.reason = 'not_allowed' AND o.category = s.category AND o.attribute = s.attribute
     AND o.reason = s.reason AND {'n': o.listings, 'key': o.key} > {'n': s.listings, 'key': s.key}
     AND least(len(o.key), len(s.key)) >= 5 AND abs(len(o.key) - len(s.key)) <= 1
     AND regexp_replace(o.key, '[^0-9]', '', 'g') = regexp_replace(s.key, '[^0-9]', '', 'g')
     AND damerau_levenshtein(o.key, s.key) <= 1
    GROUP BY s.category, s.attribute, s.reason, s.key
),
rooted AS (  -- a root that has joined another one takes those that joined it along, once
    SELECT j.category, j.attribute, j.reason, j.key, coalesce(up.root, j.root) AS root
    FROM joined j LEFT JOIN joined up ON up.category = j.category AND up.attribute = j.attribute
     AND up.reason = j.reason AND up.key = j.root
),
counted AS (
    SELECT r.category, r.attribute, r.reason, any_value(r.type) AS type, mode(r."value") AS "value",
           list(DISTINCT r."value" ORDER BY r."value")[:10] AS spellings,
           count(*) AS count, count(DISTINCT r.seller) AS sellers,
           list(DISTINCT string_split(r.listing_id, chr(31))[-1]
                ORDER BY string_split(r.listing_id, chr(31))[-1])[:3] AS examples,
           arg_max(r.sentence, r.timestamp_ms) AS sentence,
           make_timestamp_ms(max(r.timestamp_ms)) AS last_at
    FROM store.refused_by r JOIN rooted USING (category, attribute, reason, key)
    GROUP BY r.category, r.attribute, r.reason, rooted.root
)
SELECT category, attribute, reason, "value", spellings, count, sellers,
       coalesce(type = 'enum' AND reason = 'not_allowed', false) AS acceptable,
       CASE WHEN acceptable THEN 'allow it' ELSE CASE reason
            WHEN 'unit' THEN 'add the unit to `units`'
            WHEN 'bounds' THEN 'move `minimum` or `maximum`'
            WHEN 'pattern' THEN 'widen `pattern`'
            WHEN 'too_long' THEN 'raise `max_length`'
            WHEN 'several' THEN 'set `multi_value`'
            WHEN 'unknown_attribute' THEN 'add the attribute, or an alias'
            ELSE 'ask for another type' END END AS change,
       examples, sentence, last_at
FROM counted
WHERE sellers >= (SELECT coalesce(max(try_cast(value AS INTEGER)), 2) FROM store.meta
                  WHERE name = 'proposal_sellers')
ORDER BY acceptable DESC, sellers DESC, count DESC, category, attribute, "value";
COMMENT ON VIEW main.proposals IS
'What sellers type and the schema refuses, by spelling, from the last review of each listing: how many and how many sellers, in what spellings, in which listings, and what of the schema would have to change. `acceptable`: `listune proposals accept` can do it. What the schema in force allows by now, and what too few sellers typed, is left out.';
