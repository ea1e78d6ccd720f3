"""Plumbline: builds a highly available Kubernetes platform from one inventory file and proves it."""

import os

from lab import proxies

# At its first model pydantic reads the metadata of every installed package in search of plugins. What an
# inventory may say must not depend on what else is installed, and a fast command must not pay for looking.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

proxies.set_aside()
