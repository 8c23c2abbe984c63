#include "tools/serve/prompt.h"

#include "src/model/model.h"
#include "src/text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The ids and the text that end an answer. */
static enum bise_status find_ends(struct prompter *p, struct bise_error *err) {
    struct chat *chat = NULL;
    if (!p->tokenizer || p->format == CHAT_NONE || p->format == CHAT_UNKNOWN) {
        p->n_end = p->info->n_eos < MAX_EOS ? p->info->n_eos : MAX_EOS;
        memcpy(p->end_ids, p->info->eos_ids, p->n_end * sizeof *p->end_ids);
        return BISE_OK;
    }
    const enum bise_status status = chat_open(&chat, p->tokenizer, p->format, p->info->bos_id,
                                              p->info->eos_ids, p->info->n_eos, err);
    if (status)
        return status;
    const int32_t *ids = chat_end_ids(chat, &p->n_end);
    memcpy(p->end_ids, ids, p->n_end * sizeof *ids);
    if (chat_end_text(chat))
        snprintf(p->end_text, sizeof p->end_text, "%s", chat_end_text(chat));
    chat_close(&chat);
    return BISE_OK;
}

bool prompter_is_end(const struct prompter *p, int32_t id) {
    for (size_t i = 0; i < p->n_end; i++)
        if (p->end_ids[i] == id)
            return true;
    return false;
}

enum bise_status prompter_open(struct prompter *p, const struct bise_model *model,
                               enum chat_format format, size_t limit, struct bise_error *err) {
    *p = (struct prompter){.model = model,
                           .info = bise_model_info(model),
                           .tokenizer = model->tokenizer,
                           .format = format,
                           .limit = limit,
                           .longest_piece = 1};
    for (uint32_t id = 0; id < p->info->vocab_size; id++) {
        size_t len;
        if (bise_token_piece(model, (int32_t)id, &len) && len > p->longest_piece)
            p->longest_piece = len;
    }
    p->tools.calls = -1;
    const enum bise_status status = find_ends(p, err);
    if (status || format != CHAT_V3)
        return status;
    int32_t eos = tokenizer_eos(p->tokenizer);
    if (eos < 0 && p->info->n_eos)
        eos = p->info->eos_ids[0];
    return chat_tools_open(&p->tools, p->tokenizer, p->info->bos_id, eos, err);
}

/* Parts of a conversation that are rendered together. */
struct view {
    const struct chat_part *parts;
    size_t n;
    struct chat_frame frame;
};

/* ---- formats other than V3: users and answers take turns ---- */

static enum bise_status append_answer(const struct prompter *by, const struct chat_part *p,
                                      int32_t **ids, size_t *n, struct bise_error *err) {
    const size_t most = 4 * p->len + 8;
    size_t n_text = 0;
    int32_t *grown = realloc(*ids, (*n + most) * sizeof *grown);
    if (!grown)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the conversation's tokens");
    *ids = grown;
    if (!p->len)
        return BISE_OK;
    /* In these two it stands in one text with the line before it, as chat_ids has whole answers. */
    const bool goes_on = by->format == CHAT_CHATML || by->format == CHAT_ZEPHYR;
    const enum bise_status status =
        tokenizer_encode(by->tokenizer, p->text, p->len, !goes_on, grown + *n, most, &n_text, err);
    *n += status ? 0 : n_text;
    return status;
}

static enum bise_status render_turns(const struct prompter *by, const struct view *v, int32_t **ids,
                                     size_t *n, struct bise_error *err) {
    struct chat *chat = NULL;
    const int32_t *found = NULL;
    const bool open = v->frame.last_is_open && v->n;
    enum bise_status status = chat_open(&chat, by->tokenizer, by->format, by->info->bos_id,
                                        by->info->eos_ids, by->info->n_eos, err);
    if (!status && v->frame.system)
        status = chat_set_system(chat, v->frame.system, v->frame.system_len, err);
    for (size_t i = 0; i + open < v->n && !status; i++)
        status = chat_add(chat, v->parts[i].kind == PART_USER ? CHAT_USER : CHAT_ASSISTANT,
                          v->parts[i].text, v->parts[i].len, err);
    if (!status)
        status = chat_ids(chat, &found, n, err);
    if (!status) {
        *ids = malloc((*n + 1) * sizeof **ids);
        if (*ids)
            memcpy(*ids, found, *n * sizeof **ids);
        else
            status = bise_fail(err, BISE_ERR_MEMORY, "no memory for the conversation's tokens");
    }
    if (!status && open)
        status = append_answer(by, &v->parts[v->n - 1], ids, n, err);
    chat_close(&chat);
    return status;
}

static enum bise_status render(const struct prompter *by, const struct view *v, int32_t **ids,
                               size_t *n, struct bise_error *err) {
    *ids = NULL;
    *n = 0;
    const enum bise_status status =
        by->format == CHAT_V3 ? chat_tools_ids(&by->tools, v->parts, v->n, &v->frame, ids, n, err)
                              : render_turns(by, v, ids, n, err);
    if (status) {
        free(*ids);
        *ids = NULL;
    }
    return status;
}

