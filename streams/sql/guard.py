"""Which statements the public SQL endpoint runs: one SELECT over named views with named functions.

A statement is parsed by DuckDB itself (`json_serialize_sql`) and its whole tree is walked against
lists of what is allowed; whatever the lists do not know is refused. That a statement serialises at
all says little: `read_blob`, `glob`, `query('…')` and `quack_stop(…)` do.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from schemas.errors import ListuneError

VIEWS = (
    "samples", "pool", "rounds", "origins", "models", "models_by_inputs", "acceptance_by_day",
    "attribute_edits", "experiments", "arms", "arm_sellers", "arm_units", "sellers", "shadow",
    "suggestions", "refused_values", "pictures", "drift", "drift_inputs", "drift_outputs",
    "drift_labels", "proposals", "forgotten", "status",
)  # fmt: skip


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})

# Pure functions of their arguments: none reads a file, a setting, a variable or the catalog.
FUNCTIONS = _words(
    """
    + - * / // % ^ ** || & | << >> ~ ! -> ->> ~~ !~~ ~~* !~~* ~~~ @> <@ && ^@ @ count
    count_star sum avg mean min max median mode stddev stddev_pop stddev_samp variance var_pop
    var_samp quantile quantile_cont quantile_disc approx_count_distinct approx_quantile
    arg_min arg_max min_by max_by first last any_value list array_agg string_agg group_concat
    listagg bool_and bool_or bit_and bit_or corr covar_pop covar_samp regr_slope
    regr_intercept regr_r2 skewness kurtosis entropy histogram sumkahan fsum favg product
    count_if countif geomean row_number rank dense_rank rank_dense percent_rank cume_dist
    ntile lag lead first_value last_value nth_value fill abs ceil ceiling floor round trunc
    sign sqrt cbrt exp ln log log2 log10 pow power mod greatest least isnan isinf isfinite pi
    radians degrees sin cos tan asin acos atan atan2 gcd lcm factorial even nextafter hash
    random length strlen len lower upper lcase ucase trim ltrim rtrim substr substring left
    right concat concat_ws replace contains starts_with prefix suffix ends_with strpos
    position instr reverse lpad rpad split string_split str_split split_part regexp_matches
    regexp_replace regexp_extract regexp_extract_all regexp_full_match regexp_split_to_array
    like_escape not_like_escape ilike_escape not_ilike_escape format printf ascii chr unicode
    md5 sha256 levenshtein damerau_levenshtein jaccard jaro_similarity jaro_winkler_similarity
    bar strip_accents format_bytes nfc_normalize translate coalesce ifnull nullif if typeof
    constant_or_null error list_value list_pack list_extract list_element list_contains
    list_has array_contains list_position list_indexof list_slice array_slice array_extract
    list_sort list_reverse_sort list_distinct list_unique list_transform list_apply
    array_transform list_filter array_filter list_reduce list_aggregate list_aggr list_sum
    list_avg list_min list_max list_count list_concat list_cat list_append list_prepend
    list_zip list_any_value flatten array_length list_has_any list_has_all list_intersect
    list_reverse unnest range generate_series struct_pack row struct_extract struct_insert map
    map_keys map_values map_extract map_from_entries map_entries element_at cardinality
    array_value json_extract json_extract_string json_extract_path json_extract_path_text
    json_array_length json_keys json_type json_valid json_value json_exists to_json
    json_object json_array date_trunc date_part datepart date_diff datediff date_sub date_add
    year month day hour minute second quarter week weekofyear isoyear dayofweek isodow weekday
    dayofyear dayname monthname epoch epoch_ms epoch_us to_timestamp strftime strptime
    try_strptime make_date make_timestamp make_timestamp_ms time_bucket age last_day now today
    current_date get_current_timestamp to_days to_hours to_minutes to_seconds to_milliseconds
    to_months to_weeks to_years to_microseconds timezone mad approx_top_k json_group_array
    json_group_object
    """
)

# Every other kind of node is refused: a pivot, a prepared parameter, whatever a version adds.
_EXPRESSIONS = _words(
    """
    COLUMN_REF CONSTANT FUNCTION CAST CASE COMPARISON CONJUNCTION OPERATOR SUBQUERY STAR
    WINDOW BETWEEN LAMBDA LAMBDA_REF POSITIONAL_REFERENCE COLLATE
    """
)
_NODES = _words(
    """
    SELECT_NODE SET_OPERATION_NODE CTE_NODE RECURSIVE_CTE_NODE BASE_TABLE SUBQUERY JOIN EMPTY
    EXPRESSION_LIST TABLE_FUNCTION SHOW_REF ORDER_MODIFIER LIMIT_MODIFIER
    LIMIT_PERCENT_MODIFIER DISTINCT_MODIFIER ORDER_DEFAULT ASCENDING DESCENDING
    DECIMAL_TYPE_INFO LIST_TYPE_INFO STRUCT_TYPE_INFO STRING_TYPE_INFO ARRAY_TYPE_INFO
    INVALID_TYPE_INFO GENERIC_TYPE_INFO UNBOUND_TYPE_INFO
    """
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# What a client's ATTACH asks before its first query: which schemas, tables and views there are.
_HANDSHAKE = frozenset(
    {
        "SELECT catalog_name, schema_name FROM information_schema.schemata "
        "WHERE catalog_name NOT IN ('system', 'temp') ORDER BY ALL",
        "SELECT schema_name, sql, 'table' FROM duckdb_tables() "
        "UNION ALL SELECT schema_name, view_name, 'view' FROM duckdb_views()",
    }
)


class RefusedError(ListuneError):
    """A statement that the endpoint does not run; names what is not allowed."""


class SqlGuard:
    """Parses and judges statements. Safe to use from several threads."""

    def __init__(self) -> None:
        self._con = duckdb.connect(config={"enable_external_access": "false"})
        # A CTE of such a name could shadow it in one place and let it through in another.
        self._builtin = {
            str(row[0]).lower()
            for row in self._con.execute("SELECT view_name FROM duckdb_views()").fetchall()
        }

    def check(self, sql: str) -> None:
        """Passes one SELECT over the named views.

        Raises:
            RefusedError: anything else.
        """
        if " ".join(sql.split()) in _HANDSHAKE:
            return
        tree = self._parse(sql)
        ctes = set(self._cte_names(tree))
        for node in _dicts(tree):
            _check_kind(node)
            _check_function(node)
            _check_table(node, ctes)

    def _parse(self, sql: str) -> Any:
        if "\0" in sql:
            # DuckDB's parser ends there: what follows would be run unseen, or not at all.
            raise RefusedError("the statement has a NUL character; leave it out")
        row = self._con.cursor().execute("SELECT json_serialize_sql($1::VARCHAR)", [sql]).fetchone()
        assert row is not None
        try:
            parsed: dict[str, Any] = json.loads(row[0])
        except RecursionError:
            raise RefusedError("the statement is nested too deeply; flatten it") from None
        if parsed.get("error"):
            raise RefusedError(
                f"this is no SELECT: {parsed.get('error_message', 'it cannot be parsed')}; "
                "send one SELECT over the views " + ", ".join(VIEWS)
            )
        if len(parsed["statements"]) != 1:
            raise RefusedError("send one statement at a time")
        return parsed["statements"][0]

    def _cte_names(self, tree: Any) -> Iterator[str]:
        for node in _dicts(tree):
            names = [entry["key"] for entry in (node.get("cte_map") or {}).get("map", [])]
            if node.get("type") in ("CTE_NODE", "RECURSIVE_CTE_NODE"):
                names.append(node.get("cte_name", ""))
            for name in names:
                if name and (not _IDENTIFIER.fullmatch(name) or name.lower() in self._builtin):
                    raise RefusedError(f"{name!r} cannot be the name of a WITH clause; rename it")
                yield name.lower()


def _dicts(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object in the tree, without recursion: a statement may be nested deeply."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)


def _check_kind(node: dict[str, Any]) -> None:
    if "class" in node:
        if node["class"] not in _EXPRESSIONS:
            raise RefusedError(f"an expression of kind {node['class']} is not allowed here")
    elif isinstance(node.get("type"), str) and node["type"] not in _NODES:
        raise RefusedError(f"a clause of kind {node['type']} is not allowed here")


def _check_function(node: dict[str, Any]) -> None:
    called = [(node, FUNCTIONS)] if "function_name" in node else []
    if node.get("type") == "TABLE_FUNCTION":
        called = [(node["function"], TABLE_FUNCTIONS)]
    for function, allowed in called:
        name = str(function.get("function_name", "")).lower()
        # Elsewhere than in DuckDB's own catalog a harmless name could mean anything.
        own = function.get("catalog") in ("", "system") and function.get("schema") in ("", "main")
        if name not in allowed or not own:
            raise RefusedError(f"the function {name!r} is not allowed here")


def _check_table(node: dict[str, Any], ctes: set[str]) -> None:
    if node.get("type") == "BASE_TABLE":
        name = str(node["table_name"]).lower()
        qualified = node.get("catalog_name") or node.get("schema_name") not in ("", "main")
        if qualified or (name not in VIEWS and name not in ctes):
            raise RefusedError(
                f"the table {node['table_name']!r} is not allowed here; "
                "there are the views " + ", ".join(VIEWS)
            )
    elif node.get("type") == "SHOW_REF" and not (
        node.get("query") or node.get("table_name") == '"tables"'
    ):
        raise RefusedError("of SHOW only `SHOW TABLES` is allowed here")
