/* What this program was made from. */
#ifndef BISE_TOOLS_CMD_BUILD_H
#define BISE_TOOLS_CMD_BUILD_H

#ifndef BISE_VERSION
#define BISE_VERSION "unknown"
#endif
#ifndef BISE_COMMIT
#define BISE_COMMIT "unknown"
#endif
#ifdef __clang__
#define BISE_COMPILER "clang " __clang_version__
#else
#define BISE_COMPILER "gcc " __VERSION__
#endif

#endif
