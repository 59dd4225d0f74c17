# apt-ostree: everything a developer or CI calls. `make` alone shows the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-clean test test-unit test-real test-sequences test-boot test-guest lint bench docs deb install uninstall clean

export DEBIAN_FRONTEND := noninteractive

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
TREE := $(PREFIX)/lib/apt-ostree
EXAMPLES := $(PREFIX)/share/doc/apt-ostree/examples
HEALTH := $(SYSCONFDIR)/apt-ostree/health.d
PRESET := $(PREFIX)/lib/systemd/system-preset/50-apt-ostree.preset
GUARD := $(PREFIX)/libexec/apt-ostree/guard
# not below /usr/local: where that is a link into /var, systemd has read its units before it is there
UNITS := $(if $(filter /usr,$(PREFIX)),$(PREFIX)/lib,$(SYSCONFDIR))/systemd/system
# Units of ostree that get a drop-in of ours, from data/host/NAME.conf
DROPINS := finalize-staged boot-complete
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/site-functions
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' apt_ostree/__init__.py)
BIN := .venv/bin
# Linters keep what they know at home, not here: what root's runs leave nobody else could write.
LINTED := $(or $(XDG_CACHE_HOME),$(HOME:%=%/.cache),.cache)/apt-ostree-lint
export RUFF_CACHE_DIR := $(LINTED)/ruff
export MYPY_CACHE_DIR := $(LINTED)/mypy
PYTEST := $(BIN)/python -m pytest
# Real tests wait for disks and sandboxes: two at a time. A module stays on one worker, its trees are shared. They begin
# in the order of the command line: what takes longest comes first.
PARALLEL := --numprocesses=2 --dist=loadfile --no-loadscope-reorder
# Of tests/boot, what does not depend on the state Debian sid is in today; the longest first.
BOOTS := guest boot_image reproducible server
# Machines that boot have as long as they need beside other tests.
PATIENT := APT_OSTREE_TEST_PATIENCE=4

# Debian's own Python, that of PATH where it will not do: one of pyenv or conda may be gone tomorrow.
FIND_PYTHON = python=; \
	for try in /usr/bin/python3 python3; do \
		if $$try -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$try; break; fi; \
	done; \
	[[ -n $$python ]] || { echo "Python 3.11 or later is needed" >&2; exit 5; }

# What the program runs, and jq for the README's lines.
PACKAGES := apt bubblewrap dpkg mount ostree mmdebstrap debian-archive-keyring uidmap util-linux \
	dosfstools e2fsprogs fdisk grub-common grub-efi-amd64-bin grub-pc-bin mtools qemu-utils skopeo zstd \
	ca-certificates gpg gpg-agent jq python3 python3-venv systemd
# What tests compare it with.
PACKAGES_TEST := apt-utils crun docker-registry groff-base libcap2-bin podman umoci
# What boots the disks it makes, and knocks at their door.
PACKAGES_BOOT := openssh-client ovmf qemu-system-x86

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: tests packages packages-test packages-boot
tests: test

packages: ## Install what the program runs (root)
packages-test: ## Install what its tests compare it with (root)
packages-boot: ## Install what boots the disks it makes (root)
packages: WANTED = $(PACKAGES)
packages-test: WANTED = $(PACKAGES_TEST)
packages-boot: WANTED = $(PACKAGES_BOOT)
packages packages-test packages-boot:
	@have=" $$(dpkg-query --show --showformat='$${Package}=$${db:Status-Status} ' $(WANTED) 2>/dev/null || :)"; \
	missing=; \
	for package in $(WANTED); do [[ $$have == *" $$package=installed "* ]] || missing+=" $$package"; done; \
	if [[ -n $$missing ]]; then \
		echo "missing:$$missing"; \
		(( EUID == 0 )) || { echo "as root: make $@" >&2; exit 6; }; \
		apt-get update; \
		apt-get install --assume-yes --no-install-recommends $$missing; \
	fi

setup: packages ## Install missing Debian packages and make .venv, so that .venv/bin/apt-ostree runs
	@wanted=$$(sha256sum < pyproject.toml); \
	if [[ $$(cat .venv/made-for 2>/dev/null) != "$$wanted" ]]; then $(MAKE) --no-print-directory .venv-anew; echo "$$wanted" > .venv/made-for; fi