/* ---- a full context: the oldest turns leave ---- */

/* Where the turn after the one that begins at part i begins. */
static size_t next_turn(const struct request *r, size_t i) {
    i++;
    while (i < r->n_parts && r->parts[i].kind != PART_USER)
        i++;
    return i;
}

static size_t length_of(const struct prompter *by, const struct view *v) {
    int32_t *ids;
    size_t n;
    if (render(by, v, &ids, &n, NULL))
        return 0;
    free(ids);
    return n;
}

/* How many parts leave so that the rest fits. Going through the turns from the first, the oldest
 * leave until half is free whenever they do not fit: the answer is the same for every later request
 * of the conversation until it is full again. lengths [n_parts]: of the turn that begins there. */
static size_t parts_to_drop(const struct request *r, const size_t *lengths, size_t frame,
                            size_t limit) {
    size_t dropped = 0, sum = frame;
    for (size_t i = 0; i < r->n_parts; i = next_turn(r, i)) {
        sum += lengths[i];
        if (sum < limit)
            continue;
        while (dropped < i && sum > limit / 2) {
            sum -= lengths[dropped];
            dropped = next_turn(r, dropped);
        }
    }
    return dropped;
}

static bool drop_turns(const struct prompter *by, const struct request *r, struct view *v,
                       struct prompt *p, struct fault *f) {
    struct bise_error err = {0};
    const size_t whole = p->n;
    size_t *lengths = calloc(r->n_parts + 1, sizeof *lengths);
    if (!lengths)
        return fault_set(f, 503, NULL, NULL, "no memory for the conversation");
    for (size_t i = 0; i < r->n_parts; i = next_turn(r, i)) {
        const struct view turn = {r->parts + i, next_turn(r, i) - i, {.more_follows = true}};
        lengths[i] = length_of(by, &turn);
    }
    struct view first = *v;
    first.n = next_turn(r, 0);
    const size_t framed = length_of(by, &first);
    size_t at = parts_to_drop(r, lengths, framed > lengths[0] ? framed - lengths[0] : 0, by->limit);
    enum bise_status status = BISE_OK;
    for (;; at = next_turn(r, at)) {
        v->parts = r->parts + at;
        v->n = r->n_parts - at;
        free(p->ids);
        p->ids = NULL;
        status = render(by, v, &p->ids, &p->n, &err);
        if (status || p->n < by->limit || next_turn(r, at) >= r->n_parts)
            break;
    }
    p->n_dropped = status || whole < p->n ? 0 : whole - p->n;
    free(lengths);
    return !status || fault_of_status(f, "messages", status, &err);
}

/* ---- prompts ---- */

static bool too_long(const struct prompter *by, size_t n, struct fault *f) {
    return fault_set(f, 400, "messages", "context_length_exceeded",
                     "the prompt has %zu tokens, the context holds %zu with the answer: %zu too "
                     "many (\"overflow\": \"drop\" leaves the oldest turns out)",
                     n, by->limit, n - by->limit + 1);
}

static size_t bytes_of(const struct request *r, size_t from, size_t to) {
    size_t bytes = 0;
    for (size_t i = from; i < to; i++)
        bytes += r->parts[i].len;
    return bytes;
}

/* Before anything is tokenized: what cannot fit, and what would take long. Where the oldest turns
 * may leave, each of them must have fitted when it was the newest. */
static bool check_bytes(const struct prompter *by, const struct request *r, struct fault *f) {
    const size_t bytes = r->system.len + r->text.len + bytes_of(r, 0, r->n_parts);
    size_t most, longest = r->full == FULL_STOP ? bytes : 0;
    if (r->full == FULL_DROP)
        for (size_t i = 0, next; i < r->n_parts; i = next) {
            next = next_turn(r, i);
            const size_t turn = r->system.len + bytes_of(r, i, next);
            longest = turn > longest ? turn : longest;
        }
    if (__builtin_mul_overflow(by->limit, by->longest_piece, &most))
        most = SIZE_MAX;
    if (longest > most)
        return fault_set(f, 400, r->endpoint == ENDPOINT_CHAT ? "messages" : "prompt",
                         "context_length_exceeded",
                         "the text has %zu bytes, more than the %zu tokens of the context can hold",
                         longest, by->limit);
    return bytes <= REQUEST_MAX_TEXT ||
           fault_set(f, 413, NULL, NULL, "the text: expected at most 2 MB, found %zu bytes", bytes);
}

static bool check_format(const struct prompter *by, const struct request *r, struct fault *f) {
    if (!by->tokenizer)
        return fault_set(f, 400, "messages", NULL, "the model file has no tokenizer");
    if (by->format == CHAT_NONE || by->format == CHAT_UNKNOWN)
        return fault_set(f, 400, "messages", NULL,
                         "messages: this is a base model without a chat format; POST "
                         "/v1/completions goes on with a text");
    if ((r->n_tools || r->has_calls) && (by->format != CHAT_V3 || !chat_tools_known(&by->tools)))
        return fault_set(f, 400, r->n_tools ? "tools" : "messages", NULL,
                         "%s: the model's chat format, %s, has no tools; expected a model of "
                         "format v3 with the pieces [AVAILABLE_TOOLS] and [TOOL_CALLS]",
                         r->n_tools ? "tools" : "messages", chat_format_name(by->format));
    return true;
}

