# bise: make, make check, make chat. See README.md; mk/test.mk and mk/install.mk hold the rest.
# Variables: CC, CFLAGS, CPPFLAGS, LDFLAGS, BUILD (output folder), WERROR=1, PREFIX, DESTDIR, CROSS
# (prefix of ar, ld and objcopy; taken from CC where that is "PREFIX-gcc"), EXTRA_CFLAGS,
# EXTRA_LDFLAGS (appended to CFLAGS and LDFLAGS).

ifeq ($(origin CC),default)
CC       := cc
endif
BUILD    ?= build
VERSION  := 0.2.0
ARCH     := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
CROSS    ?= $(shell echo '$(lastword $(CC))' | sed -n 's/^\(.*-\)gcc\(-[0-9.]*\)\{0,1\}$$/\1/p')
ifeq ($(origin AR),default)
AR       := $(CROSS)ar
endif
CFLAGS   ?= -O2 -g

# What the code relies on comes after the user's flags. Contraction and fast-math would change the
# bits of results, see kernels/kernels.h.
ALL_CFLAGS   := $(CFLAGS) -std=c11 -Wall -Wextra -Wpedantic -ffp-contract=off -fno-fast-math \
                -fvisibility=hidden -fPIC -pthread $(EXTRA_CFLAGS)
ALL_CPPFLAGS := -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DBISE_VERSION=\"$(VERSION)\" \
                $(CPPFLAGS)
ALL_LDFLAGS  := -pthread $(LDFLAGS) $(EXTRA_LDFLAGS)
LDLIBS       := -lm

