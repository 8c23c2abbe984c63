# Tests, sanitizers, fuzzing, coverage and style. tests/README.md says how tests are written.

LIBS := $(BUILD)/libtools.a $(BUILD)/libquant.a $(BUILD)/libbise.a

# The subcommands' objects but main, for tests of what lies in tools/.
$(BUILD)/libtools.a: $(filter-out %/main.o,$(TOOL_OBJ))
	$(SAY) AR $@
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

# tests/unit/ROOM/test_*.c: one Criterion program each, or, with PLAIN_UNIT=1, one program with the small
# stand-in of tests/plain, for emulated CPUs. (gcc 12's vectorizer for aarch64 breaks on some tests.)
UNIT_SRC := $(sort $(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c))
UNIT_BIN := $(UNIT_SRC:%.c=$(BUILD)/%)
ifdef PLAIN_UNIT
PLAIN_OBJ := $(BUILD)/tests/plain/plain.o
$(PLAIN_OBJ): tests/plain/plain.c
$(UNIT_BIN:%=%.o): ALL_CPPFLAGS += -Itests/plain -fno-tree-vectorize
endif
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(PLAIN_OBJ) $(LIBS)
	$(SAY) LINK $@
	$(Q)$(LINK) -o $@ $^ $(if $(PLAIN_UNIT),,-lcriterion) $(LDLIBS)