static void put_tools(const struct request *r, struct tool_text *t) {
    for (size_t i = 0; i < r->n_tools; i++)
        tool_text_tool(t, r->tools[i]);
    tool_text_put(t, "]", 1);
}

static struct view view_of(const struct request *r, const struct tool_text *tools) {
    return (struct view){r->parts,
                         r->n_parts,
                         {.system = r->system.len ? r->system.text : NULL,
                          .system_len = r->system.len,
                          .tools = tools->len ? tools->text : NULL,
                          .tools_len = tools->len,
                          .last_is_open = r->goes_on}};
}

/* The view with what only its last message has left out, up to the last user's message. */
static struct view stable_view(const struct view *v, const struct prompter *by) {
    struct view s = *v;
    while (s.n && s.parts[s.n - 1].kind != PART_USER)
        s.n--;
    s.frame.last_is_open = false;
    s.frame.more_follows = by->format == CHAT_V3;
    return s;
}

static bool make_chat(struct prompt *p, const struct prompter *by, const struct request *r,
                      struct fault *f) {
    struct tool_text tools = {.len = 0};
    struct bise_error err = {0};
    if (!check_format(by, r, f))
        return false;
    if (r->n_tools)
        put_tools(r, &tools);
    struct view v = view_of(r, &tools);
    enum bise_status status = tools.failed ? BISE_ERR_MEMORY : render(by, &v, &p->ids, &p->n, &err);
    bool good = !status || fault_of_status(f, "messages", status, &err);
    if (good && p->n >= by->limit && r->full == FULL_DROP)
        good = drop_turns(by, r, &v, p, f);
    if (good && p->n >= by->limit && r->full != FULL_SINK)
        good = too_long(by, p->n, f);
    if (good) {
        const struct view s = stable_view(&v, by);
        status = render(by, &s, &p->stable, &p->n_stable, &err);
        good = !status || fault_of_status(f, "messages", status, &err);
    }
    free(tools.text);
    return good;
}

static bool make_text(struct prompt *p, const struct prompter *by, const struct request *r,
                      struct fault *f) {
    struct bise_error err = {0};
    const size_t cap = r->ids ? r->n_ids + 1 : 4 * r->text.len + 9;
    p->ids = malloc(cap * sizeof *p->ids);
    if (!p->ids)
        return fault_set(f, 503, NULL, NULL, "no memory for the prompt");
    if (r->ids) {
        memcpy(p->ids, r->ids, r->n_ids * sizeof *r->ids);
        p->n = r->n_ids;
    } else {
        size_t n = 0;
        if (by->info->text_bos >= 0)
            p->ids[p->n++] = by->info->text_bos;
        const enum bise_status status = r->text.len
                                            ? bise_tokenize(by->model, r->text.text, r->text.len,
                                                            p->ids + p->n, cap - p->n, &n, &err)
                                            : BISE_OK;
        if (status)
            return fault_of_status(f, "prompt", status, &err);
        p->n += n;
    }
    if (!p->n)
        return fault_set(f, 400, "prompt", NULL, "prompt: expected at least one token, found none");
    return p->n < by->limit || r->full == FULL_SINK || too_long(by, p->n, f);
}

bool prompt_make(struct prompt *p, const struct prompter *by, const struct request *r,
                 struct fault *f) {
    *p = (struct prompt){.n = 0};
    if (!check_bytes(by, r, f))
        return false;
    return r->endpoint == ENDPOINT_CHAT ? make_chat(p, by, r, f) : make_text(p, by, r, f);
}

bool prompt_foresee(const struct prompter *by, const struct request *r, const char *answer,
                    size_t len, bool calls, int32_t **ids, size_t *n) {
    struct tool_text none = {.len = 0};
    if (r->endpoint != ENDPOINT_CHAT || r->goes_on || r->full != FULL_STOP)
        return false;
    struct chat_part *parts = malloc((r->n_parts + 1) * sizeof *parts);
    if (!parts)
        return false;
    memcpy(parts, r->parts, r->n_parts * sizeof *parts);
    parts[r->n_parts] = (struct chat_part){calls ? PART_CALLS : PART_ANSWER, answer, len};
    struct view v = view_of(r, &none);
    v.parts = parts;
    v.n = r->n_parts + 1;
    v.frame.more_follows = by->format == CHAT_V3;
    const enum bise_status status = render(by, &v, ids, n, NULL);
    free(parts);
    return !status;
}

void prompt_free(struct prompt *p) {
    free(p->ids);
    free(p->stable);
    *p = (struct prompt){.n = 0};
}
