# loraudit - the one build file. `make help` lists what it can do.
# Objects go to build/VARIANT/, the program to bin/. A variant is a set of flags: make VARIANT=asan.

CC      ?= gcc
PREFIX  ?= /usr/local
DESTDIR ?=
VARIANT ?= release
WERROR  ?= $(if $(CI),-Werror)
B       := build/$(VARIANT)
PROGRAM := $(if $(filter release,$(VARIANT)),bin/loraudit,$(B)/loraudit)

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla
STD  := -std=c11 -D_POSIX_C_SOURCE=200809L -D_XOPEN_SOURCE=700 -D_FILE_OFFSET_BITS=64
OPT_release := -O2 -DNDEBUG
OPT_debug   := -O0
OPT_asan    := -O1 -fsanitize=address -fno-omit-frame-pointer
OPT_ubsan   := -O1 -fsanitize=undefined -fno-sanitize-recover=all
OPT_tsan    := -O1 -fsanitize=thread
OPT_cov     := -O0 --coverage
OPT := $(OPT_$(VARIANT))
$(if $(OPT),,$(error VARIANT is one of release, debug, asan, ubsan, tsan, cov; not '$(VARIANT)'))

# pkg-config is asked when a recipe runs, not when this file is read: the rule before it may have installed it.
PACKAGES   := openblas lapacke hdf5 libcjson libpcre2-8
PKG_CFLAGS  = $(shell pkg-config --cflags $(PACKAGES))
PKG_LIBS    = $(shell pkg-config --libs $(PACKAGES)) -lm -pthread
CFLAGS_ALL  = $(STD) -g $(OPT) $(WARN) $(WERROR) -I. $(PKG_CFLAGS) -pthread $(CFLAGS)

LIB_SRC     := $(sort $(filter-out analyzer/cli/main.c,$(wildcard analyzer/*/*.c spectral/*.c spectral/*/*.c classifiers/*.c)))
LIB_OBJ     := $(LIB_SRC:%.c=$(B)/%.o)
MAIN_OBJ    := $(B)/analyzer/cli/main.o
SUPPORT_OBJ := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard tests/support/*.c)))
SUPPORT     := $(B)/tests/libsupport.a
TEST_SRC    := $(sort $(wildcard tests/*/test_*.c))
TEST_BIN    := $(TEST_SRC:%.c=$(B)/%)
TEST_SH     := $(sort $(wildcard tests/*/test_*.sh))

.DELETE_ON_ERROR:
.PHONY: all
all: $(PROGRAM) ## build bin/loraudit

# Goals that a newcomer types first set the machine up; the others only say what is missing.
DEPS_MODE := $(if $(filter demo test,$(MAKECMDGOALS)),,--check)
build/deps-ok: bin/install-deps
	@CC='$(CC)' bin/install-deps $(DEPS_MODE)
	@mkdir -p $(@D) && touch $@

$(B)/%.o: %.c | build/deps-ok
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

$(B)/libloraudit.a: $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $^

$(B)/loraudit: $(MAIN_OBJ) $(B)/libloraudit.a
	$(CC) $(CFLAGS_ALL) $^ -o $@ $(LDFLAGS) $(PKG_LIBS)

bin/loraudit: build/release/loraudit
	cp $< $@

$(SUPPORT): $(SUPPORT_OBJ)
	@rm -f $@
	ar rcs $@ $^

# A test names the link flags it needs in a line of its own: /* LDFLAGS: -Wl,--wrap=malloc */
$(TEST_BIN): $(B)/%: $(B)/%.o $(SUPPORT) $(B)/libloraudit.a
	$(CC) $(CFLAGS_ALL) $^ -o $@ $(LDFLAGS) $(shell sed -n 's,^/\* LDFLAGS: \(.*\) \*/$$,\1,p' $*.c) -lcmocka $(PKG_LIBS)

.PHONY: test
test: $(TEST_BIN) $(PROGRAM) check-layers ## run every test; installs what is missing
	@LORAUDIT=$(abspath $(PROGRAM)) tests/run $(TEST_BIN) $(TEST_SH)

.PHONY: demo
demo: bin/loraudit ## audit the sample adapters; installs what is missing
	@tests/demo

.PHONY: asan ubsan tsan
asan ubsan tsan: ## run every test under a sanitizer
	$(MAKE) VARIANT=$@ test

.PHONY: conformance
conformance: build/release/tests/audit/test_real_adapters ## compare every module of real adapters with a dense SVD (minutes)
	LORAUDIT_CONFORMANCE=all $<

.PHONY: cov
cov: ## run every test and print line and branch coverage (needs gcovr)
	$(MAKE) VARIANT=cov test
	gcovr --root . --object-directory build/cov --exclude tests/ --branches

.PHONY: bench
bench: bin/loraudit build/release/tests/bench/generate build/release/tests/bench/peak ## measure scan against sha256sum on a 134 MB adapter
	@tests/bench/run

build/release/tests/bench/%: build/release/tests/bench/%.o
	$(CC) $(CFLAGS_ALL) $^ -o $@ $(LDFLAGS) -lm

.PHONY: lint
lint: check-layers ## static checks: include rules, cppcheck, shellcheck where installed
	@if command -v cppcheck >/dev/null; then cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr \
	    --enable=warning,performance,portability --suppress=missingIncludeSystem -I. \
	    '-DcJSON_ArrayForEach(item,list)=while ((item = (list)->child))' analyzer spectral classifiers; \
	else echo "cppcheck is not installed: skipped"; fi
	@if command -v shellcheck >/dev/null; then shellcheck -x -S warning bin/install-deps tests/run tests/demo tests/bench/run $(TEST_SH); \
	else echo "shellcheck is not installed: skipped"; fi

.PHONY: check-layers
check-layers: ## include rules of the rooms
	@tests/check-layers

.PHONY: samples
samples: ## make the sample adapters again (Python with torch; see benchmark-data/README.md)
	/usr/bin/python3 -m venv --system-site-packages build/venv
	build/venv/bin/pip install --quiet --no-deps -r benchmark-data/requirements.txt
	build/venv/bin/python benchmark-data/make_samples.py benchmark-data/samples

.PHONY: install
install: bin/loraudit ## install to $(DESTDIR)$(PREFIX)
	install -D -m 755 bin/loraudit $(DESTDIR)$(PREFIX)/bin/loraudit

.PHONY: clean
clean: ## remove what was built
	rm -rf build bin/loraudit

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z][a-z -]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r goal text; do \
	    printf '  make %-18s %s\n' "$$goal" "$$text"; done

-include $(LIB_OBJ:.o=.d) $(MAIN_OBJ:.o=.d) $(TEST_BIN:%=%.d) $(SUPPORT_OBJ:.o=.d) $(wildcard build/release/tests/bench/*.d)
