# bise: make, make check, make chat. See README.md.
# Variables: CC, BUILD (output folder), EXTRA_CFLAGS, EXTRA_LDFLAGS, WERROR=1, PREFIX, DESTDIR.

CC       ?= cc
ifeq ($(origin CC),default)
CC       := cc
endif
BUILD    ?= build
ARCH     := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
CFLAGS   := -std=c11 -O2 -g -Wall -Wextra -Wpedantic -ffp-contract=off -fvisibility=hidden -fPIC \
            -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -pthread $(if $(WERROR),-Werror) $(EXTRA_CFLAGS)
CPPFLAGS := -I. -Isrc
LDFLAGS  := -pthread $(EXTRA_LDFLAGS)
LDLIBS   := -lm

# Kernel folders of this architecture, each with its own flags; everything else is baseline code.
ifeq ($(ARCH),x86_64)
ISAS        := avx2
else
ISAS        :=
endif
FLAGS_avx2  := -mavx2 -mfma -mf16c
$(foreach isa,$(ISAS),$(eval CPPFLAGS += -DHAVE_KERNELS_$(isa)=1))

LIB_SRC  := $(wildcard quant/*.c kernels/*.c kernels/scalar/*.c src/*.c src/*/*.c) \
            $(foreach isa,$(ISAS),$(wildcard kernels/$(isa)/*.c))
TOOL_SRC := $(wildcard tools/*.c)
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
TOOL_OBJ := $(TOOL_SRC:%.c=$(BUILD)/%.o)

all: $(BUILD)/bise $(BUILD)/libbise.a

$(BUILD)/libbise.a: $(LIB_OBJ)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/bise: $(TOOL_OBJ) $(BUILD)/libbise.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

define isa_rule
$(BUILD)/kernels/$(1)/%.o: kernels/$(1)/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS) $$(CFLAGS) $$(FLAGS_$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach isa,$(ISAS),$(eval $(call isa_rule,$(isa))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Tests. Each file tests/unit/test_*.c is one Criterion program over the library's objects.
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_BIN := $(UNIT_SRC:%.c=$(BUILD)/%)
$(BUILD)/tests/unit/test_%: $(BUILD)/tests/unit/test_%.o $(BUILD)/libbise.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcriterion $(LDLIBS)

CHECK_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/checkkernels/*.c))
$(BUILD)/checkkernels: $(CHECK_OBJ) $(BUILD)/libbise.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Plain C, so that it can be built with -fsanitize=thread and run under qemu.
$(BUILD)/stress_pool: $(BUILD)/tests/stress/stress_pool.o $(BUILD)/libbise.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

unit: $(UNIT_BIN)

clean:
	rm -rf $(BUILD)

.PHONY: all unit check chat clean
.SECONDARY:
-include $(LIB_OBJ:.o=.d) $(TOOL_OBJ:.o=.d) $(UNIT_SRC:%.c=$(BUILD)/%.d) $(CHECK_OBJ:.o=.d)
