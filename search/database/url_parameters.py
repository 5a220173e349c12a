"""Parameters allowed in the URL of a storage, and which of them are secret."""

from __future__ import annotations

from urllib.parse import parse_qsl

SCHEMES = ("postgres", "postgresql", "postgresql+psycopg2")
# Parameters that must not be shown.
SECRET = frozenset(
    {"password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"}
)
# Parameters of a connection ("Parameter Key Words" in PostgreSQL's manual, version 18).
KNOWN = SECRET | {
    *("host", "hostaddr", "port", "dbname", "user", "passfile", "require_auth"),
    *("channel_binding", "connect_timeout", "client_encoding", "options", "application_name"),
    *("fallback_application_name", "keepalives", "keepalives_idle", "keepalives_interval"),
    *("keepalives_count", "tcp_user_timeout", "replication", "gssencmode", "sslmode"),
    *("requiressl", "sslnegotiation", "sslcompression", "sslcert", "sslkey", "sslkeylogfile"),
    *("sslcertmode", "sslrootcert", "sslcrl", "sslcrldir", "sslsni", "requirepeer"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version", "min_protocol_version"),
    *("max_protocol_version", "krbsrvname", "gsslib", "gssdelegation", "service", "servicefile"),
    *("target_session_attrs", "load_balance_hosts", "oauth_issuer", "oauth_client_id"),
    "oauth_scope",
}
# Parameters that may occur several times, as a URL may name several servers.
_REPEATED = frozenset({"host", "port"})


def is_url(text: str) -> bool:
    """Return whether a text is, or was meant as, a storage's URL."""
    return text.partition("://")[0].lower() in SCHEMES and "://" in text


def query_of(text: str) -> list[tuple[str, str]] | None:
    """Return the decoded parameters of a URL's query; None if one is not `name=value`."""
    query = text.partition("?")[2]
    try:
        return parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        return None


def is_known(query: list[tuple[str, str]] | None) -> bool:
    """Return whether a query holds only PostgreSQL's parameters, each given once."""
    names = [name for name, _ in query or ()]
    once = [name for name in names if name not in _REPEATED]
    return query is not None and set(names) <= KNOWN and len(once) == len(set(once))