.PHONY: .venv-anew
.venv-anew:
	@$(FIND_PYTHON); \
	[[ ! -L .venv ]] || rm .venv; `# another checkout's is not ours to clear` \
	$$python -m venv --clear .venv; \
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")' > .venv/dev.txt; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --requirement .venv/dev.txt

demo: setup ## The main job on real Debian: compose, deploy, layer, fail, roll back (root; minutes the first time)
	@APT_OSTREE=$(BIN)/apt-ostree tests/demo/demo.sh

demo-clean: ## Remove what the demo keeps (root)
	@tests/demo/demo.sh clean

test: lint packages-test packages-boot ## Lint, then every test but those of Debian sid (root; the first run composes Debian)
	$(PATIENT) $(PYTEST) $(PARALLEL) $(BOOTS:%=tests/boot/test_%.py) tests/unit tests/contract tests/real

test-unit: setup packages-test ## Tests without root, network or namespaces; seconds
	$(PYTEST) -m 'not root' tests/unit tests/contract

test-sequences: setup packages-test ## Two hundred random sequences of verbs against a model (root; about half an hour)
	APT_OSTREE_TEST_SEQUENCES=200 $(PYTEST) --numprocesses=2 --dist=load tests/real/test_sequences.py

test-real: setup packages-test ## Tests on real Debian trees (root)
	$(PYTEST) $(PARALLEL) tests/real

test-boot: setup packages-test packages-boot ## All of them that boot, in QEMU without KVM (root; half an hour and more)
	$(PYTEST) tests/boot

test-guest: setup packages-test packages-boot ## One machine's life in QEMU, boot after boot (root; a third of an hour)
	$(PYTEST) tests/boot/test_guest.py

lint: setup ## Style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir $(LINTED)/imports

bench: setup packages-test ## Where time goes, as ratios to the plain tools (root)
	$(BIN)/python -m tests.bench.bench

docs: setup ## Write man/ and completions/ from the command tree
	$(BIN)/python -m apt_ostree.cli.manual man completions

install: packages ## Install below PREFIX=/usr/local (DESTDIR is honoured)
	@$(FIND_PYTHON); $$python -m venv --clear $(DESTDIR)$(TREE)
	$(DESTDIR)$(TREE)/bin/python -m pip install --quiet --disable-pip-version-check .
	@# where it was built is nobody's business, and compiled modules have that path in them
	find $(DESTDIR)$(TREE) -name direct_url.json -path '*/apt_ostree-*' -delete
	sed -i '/direct_url\.json/d' $(DESTDIR)$(TREE)/lib/python3*/site-packages/apt_ostree-*.dist-info/RECORD
	if [[ -n "$(DESTDIR)" ]]; then find $(DESTDIR)$(TREE) -name __pycache__ -type d -prune -exec rm -r {} +; \
		grep -rlIZ -- "$(DESTDIR)" $(DESTDIR)$(TREE)/{bin,pyvenv.cfg} | xargs -0 --no-run-if-empty sed -i "s|$(DESTDIR)||g"; fi
	install -d $(DESTDIR)$(PREFIX)/bin
	ln -sfn ../lib/apt-ostree/bin/apt-ostree $(DESTDIR)$(PREFIX)/bin/apt-ostree
	install -D -m 0644 -t $(DESTDIR)$(EXAMPLES)/treefiles apt_ostree/data/treefiles/*.toml
	@$(MAKE) --no-print-directory install-files
	@[[ -n "$(DESTDIR)" ]] || echo "Its services are enabled with: systemctl preset $$(sed -n 's/^enable //p' apt_ostree/data/deb/presets | xargs)"

.PHONY: install-files
install-files uninstall: CONF = $(DESTDIR)$(SYSCONFDIR)/apt-ostree.conf
install-files: # All but the program itself
	for page in man/*; do install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man$${page##*.} $$page; done
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/bash-completion/completions completions/apt-ostree
	install -D -m 0644 -t $(DESTDIR)$(ZSH_COMPLETIONS) completions/_apt-ostree
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d completions/apt-ostree.fish
	@# settings that were edited stay: the example beside is what the last install brought
	if [[ ! -e $(CONF) && ! -L $(CONF) ]] || cmp --silent $(CONF) $(DESTDIR)$(EXAMPLES)/apt-ostree.conf; then \
		install -D -m 0644 apt_ostree/data/apt-ostree.conf $(CONF); fi
	install -D -m 0644 -t $(DESTDIR)$(EXAMPLES) apt_ostree/data/apt-ostree.conf
	install -d $(DESTDIR)$(HEALTH)/required.d $(DESTDIR)$(HEALTH)/wanted.d
	install -D -m 0644 apt_ostree/data/deb/presets $(DESTDIR)$(PRESET)
	install -D -m 0755 apt_ostree/data/host/guard $(DESTDIR)$(GUARD)
	install -D -m 0644 apt_ostree/data/host/apt.conf $(DESTDIR)$(SYSCONFDIR)/apt/apt.conf.d/20apt-ostree
	install -D -m 0644 apt_ostree/data/host/dpkg.cfg $(DESTDIR)$(SYSCONFDIR)/dpkg/dpkg.cfg.d/apt-ostree
	sed -i 's|@GUARD@|$(GUARD)|g' $(DESTDIR)$(SYSCONFDIR)/apt/apt.conf.d/20apt-ostree $(DESTDIR)$(SYSCONFDIR)/dpkg/dpkg.cfg.d/apt-ostree
	install -d $(DESTDIR)$(UNITS)
	for unit in apt_ostree/data/systemd/*; do \
		sed 's|/usr/bin/apt-ostree|$(PREFIX)/bin/apt-ostree|' $$unit > $(DESTDIR)$(UNITS)/$${unit##*/}; \
	done
	for name in $(DROPINS); do \
		install -d $(DESTDIR)$(UNITS)/ostree-$$name.service.d; \
		sed 's|/usr/bin/apt-ostree|$(PREFIX)/bin/apt-ostree|' apt_ostree/data/host/$$name.conf \
			> $(DESTDIR)$(UNITS)/ostree-$$name.service.d/apt-ostree.conf; \
	done

