# loraudit - the one build file. `make help` lists what it can do.
# Objects go to build/VARIANT/, the program to bin/. A variant is a set of flags: make VARIANT=asan.

CC      ?= gcc
PREFIX  ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 600
FUZZ_JOBS    ?= 2
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
OPT_fuzz    := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT := $(OPT_$(VARIANT))
$(if $(OPT),,$(error VARIANT is one of release, debug, asan, ubsan, tsan, cov, fuzz; not '$(VARIANT)'))

# pkg-config is asked when a recipe runs, not when this file is read: the rule before it may have installed it.
PACKAGES   := openblas lapacke hdf5 libcjson libpcre2-8 zlib
PKG_CFLAGS  = $(shell pkg-config --cflags $(PACKAGES))
PKG_LIBS    = $(shell pkg-config --libs $(PACKAGES)) -lsvm -lm -pthread
CFLAGS_ALL  = $(STD) -g $(OPT) $(WARN) $(WERROR) -I. $(PKG_CFLAGS) -pthread $(CFLAGS)

LIB_SRC     := $(sort $(filter-out analyzer/cli/main.c,$(wildcard analyzer/*/*.c spectral/*.c spectral/*/*.c classifiers/*.c classifiers/*/*.c)))
LIB_OBJ     := $(LIB_SRC:%.c=$(B)/%.o)
MAIN_OBJ    := $(B)/analyzer/cli/main.o
$(LIB_OBJ): OPT += $(if $(filter release,$(VARIANT)),-O3 -fno-math-errno)
SUPPORT_OBJ := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard tests/support/*.c)))
SUPPORT     := $(B)/tests/libsupport.a
TEST_SRC    := $(sort $(wildcard tests/*/test_*.c))
TEST_BIN    := $(TEST_SRC:%.c=$(B)/%)
TEST_SH     := $(sort $(wildcard tests/*/test_*.sh))
HARNESSES   := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
REPLAY_BIN  := $(HARNESSES:%=$(B)/tests/fuzz/replay_%)
FUZZ_BIN    := $(HARNESSES:%=$(B)/tests/fuzz/fuzz_%)

.DELETE_ON_ERROR:
.SECONDARY: # keep objects that only lead to programs
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

# A fuzzing harness is linked twice: with a driver that replays its corpus as a test, and with libFuzzer.
$(REPLAY_BIN): $(B)/tests/fuzz/replay_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(B)/tests/fuzz/check.o $(SUPPORT) $(B)/libloraudit.a
	$(CC) $(CFLAGS_ALL) $^ -o $@ -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc $(LDFLAGS) $(PKG_LIBS)

$(FUZZ_BIN): %: %.o $(B)/tests/fuzz/check.o $(B)/libloraudit.a
	$(CC) $(CFLAGS_ALL) -fsanitize=fuzzer $^ -o $@ $(LDFLAGS) $(PKG_LIBS)

.PHONY: test
test: $(TEST_BIN) $(REPLAY_BIN) $(PROGRAM) $(B)/tests/bench/peak check-layers ## run every test; installs what is missing
	@BUILD=$(B) LORAUDIT=$(abspath $(PROGRAM)) PEAK=$(abspath $(B)/tests/bench/peak) tests/run $(TEST_BIN) $(TEST_SH)

.PHONY: demo
demo: bin/loraudit ## audit the sample adapters; installs what is missing
	@tests/demo

.PHONY: asan ubsan tsan
asan ubsan tsan: ## run every test under a sanitizer
	$(MAKE) VARIANT=$@ test

.PHONY: fuzz fuzz-run
fuzz: ## fuzz each reader for FUZZ_SECONDS=600, FUZZ_JOBS=2 at a time (needs clang)
	@command -v clang >/dev/null || { echo "make fuzz needs clang with libFuzzer (Debian, Ubuntu: apt-get install clang); not installed" >&2; exit 1; }
	@$(MAKE) --no-print-directory VARIANT=fuzz CC=clang fuzz-run
fuzz-run: $(FUZZ_BIN)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_JOBS=$(FUZZ_JOBS) tests/fuzz/run $(FUZZ_BIN)

.PHONY: conformance
conformance: build/release/tests/audit/test_real_adapters ## compare every module of real adapters with a dense SVD (minutes)
	LORAUDIT_CONFORMANCE=all $<

.PHONY: cov
cov: ## run every test and print line and branch coverage (needs gcovr)
	$(MAKE) VARIANT=cov test
	gcovr --root . --object-directory build/cov --exclude tests/
	gcovr --root . --object-directory build/cov --exclude tests/ --branches --print-summary
	@gcovr --root . --object-directory build/cov --filter analyzer/formats/ --print-summary --output build/cov/formats.txt | \
	    sed -n 's,^branches: ,analyzer/formats: branch coverage ,p; s,^lines: ,analyzer/formats: line coverage ,p'

.PHONY: bench
bench: bin/loraudit $(patsubst %,build/release/tests/bench/%,generate peak catalogue) ## measure scan against sha256sum, and cataloguing of 2,000 tensors
	@tests/bench/run

build/release/tests/bench/catalogue: build/release/tests/bench/catalogue.o build/release/tests/bench/containers.o build/release/tests/support/zip_writer.o build/release/libloraudit.a
	$(CC) $(CFLAGS_ALL) $^ -o $@ $(LDFLAGS) $(PKG_LIBS)

$(B)/tests/bench/%: $(B)/tests/bench/%.o
	$(CC) $(CFLAGS_ALL) $^ -o $@ $(LDFLAGS) -lm

.PHONY: lint
lint: check-layers ## static checks: include rules, cppcheck, shellcheck where installed
	@if command -v cppcheck >/dev/null; then cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr \
	    --enable=warning,performance,portability --suppress=missingIncludeSystem -I. \
	    '-DcJSON_ArrayForEach(item,list)=while ((item = (list)->child))' analyzer spectral classifiers; \
	else echo "cppcheck is not installed: skipped"; fi
	@if command -v shellcheck >/dev/null; then shellcheck -x -S warning bin/install-deps tests/run tests/demo tests/bench/run tests/fuzz/run $(TEST_SH); \
	else echo "shellcheck is not installed: skipped"; fi

.PHONY: check-layers
check-layers: ## include rules of the rooms
	@tests/check-layers

.PHONY: evaluate
evaluate: bin/loraudit ## how good the classifiers are, on the shipped benchmark
	@bin/loraudit evaluate benchmark-data/images.h5 benchmark-data/language-sizes.h5 benchmark-data/language-safety.h5

# Python with torch; see benchmark-data/README.md
build/venv: benchmark-data/requirements.txt
	/usr/bin/python3 -m venv --system-site-packages $@
	$@/bin/python -m pip install --quiet --no-deps -r $<
	@touch $@

.PHONY: samples
samples: build/venv ## make the sample adapters again (Python with torch; see benchmark-data/README.md)
	build/venv/bin/python benchmark-data/make_samples.py benchmark-data/samples

.PHONY: methods
methods: build/venv ## make the adapters of every method and every container again (Python with torch)
	build/venv/bin/python benchmark-data/make_methods.py benchmark-data/methods
	build/venv/bin/python benchmark-data/make_containers.py benchmark-data/containers

.PHONY: benchmark-data
benchmark-data: build/venv bin/loraudit ## train the benchmark's adapters and banks again (Python with torch; about an hour)
	build/venv/bin/python benchmark-data/make_images.py build/trained/images
	build/venv/bin/python benchmark-data/make_language.py build/trained/language
	build/venv/bin/python benchmark-data/check_stacked.py
	build/venv/bin/python benchmark-data/make_benchmark.py build/trained benchmark-data bin/loraudit

.PHONY: drawing
N ?= 1
DRAWING := build/drawing-$(N)
drawing: build/venv bin/loraudit ## train adapters on other data, N=1, 2, …, and evaluate on them (as long as benchmark-data)
	build/venv/bin/python benchmark-data/make_images.py --drawing $(N) $(DRAWING)/images
	build/venv/bin/python benchmark-data/make_language.py --drawing $(N) $(DRAWING)/language
	build/venv/bin/python benchmark-data/make_benchmark.py $(DRAWING) $(DRAWING)/out bin/loraudit
	@bin/loraudit evaluate $(DRAWING)/out/images.h5 $(DRAWING)/out/language-sizes.h5 $(DRAWING)/out/language-safety.h5

.PHONY: install
install: bin/loraudit ## install to $(DESTDIR)$(PREFIX)
	install -D -m 755 bin/loraudit $(DESTDIR)$(PREFIX)/bin/loraudit
	@for bank in benchmark-data/banks/*.h5; do \
	    [ ! -f "$$bank" ] || install -v -D -m 644 "$$bank" "$(DESTDIR)$(PREFIX)/share/loraudit/banks/$${bank##*/}" || exit 1; done

.PHONY: clean
clean: ## remove what was built
	rm -rf build bin/loraudit

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z][a-z -]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r goal text; do \
	    printf '  make %-18s %s\n' "$$goal" "$$text"; done

-include $(LIB_OBJ:.o=.d) $(MAIN_OBJ:.o=.d) $(TEST_BIN:%=%.d) $(SUPPORT_OBJ:.o=.d) $(wildcard $(B)/tests/fuzz/*.d $(B)/tests/bench/*.d build/release/tests/bench/*.d)
