"""Machines made by Vagrant."""

import logging

# python-vagrant warns when it is imported where there is no Vagrant; preflight says that, with what to do
logging.getLogger("vagrant").addHandler(logging.NullHandler())
