/* Characters of words, and white space, as Unicode has them. */
#ifndef BISE_SRC_TEXT_WORD_CHARS_H
#define BISE_SRC_TEXT_WORD_CHARS_H

#include <stdbool.h>
#include <stdint.h>

bool is_word_char(uint32_t code);
bool is_space_char(uint32_t code);

#endif