deb: ## Build dist/apt-ostree_VERSION_all.deb, which runs on Debian 13's own Python packages
	@apt_ostree/data/deb/build $(VERSION) build/deb dist/apt-ostree_$(VERSION)_all.deb

uninstall: ## Take what `make install` installed away
	if cmp --silent $(CONF) $(DESTDIR)$(EXAMPLES)/apt-ostree.conf; then rm -f $(CONF); \
		elif [[ -e $(CONF) ]]; then echo "kept, as it was edited: $(CONF)"; fi
	for folder in $(HEALTH)/required.d $(HEALTH)/wanted.d $(HEALTH) $(SYSCONFDIR)/apt-ostree; do \
		if [[ -d $(DESTDIR)$$folder ]]; then rmdir --ignore-fail-on-non-empty $(DESTDIR)$$folder; fi; done
	rm -f $(DESTDIR)$(PRESET)
	rm -rf $(DESTDIR)$(TREE)
	rm -rf $(DESTDIR)$(PREFIX)/libexec/apt-ostree
	rm -f $(DESTDIR)$(SYSCONFDIR)/apt/apt.conf.d/20apt-ostree $(DESTDIR)$(SYSCONFDIR)/dpkg/dpkg.cfg.d/apt-ostree
	for folder in $(DROPINS:%=$(DESTDIR)$(UNITS)/ostree-%.service.d); do \
		rm -f $$folder/apt-ostree.conf; \
		if [[ -d $$folder ]]; then rmdir --ignore-fail-on-non-empty $$folder; fi; done
	@# what enabled them as well: a target that requires a unit which is gone cannot be reached
	for unit in $(notdir $(wildcard apt_ostree/data/systemd/*)); do \
		rm -f $(DESTDIR)$(UNITS)/$$unit $(DESTDIR)$(SYSCONFDIR)/systemd/system/*.{wants,requires}/$$unit; done
	rm -f $(DESTDIR)$(PREFIX)/bin/apt-ostree $(DESTDIR)$(PREFIX)/share/man/man*/apt-ostree*
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/apt-ostree
	rm -f $(DESTDIR)$(ZSH_COMPLETIONS)/_apt-ostree
	rm -f $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/apt-ostree.fish
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/apt-ostree

clean: ## Remove .venv and every generated file that is not committed
	rm -rf .venv build dist .pytest_cache *.egg-info "$(LINTED)"
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
