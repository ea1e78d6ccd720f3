"""Pages of observability that say more than everybody may know, so the cluster alone reaches them."""

from __future__ import annotations

from addons.prometheus.section_config import NAMESPACE
from lab.inventory.addon_sections import WebPage


def page_in_cluster(service: str, port: int) -> WebPage:
    """The page of a Service of this namespace."""
    url = f"http://{service}.{NAMESPACE}.svc:{port}"
    return WebPage(namespace=NAMESPACE, service=service, port=port, url=url, only="in the cluster alone")
