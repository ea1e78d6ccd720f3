"""Plumbline: builds a highly available Kubernetes platform from one inventory file and proves it."""
