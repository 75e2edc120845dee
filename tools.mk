# The three tools a laptop needs, and one that only its tests need, each in an environment of its own below .tools/, from hash-locked
# requirements. Nothing is installed outside .tools/. A stamp holds the checksum of the lock: an
# unchanged lock is not installed again.
#
#   make tools                       uv, the emulator, the SAM CLI
#   make test-tools                  a proxy that throttles (microburst), for the tests
#   make tools PYTHON=python3.12     with another interpreter (remove .tools/ first to change it)
#
# The emulator runs Lambda code on its own interpreter, so PYTHON is also the version that Lambda
# layers have to be built for on a laptop.

PYTHON ?= python3
TOOLS := .tools

# A company's own certificate authority is in the system's store, where pip looks too.
export UV_SYSTEM_CERTS ?= 1

.PHONY: tools test-tools python-ok
tools: $(TOOLS)/uv/.stamp $(TOOLS)/ministack/.stamp $(TOOLS)/sam/.stamp
test-tools: $(TOOLS)/microburst/.stamp

.tools/uv: $(TOOLS)/uv/.stamp
.tools/ministack: $(TOOLS)/ministack/.stamp
.tools/sam: $(TOOLS)/sam/.stamp

# Checked before every installation, and said in words: the traceback of a `python -m venv` that
# lacks ensurepip, or of an old interpreter meeting new syntax, tells nobody what to do.
python-ok:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "error: '$(PYTHON)' was not found. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $(PYTHON) is $$($(PYTHON) -c 'import platform; print(platform.python_version())'); Python 3.11 or newer is needed. Name one: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "error: $(PYTHON) has no venv module (on Debian and Ubuntu it is a package of its own: python3-venv). Install it, or name another Python: make PYTHON=python3.11" >&2; exit 1; }

# A lock that is only newer (a fresh checkout, a touched file) but says the same is not reinstalled.
checksum = $$($(PYTHON) -c 'import hashlib; print(hashlib.sha256(open("requirements/$(1).txt", "rb").read()).hexdigest())')
fresh = [ "$$(cat $(TOOLS)/$(1)/.stamp 2>/dev/null)" = "$(call checksum,$(1))" ]

$(TOOLS)/uv/.stamp: requirements/uv.txt | python-ok
	@if $(call fresh,uv); then touch $@; else \
	  echo "installing $(TOOLS)/uv"; set -e; rm -rf $(TOOLS)/uv; mkdir -p $(TOOLS); \
	  $(PYTHON) -m venv $(TOOLS)/uv; \
	  $(TOOLS)/uv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    --require-hashes -r requirements/uv.txt; \
	  echo "$(call checksum,uv)" > $@; fi

$(TOOLS)/ministack/.stamp $(TOOLS)/sam/.stamp $(TOOLS)/microburst/.stamp: $(TOOLS)/%/.stamp: requirements/%.txt $(TOOLS)/uv/.stamp | python-ok
	@if $(call fresh,$*); then touch $@; else \
	  echo "installing $(TOOLS)/$*"; set -e; rm -rf $(TOOLS)/$*; \
	  $(TOOLS)/uv/bin/uv --no-config venv --quiet --python "$(PYTHON)" $(TOOLS)/$*; \
	  $(TOOLS)/uv/bin/uv --no-config pip install --quiet --no-deps --require-hashes \
	    --python $(TOOLS)/$*/bin/python -r requirements/$*.txt; \
	  echo "$(call checksum,$*)" > $@; fi