# tests/golden/*.c, tests/stress/*.c: one plain program each.
PLAIN_SRC := $(wildcard tests/golden/*.c tests/stress/*.c)
PLAIN_BIN := $(PLAIN_SRC:%.c=$(BUILD)/%)
STRESS_BIN := $(filter $(BUILD)/tests/stress/%,$(PLAIN_BIN))
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(LIBS)
	$(SAY) LINK $@
	$(Q)$(LINK) -o $@ $^ $(LDLIBS)

# Calls that lose the CPU there.
STRESS_CALLS := pthread_mutex_lock pthread_mutex_unlock bise_step prepare_foresee schedule_put schedule_judged \
                judge_put_answer server_wake call_drop
$(BUILD)/tests/stress/stress_serve: ALL_LDFLAGS += $(STRESS_CALLS:%=-Wl,--wrap=%)

# tests/pty/test_*.c: one plain program each, with the harness of tests/pty/pty.c.
PTY_SRC := $(wildcard tests/pty/test_*.c)
PTY_BIN := $(PTY_SRC:%.c=$(BUILD)/%)
$(BUILD)/tests/pty/%: $(BUILD)/tests/pty/%.o $(BUILD)/tests/pty/pty.o $(LIBS)
	$(SAY) LINK $@
	$(Q)$(LINK) -o $@ $^ $(LDLIBS)

# tests/checkkernels/*.c: one program.
CHECK_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/checkkernels/*.c))
CHECK_BIN := $(if $(CHECK_OBJ),$(BUILD)/checkkernels)
$(BUILD)/checkkernels: $(CHECK_OBJ) $(LIBS)
	$(SAY) LINK $@
	$(Q)$(LINK) -o $@ $^ $(LDLIBS)

# tests/fault/*.c: one program whose system calls the linker routes through tests/fault/wrap.c.
FAULT_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/fault/*.c))
FAULT_BIN := $(if $(FAULT_OBJ),$(BUILD)/tests/fault/fault)
FAULT_CALLS := malloc calloc realloc aligned_alloc strdup strndup mmap mmap64 munmap madvise \
               pthread_create open open64 opendir read pread pread64 write pwrite pwrite64 fsync rename \
               fallocate fallocate64 ftruncate ftruncate64 close flock fchmod unlink link poll ppoll nanosleep \
               clock_gettime stat stat64 fstat fstat64 lstat lstat64 statvfs statvfs64 access readdir readdir64 \
               readlink pthread_attr_init pthread_attr_setstacksize pthread_mutex_init regcomp syscall \
               posix_fadvise posix_fadvise64 getrandom getrlimit getrlimit64 sched_getaffinity sched_setaffinity \
               mincore
$(BUILD)/tests/fault/fault: $(FAULT_OBJ) $(LIBS)
	$(SAY) LINK $@
	$(Q)$(LINK) $(FAULT_CALLS:%=-Wl,--wrap=%) -o $@ $^ $(LDLIBS)

# tests/fuzz/fuzz_X.c: a libFuzzer target with its corpus in tests/fuzz/corpus/X; replay_X runs the
# corpus once and is built by any compiler.
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_NAMES := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=%)
REPLAY_BIN := $(FUZZ_NAMES:%=$(BUILD)/tests/fuzz/replay_%)
FUZZ_BIN := $(FUZZ_NAMES:%=$(BUILD)/tests/fuzz/fuzz_%)
$(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay_main.o $(LIBS)
	$(SAY) LINK $@
	$(Q)$(LINK) -o $@ $^ $(LDLIBS)
$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(LIBS)
	$(SAY) LINK $@
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

unit: $(UNIT_BIN)
plain-tests: $(PLAIN_BIN) $(PTY_BIN) $(CHECK_BIN) $(FAULT_BIN) $(REPLAY_BIN)
tests: all plain-tests $(UNIT_BIN)

# make check: what a newcomer waits for. make check-all: that, then what check runs a sample of in full;
# CI runs it.
PARALLEL = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell getconf _NPROCESSORS_ONLN))
RUN_TESTS = BUILD='$(BUILD)' CC='$(CC)' bash tests/run.sh

check:
	@bash tests/install-criterion.sh $(CC)
	@start=$$(date +%s) && $(MAKE) $(PARALLEL) tests && \
	    BUILD_SECONDS=$$(($$(date +%s) - start)) $(RUN_TESTS)
check-all: check
	@TEST_SIZE=full TEST_ONLY=sized $(RUN_TESTS)

# The same tests under sanitizers, each in its own folder.
INSTRUMENTED = CFLAGS='-O1 -g -fno-omit-frame-pointer' $(PARALLEL)
sanitized-check:
	@bash tests/install-criterion.sh $(CC)
	@$(MAKE) EXTRA_CFLAGS='$(SANITIZE)' $(INSTRUMENTED) tests
	@SANITIZER='$(SANITIZER)' $(RUN_TESTS)
asan:
	@$(MAKE) BUILD=$(BUILD)-asan SANITIZER=asan SANITIZE=-fsanitize=address sanitized-check
ubsan:
	@$(MAKE) BUILD=$(BUILD)-ubsan SANITIZER=ubsan \
	    SANITIZE='-fsanitize=undefined -fno-sanitize-recover=all' sanitized-check
# Criterion forks and threads on its own and cannot start under ThreadSanitizer.
tsan:
	@$(MAKE) BUILD=$(BUILD)-tsan EXTRA_CFLAGS='-fsanitize=thread' $(INSTRUMENTED) all \
	    $(STRESS_BIN:$(BUILD)/%=$(BUILD)-tsan/%)
	@SANITIZER=tsan BUILD=$(BUILD)-tsan CC='$(CC)' bash tests/run.sh stress

# make fuzz FUZZ_SECONDS=N: every target for N seconds, as many at once as there are CPUs;
# with FUZZ_CPU_SECONDS=M again and again, until it has had M seconds of a CPU.
FUZZ_SECONDS ?= 60
FUZZ_CC ?= clang
fuzz:
	@$(MAKE) BUILD=$(BUILD)-fuzz CC=$(FUZZ_CC) \
	    EXTRA_CFLAGS='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all' \
	    $(INSTRUMENTED) fuzz-targets
	@BUILD=$(BUILD)-fuzz FUZZ_SECONDS=$(FUZZ_SECONDS) bash tests/fuzz/run.sh $(FUZZ_NAMES)
fuzz-targets: $(FUZZ_BIN)

coverage:
	@bash tests/install-criterion.sh $(CC)
	@$(MAKE) BUILD=$(BUILD)-coverage EXTRA_CFLAGS='--coverage' $(INSTRUMENTED) tests
	@BUILD=$(BUILD)-coverage CC='$(CC)' bash tests/run.sh
	lcov --quiet --capture --directory $(BUILD)-coverage --output-file $(BUILD)-coverage/all.info
	lcov --quiet --extract $(BUILD)-coverage/all.info '$(CURDIR)/quant/*' '$(CURDIR)/kernels/*' \
	    '$(CURDIR)/src/*' '$(CURDIR)/tools/*' --output-file $(BUILD)-coverage/bise.info
	genhtml --quiet --output-directory $(BUILD)-coverage/html $(BUILD)-coverage/bise.info
	lcov --list $(BUILD)-coverage/bise.info

C_FILES = $(shell git ls-files '*.c' '*.h')
fmt:
	clang-format -i $(C_FILES)

lint:
	@BUILD='$(BUILD)' CC='$(CC)' CPPFLAGS='$(ALL_CPPFLAGS)' bash tests/lint.sh

.PHONY: unit plain-tests tests check check-all sanitized-check asan ubsan tsan fuzz fuzz-targets coverage fmt lint
-include $(UNIT_SRC:%.c=$(BUILD)/%.d) $(PLAIN_SRC:%.c=$(BUILD)/%.d) $(CHECK_OBJ:.o=.d) \
    $(PTY_SRC:%.c=$(BUILD)/%.d) $(FAULT_OBJ:.o=.d) $(FUZZ_SRC:%.c=$(BUILD)/%.d)