# Kernel folders of this architecture, each with its own flags; everything else is baseline code.
ifeq ($(ARCH),x86_64)
ISAS        := sse41 avx2 avxvnni avx512
else ifeq ($(ARCH),aarch64)
ISAS        := neon neon_dotprod neon_i8mm
endif
FLAGS_sse41  := -mssse3 -msse4.1
FLAGS_avx2   := -mavx2 -mfma -mf16c
FLAGS_avx512 := $(FLAGS_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
# VNNI_BY_EVEX=1 is for tests only: avxvnni with the same instruction as AVX-512 encodes it, for CPUs
# that have just that.
FLAGS_avxvnni := $(if $(VNNI_BY_EVEX),$(FLAGS_avx512),$(FLAGS_avx2) -mavxvnni)
ALL_CPPFLAGS  += $(if $(VNNI_BY_EVEX),-DVNNI_BY_EVEX=1)
# gcc's scheduling before register allocation makes the NEON loops spill; clang knows no such flag.
FLAGS_neon := $(if $(filter neon,$(ISAS)),$(shell printf '' | $(CC) -Werror -fno-schedule-insns \
              -frename-registers -x c -c -o /dev/null - 2>/dev/null && \
              echo -fno-schedule-insns -frename-registers))
FLAGS_neon_dotprod := $(FLAGS_neon) -march=armv8.2-a+dotprod
FLAGS_neon_i8mm    := $(FLAGS_neon) -march=armv8.2-a+dotprod+i8mm
ALL_CPPFLAGS += $(ISAS:%=-DHAVE_KERNELS_%=1)

# Each layer is a library that uses only those before it; tests/rules/rooms.txt says it room by room.
LIB_SRC   := $(wildcard kernels/*.c kernels/scalar/*.c src/*/*.c) \
             $(foreach isa,$(ISAS),$(wildcard kernels/$(isa)/*.c))
QUANT_SRC := $(wildcard quant/*.c quant/*/*.c)
TOOL_SRC  := $(wildcard tools/*.c tools/*/*.c)
BENCH    := $(BUILD)/membw $(BUILD)/peak $(BUILD)/load $(BUILD)/verify $(BUILD)/lookup \
            $(BUILD)/regions $(BUILD)/window $(BUILD)/stop $(BUILD)/cold $(BUILD)/columns
LIMIT_OBJ := $(BUILD)/bench/limits/bandwidth.o $(BUILD)/bench/limits/peak_rate.o \
             $(ISAS:%=$(BUILD)/bench/limits/peak_%.o)
SLOT_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard bench/slots/*.c))
LIB_OBJ   := $(LIB_SRC:%.c=$(BUILD)/%.o)
QUANT_OBJ := $(QUANT_SRC:%.c=$(BUILD)/%.o)
TOOL_OBJ  := $(TOOL_SRC:%.c=$(BUILD)/%.o) $(SLOT_OBJ) $(LIMIT_OBJ)
COMPILE   = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(if $(WERROR),-Werror) -MMD -MP
LINK      = $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)

# make V=1 shows whole commands, otherwise one word and the file.
Q   := $(if $(V),,@)
SAY  = $(if $(V),@:,@printf '  %-5s %s\n')

all: $(BUILD)/bise $(BUILD)/libbise.a

$(BUILD)/libbise.a: $(LIB_OBJ)
	$(SAY) AR $@
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

# How a checkpoint becomes a .bise file; not installed.
$(BUILD)/libquant.a: $(QUANT_OBJ)
	$(SAY) AR $@
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/bise: $(TOOL_OBJ) $(BUILD)/libquant.a $(BUILD)/libbise.a
	$(SAY) LINK $@
	$(Q)$(LINK) -o $@ $^ $(LDLIBS)

define isa_rule
$(BUILD)/kernels/$(1)/%.o: kernels/$(1)/%.c $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(SAY) CC $$<
	$$(Q)$$(COMPILE) $$(FLAGS_$(1)) -c -o $$@ $$<
$(BUILD)/bench/limits/peak_$(1).o: bench/limits/peak_$(1).c $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(SAY) CC $$<
	$$(Q)$$(COMPILE) $$(FLAGS_$(1)) -c -o $$@ $$<
endef
# The page is compiled in by the assembler (.incbin).
$(BUILD)/tools/serve/page.o: $(wildcard tools/serve/page/*)

$(foreach isa,$(ISAS),$(eval $(call isa_rule,$(isa))))

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(COMPILE) -c -o $@ $<

# bise --version -v tells the commit; a commit rebuilds this file alone.
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
$(BUILD)/commit: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(COMMIT)' | cmp -s - $@ || printf '%s\n' '$(COMMIT)' > $@
$(BUILD)/tools/cmd/version.o $(BUILD)/tools/cmd/bench_facts.o: \
    ALL_CPPFLAGS += -DBISE_COMMIT=\"$(COMMIT)\"
$(BUILD)/tools/cmd/version.o $(BUILD)/tools/cmd/bench_facts.o: $(BUILD)/commit
$(BUILD)/tools/cmd/bench_facts.o: ALL_CPPFLAGS += -DBISE_FLAGS='"$(ALL_CFLAGS)"'

# Rewritten when compiler or flags change, so that a folder never mixes objects of two kinds.
FLAGS_NOW := $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(FLAGS_NOW)' | cmp -s - $@ || printf '%s\n' '$(FLAGS_NOW)' > $@

chat: all
	@$(BUILD)/bise chat || test $$? -eq 130 # by Ctrl-C

# What measures this machine's limits; see bench/.
bench: all $(BENCH)

$(BENCH): $(BUILD)/%: $(BUILD)/bench/%.o $(LIMIT_OBJ) $(BUILD)/libquant.a $(BUILD)/libbise.a
	$(SAY) LINK $@
	$(Q)$(LINK) -o $@ $^ $(LDLIBS)

$(BUILD)/regions: ALL_LDFLAGS += -Wl,--wrap=pool_run

# Another runtime timed beside bise; the script says which variables it takes.
bench-peers: all
	BISE=$(BUILD)/bise MODEL="$(MODEL)" GGUF="$(GGUF)" PEER="$(PEER)" bench/peers.sh

# What a machine of a new kind has to run, into one file.
measure-here: all bench $(BUILD)/checkkernels $(BUILD)/tests/golden/fingerprint
	BUILD=$(BUILD) MODEL="$(MODEL)" OUT="$(or $(OUT),$(BUILD)/measure-here.md)" bench/measure_here.sh

clean:
	rm -rf $(BUILD)

include mk/test.mk
include mk/install.mk
include mk/dist.mk
include mk/deb.mk

FORCE:
.PHONY: all bench bench-peers measure-here chat clean FORCE
.SECONDARY:
-include $(LIB_OBJ:.o=.d) $(QUANT_OBJ:.o=.d) $(TOOL_OBJ:.o=.d)
