# `make help` lists the targets. Everything else is a task: `invoke --list`.
SHELL := /bin/bash
PYTHON ?= python3
# Proxies reach what is fetched as root; the tasks keep them from the lab (docs/proxies.md).
PROXIES := http_proxy,https_proxy,all_proxy,no_proxy,HTTP_PROXY,HTTPS_PROXY,ALL_PROXY,NO_PROXY
SUDO := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=PLUMBLINE_SOURCE,PLUMBLINE_CACHE,REGISTRY_AUTH_FILE,$(PROXIES))
INVOKE := $(SUDO) .venv/bin/invoke
# apt reads the lower-case names alone.
ifdef HTTP_PROXY
export http_proxy ?= $(HTTP_PROXY)
endif
ifdef HTTPS_PROXY
export https_proxy ?= $(HTTPS_PROXY)
endif
ifdef NO_PROXY
export no_proxy ?= $(NO_PROXY)
endif
packages = $(shell sed 's/\#.*//' artifacts/$(1))

.PHONY: help setup packages packages-test lxc-net limits modules artifacts lab verify destroy test test-long test-fast test-unit lint format hooks

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

setup: packages .venv/locked limits ## Debian packages, Python environment, kernel limits

lab: setup ## build the rehearsal lab on this machine
	@$(INVOKE) build

verify: setup ## prove the rehearsal lab, layer by layer
	@$(INVOKE) verify

destroy: ## remove the rehearsal lab; it is disposable, so nobody is asked
	@$(INVOKE) destroy

test: setup packages-test lint test-unit artifacts ## everything, with real labs that are built and removed
	@$(SUDO) .venv/bin/pytest tests/integration -m "not long" -v --durations=10

test-long: setup packages-test artifacts ## whole labs by Vagrant, on the double of Proxmox VE, mixed; everything for arm64
	@$(SUDO) .venv/bin/pytest tests/integration -m long -v --durations=10

artifacts: setup ## make or fetch every program and image of the rehearsal lab
	@$(INVOKE) artifacts --fetch

test-fast: .venv/locked lint test-unit ## what needs no lab: lint, types, unit tests

lint: .venv/locked
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

test-unit: .venv/locked
	@.venv/bin/pytest tests/unit -n 2

hooks: .venv/locked ## have git ask before each commit what test-fast asks, about what is staged
	@.venv/bin/python -m tests.hook install

format: .venv/locked ## format the code
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

# Another apt may be at work (a fresh cloud machine updates itself), and a file that was there before is kept.
APT = $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold
define install
	@dpkg-query -W -f '$${db:Status-Abbrev}\n' $(1) 2>&1 | grep -qv '^ii' \
	  && { $(APT) update && $(APT) install -y --no-install-recommends $(1); } || true
	@dpkg-query -W $(1) > /dev/null
endef

packages: lxc-net
	$(call install,$(call packages,packages.txt))

# The package starts a bridge with NAT and a DNS server on this machine, which no lab uses. Whoever has the
# package, or the file, has decided already.
lxc-net:
	@dpkg-query -W -f '$${db:Status-Status}' lxc 2> /dev/null | grep -q . || test -e /etc/default/lxc-net \
	  || echo 'USE_LXC_BRIDGE="false" # by Plumbline: its labs have a bridge of their own' \
	  | $(SUDO) tee /etc/default/lxc-net > /dev/null

# Some distributions lack some of these; the tests that need them say so and are skipped.
wanted-test = $(call packages,packages-test.txt)
packages-test:
	$(call install,$(or $(shell apt-cache --generate pkgnames 2> /dev/null | grep -Fx "$$(printf '%s\n' $(wanted-test))"),$(wanted-test)))

.venv/locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than 3.11; next: apt-get install python3.11 python3.11-venv, then the same with PYTHON=python3.11"; exit 3; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

modules = $(shell sed 's/\#.*//' artifacts/modules.txt | awk '{ print $$1 }')

# Containers share these with this machine; 16 systemd machines need far more than the default of 128.
limits: modules
	@test $$(sysctl -n fs.inotify.max_user_instances) -ge 8192 || { \
	  printf 'fs.inotify.max_user_instances = 8192\nfs.inotify.max_user_watches = 1048576\n' \
	  | $(SUDO) tee /etc/sysctl.d/90-plumbline.conf > /dev/null && $(SUDO) sysctl -q -p /etc/sysctl.d/90-plumbline.conf; }

# What the kernel has built in is no module and needs nothing. br_netfilter would let this machine's firewall see
# what its own bridges carry: that stays as it was, and a lab has a setting of its own.
modules:
	@list=$$(for name in $(modules); do \
	    PATH=$$PATH:/usr/sbin:/sbin modprobe --quiet --show-depends $$name 2> /dev/null | grep -q ^insmod && echo $$name; done); \
	  test -n "$$list" || exit 0; \
	  test "$$list" = "$$(cat /etc/modules-load.d/plumbline.conf 2> /dev/null)" \
	    || echo "$$list" | $(SUDO) tee /etc/modules-load.d/plumbline.conf > /dev/null; \
	  test -e /proc/sys/net/bridge -o -e /etc/sysctl.d/90-plumbline-bridge.conf \
	    || printf 'net.bridge.bridge-nf-call-%s = 0\n' arptables ip6tables iptables \
	    | $(SUDO) tee /etc/sysctl.d/90-plumbline-bridge.conf > /dev/null; \
	  $(SUDO) modprobe --all $$list; \
	  test ! -e /etc/sysctl.d/90-plumbline-bridge.conf \
	    || $(SUDO) sysctl -q -p /etc/sysctl.d/90-plumbline-bridge.conf
