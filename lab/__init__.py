"""Plumbline: builds a highly available Kubernetes platform from one inventory file and proves it."""

import gc
import os

from lab import proxies

# Commands are short, and nearly all that they import stays to their end: looking through it for cycles after
# each 700 new objects, as Python does by default, is a tenth of the time of a command that does little else.
gc.set_threshold(50_000, 20, 20)

# At its first model pydantic reads the metadata of every installed package in search of plugins. What an
# inventory may say must not depend on what else is installed, and a fast command must not pay for looking.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

proxies.set_aside()

# `su` without `-` keeps the user's PATH, and on Debian that lacks the folders of ip, nft and sysctl.
for _folder in ("/usr/sbin", "/sbin"):
    if _folder not in os.get_exec_path():
        os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{_folder}"
