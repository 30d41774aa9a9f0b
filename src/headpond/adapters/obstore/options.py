"""What an object store is told besides its URL, by the names that the library has for it.

The library wants what is about HTTP apart from the rest, and panics where it is not.
"""

from collections.abc import Mapping
from difflib import get_close_matches

_HTTP = """
    allow_http allow_invalid_certificates connect_timeout default_content_type http1_only
    http2_keep_alive_interval http2_keep_alive_timeout http2_keep_alive_while_idle
    http2_max_frame_size http2_only pool_idle_timeout pool_max_idle_per_host proxy_ca_certificate
    proxy_excludes proxy_url randomize_addresses read_timeout root_certificate timeout
    user_agent
    """
HTTP = frozenset(_HTTP.split())

STORES = {
    "S3": (
        "aws_",
        """access_key_id bucket checksum_algorithm conditional_put
        container_authorization_token_file container_credentials_full_uri
        container_credentials_relative_uri copy_if_not_exists
        default_region disable_bulk_delete disable_tagging endpoint endpoint_url imdsv1_fallback
        metadata_endpoint region request_payer role_arn role_session_name s3_express
        secret_access_key server_side_encryption session_token skip_signature
        sse_bucket_key_enabled sse_customer_key_base64 sse_kms_key_id sts_endpoint
        unsigned_payload virtual_hosted_style_request web_identity_token_file""",
    ),
    "MicrosoftAzure": (
        "azure_storage_",
        """account_key account_name authority_host client_id client_secret container_name
        disable_tagging endpoint federated_token_file msi_endpoint msi_resource_id object_id
        sas_key skip_signature tenant_id token use_azure_cli use_emulator""",
    ),
    "GCS": (
        "google_",
        """application_credentials base_url bearer_token bucket service_account
        service_account_key skip_signature""",
    ),
}
"""By the library's name of a store: what its options begin with, and which are known here."""

PREFIXES = ("aws_", "azure_storage_", "azure_", "google_")


def parted(options: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Those of the store, and those about HTTP by their names alone."""
    http = {name: about for name in options if (about := _bare(name)) in HTTP}
    store = {name: value for name, value in options.items() if name not in http}
    return store, {about: options[name] for name, about in http.items()}


def hint(name: str, store: str) -> str:
    """What may be meant by an option that the store does not have, as the end of a sentence."""
    prefix, known = STORES.get(store, ("", ""))
    near = get_close_matches(_bare(name), [*known.split(), *sorted(HTTP)], 1)
    return f"; did you mean {prefix + near[0]!r}?" if near else "."


def _bare(name: str) -> str:
    """Without what may stand before it, which store it is of."""
    lower = name.lower()
    prefix = next((prefix for prefix in PREFIXES if lower.startswith(prefix)), "")
    return lower.removeprefix(prefix)
