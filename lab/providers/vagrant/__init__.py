"""Machines made by Vagrant."""
