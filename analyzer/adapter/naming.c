/* naming.c - tables of key endings, a line each. The longest ending that fits a key counts.
 *
 * Sources: huggingface/peft utils/save_and_load.py, tuners/<method>/layer.py; diffusers utils/state_dict_utils.py,
 * loaders/lora_conversion_utils.py; kohya-ss/sd-scripts networks/lora.py; KohakuBlueleaf/LyCORIS lycoris/modules;
 * cloneofsimo/lora lora_diffusion/lora.py; microsoft/LoRA loralib/layers.py; ml-explore/mlx-lm tuner/lora.py;
 * ggml-org/llama.cpp convert_lora_to_gguf.py; CERT-Lab/lora-sb utils; NVIDIA NeMo; pytorch/torchtune.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/naming.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* E("…"): an ending and its length. Keys are compared with the whole table, so that its lengths are known beforehand. */
#define E(text) text, sizeof(text) - 1

typedef struct {
    const char *ending;
    size_t length;
    key_part part;
    lora_layout layout;
    const char *method;
    unsigned char keep; /* characters of the ending that belong to the module's path */
    bool embedding;
} ending_rule;

static const ending_rule endings[] = {
    /* PEFT, and diffusers' fourth generation under a pipeline's prefix */
    {E(".lora_A.weight"), PART_A, LAYOUT_PEFT, "lora", 0, false},
    {E(".lora_B.weight"), PART_B, LAYOUT_PEFT, "lora", 0, false},
    {E(".lora_B.bias"), PART_BIAS, LAYOUT_PEFT, NULL, 0, false},
    {E(".lora_embedding_A"), PART_A, LAYOUT_PEFT, "lora", 0, true},
    {E(".lora_embedding_B"), PART_B, LAYOUT_PEFT, "lora", 0, true},
    {E(".lora_magnitude_vector"), PART_MAGNITUDE, LAYOUT_PEFT, NULL, 0, false},
    {E(".lora_magnitude_vector.weight"), PART_MAGNITUDE, LAYOUT_PEFT, NULL, 0, false},
    {E(".lora_E"), PART_CORE, LAYOUT_PEFT, "adalora", 0, false},
    {E(".default_lora_latent_mapping.weight"), PART_CORE, LAYOUT_LORA_SB, "lora-sb", 0, false},
    {E(".default_lora_latent.weight"), PART_CORE, LAYOUT_LORA_SB, "lora-sb", 0, false},
    {E("_lora_latent_mapping.weight"), PART_CORE, LAYOUT_LORA_SB, "lora-sb", 0, false},
    {E("_lora_latent.weight"), PART_CORE, LAYOUT_LORA_SB, "lora-sb", 0, false},
    {E("._lora_latent_mapping.weight"), PART_CORE, LAYOUT_LORA_SB, "lora-sb", 0, false},
    {E("._lora_latent.weight"), PART_CORE, LAYOUT_LORA_SB, "lora-sb", 0, false},
    {E(".lora_latent_mapping.weight"), PART_CORE, LAYOUT_LORA_SB, "lora-sb", 0, false},
    {E(".lora_latent.weight"), PART_CORE, LAYOUT_LORA_SB, "lora-sb", 0, false},
    /* parameters without ".weight": loralib, AdaLoRA, hand-written code */
    {E(".lora_A"), PART_A, LAYOUT_LORALIB, "lora", 0, false},
    {E(".lora_B"), PART_B, LAYOUT_LORALIB, "lora", 0, false},
    {E("_lora_A"), PART_A, LAYOUT_GENERIC, "lora", 0, false},
    {E("_lora_B"), PART_B, LAYOUT_GENERIC, "lora", 0, false},
    {E("_lora_a.weight"), PART_A, LAYOUT_GENERIC, "lora", 0, false},
    {E("_lora_b.weight"), PART_B, LAYOUT_GENERIC, "lora", 0, false},
    {E("_lora_A.weight"), PART_A, LAYOUT_GENERIC, "lora", 0, false},
    {E("_lora_B.weight"), PART_B, LAYOUT_GENERIC, "lora", 0, false},
    {E("_lora_a"), PART_A, LAYOUT_GENERIC, "lora", 0, false},
    {E("_lora_b"), PART_B, LAYOUT_GENERIC, "lora", 0, false},
    /* kohya, LyCORIS */
    {E(".lora_down.weight"), PART_A, LAYOUT_KOHYA, "lora", 0, false},
    {E(".lora_up.weight"), PART_B, LAYOUT_KOHYA, "lora", 0, false},
    {E(".lora_down"), PART_A, LAYOUT_KOHYA, "lora", 0, false},
    {E(".lora_up"), PART_B, LAYOUT_KOHYA, "lora", 0, false},
    {E(".lora_mid.weight"), PART_CORE, LAYOUT_LYCORIS, "locon", 0, false},
    {E(".alpha"), PART_ALPHA, LAYOUT_KOHYA, NULL, 0, false},
    {E(".dora_scale"), PART_MAGNITUDE, LAYOUT_KOHYA, NULL, 0, false},
    {E(".diff_b"), PART_BIAS, LAYOUT_LYCORIS, NULL, 0, false},
    {E(".hada_w1_a"), PART_B, LAYOUT_LYCORIS, "loha", 0, false},
    {E(".hada_w1_b"), PART_A, LAYOUT_LYCORIS, "loha", 0, false},
    {E(".hada_t1"), PART_CORE, LAYOUT_LYCORIS, "loha", 0, false},
    {E(".hada_w2_a"), PART_B2, LAYOUT_LYCORIS, "loha", 0, false},
    {E(".hada_w2_b"), PART_A2, LAYOUT_LYCORIS, "loha", 0, false},
    {E(".hada_t2"), PART_CORE2, LAYOUT_LYCORIS, "loha", 0, false},
    {E(".lokr_w1"), PART_FULL, LAYOUT_LYCORIS, "lokr", 0, false},
    {E(".lokr_w1_a"), PART_B, LAYOUT_LYCORIS, "lokr", 0, false},
    {E(".lokr_w1_b"), PART_A, LAYOUT_LYCORIS, "lokr", 0, false},
    {E(".lokr_t1"), PART_CORE, LAYOUT_LYCORIS, "lokr", 0, false},
    {E(".lokr_w2"), PART_FULL2, LAYOUT_LYCORIS, "lokr", 0, false},
    {E(".lokr_w2_a"), PART_B2, LAYOUT_LYCORIS, "lokr", 0, false},
    {E(".lokr_w2_b"), PART_A2, LAYOUT_LYCORIS, "lokr", 0, false},
    {E(".lokr_t2"), PART_CORE2, LAYOUT_LYCORIS, "lokr", 0, false},
    /* diffusers: attention processors, then modules, then text encoders; control-LoRA; XLabs' two streams */
    {E("_lora.down.weight"), PART_A, LAYOUT_DIFFUSERS, "lora", 0, false},
    {E("_lora.up.weight"), PART_B, LAYOUT_DIFFUSERS, "lora", 0, false},
    {E("_lora.alpha"), PART_ALPHA, LAYOUT_DIFFUSERS, NULL, 0, false},
    {E(".lora.down.weight"), PART_A, LAYOUT_DIFFUSERS, "lora", 0, false},
    {E(".lora.up.weight"), PART_B, LAYOUT_DIFFUSERS, "lora", 0, false},
    {E(".lora.alpha"), PART_ALPHA, LAYOUT_DIFFUSERS, NULL, 0, false},
    {E(".lora_linear_layer.down.weight"), PART_A, LAYOUT_DIFFUSERS, "lora", 0, false},
    {E(".lora_linear_layer.up.weight"), PART_B, LAYOUT_DIFFUSERS, "lora", 0, false},
    {E(".lora_linear_layer.alpha"), PART_ALPHA, LAYOUT_DIFFUSERS, NULL, 0, false},
    {E(".to_q.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 5, false},
    {E(".to_q.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 5, false},
    {E(".to_k.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 5, false},
    {E(".to_k.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 5, false},
    {E(".to_v.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 5, false},
    {E(".to_v.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 5, false},
    {E(".to_out.0.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 9, false},
    {E(".to_out.0.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 9, false},
    {E(".net.0.proj.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 11, false},
    {E(".net.0.proj.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 11, false},
    {E(".net.2.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 6, false},
    {E(".net.2.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 6, false},
    {E(".conv.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 5, false},
    {E(".conv.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 5, false},
    {E(".conv1.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 6, false},
    {E(".conv1.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 6, false},
    {E(".conv2.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 6, false},
    {E(".conv2.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 6, false},
    {E(".conv_shortcut.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 14, false},
    {E(".conv_shortcut.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 14, false},
    {E(".time_emb_proj.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 14, false},
    {E(".time_emb_proj.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 14, false},
    {E(".proj_in.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 8, false},
    {E(".proj_in.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 8, false},
    {E(".proj_out.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 9, false},
    {E(".proj_out.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 9, false},
    {E(".linear_1.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 9, false},
    {E(".linear_1.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 9, false},
    {E(".linear_2.down"), PART_A, LAYOUT_DIFFUSERS, "lora", 9, false},
    {E(".linear_2.up"), PART_B, LAYOUT_DIFFUSERS, "lora", 9, false},
    {E("_lora1.down.weight"), PART_A, LAYOUT_GENERIC, "lora", 6, false},
    {E("_lora1.up.weight"), PART_B, LAYOUT_GENERIC, "lora", 6, false},
    {E("_lora2.down.weight"), PART_A, LAYOUT_GENERIC, "lora", 6, false},
    {E("_lora2.up.weight"), PART_B, LAYOUT_GENERIC, "lora", 6, false},
    /* MLX; llama.cpp; torchtune; NeMo */
    {E(".lora_a"), PART_A, LAYOUT_MLX, "lora", 0, false},
    {E(".lora_b"), PART_B, LAYOUT_MLX, "lora", 0, false},
    {E(".m"), PART_MAGNITUDE, LAYOUT_MLX, NULL, 0, false},
    {E(".weight.lora_a"), PART_A, LAYOUT_GGUF, "lora", 0, false},
    {E(".weight.lora_b"), PART_B, LAYOUT_GGUF, "lora", 0, false},
    {E(".lora_a.weight"), PART_A, LAYOUT_GENERIC, "lora", 0, false},
    {E(".lora_b.weight"), PART_B, LAYOUT_GENERIC, "lora", 0, false},
    {E(".adapter.linear_in.weight"), PART_A, LAYOUT_GENERIC, "lora", 0, false},
    {E(".adapter.linear_out.weight"), PART_B, LAYOUT_GENERIC, "lora", 0, false},
    {E("_adapter.linear_in.weight"), PART_A, LAYOUT_GENERIC, "lora", 0, false},
    {E("_adapter.linear_out.weight"), PART_B, LAYOUT_GENERIC, "lora", 0, false},
};

/* Methods that are named, not computed: silence about them would make ΔW wrong, or look like no adapter. A tensor belongs
 * to one when the last word of its path (before a closing ".weight") is the one told, or begins with one that ends in '_'; of
 * what no table knows, also when the word before begins so. */
static const struct {
    const char *word, *method;
    lora_layout layout;
    bool low_rank;
} foreign_words[] = {
    {"ia3_l", "ia3", LAYOUT_PEFT, false},
    {"vera_", "vera", LAYOUT_PEFT, true},
    {"pvera_", "pvera", LAYOUT_PEFT, true},
    {"boft_", "boft", LAYOUT_PEFT, false},
    {"oft_blocks", "oft", LAYOUT_LYCORIS, false},
    {"oft_diag", "oft", LAYOUT_LYCORIS, false},
    {"oft_", "oft", LAYOUT_PEFT, false},
    {"fourierft_", "fourierft", LAYOUT_PEFT, false},
    {"vblora_", "vblora", LAYOUT_PEFT, true},
    {"hra_", "hra", LAYOUT_PEFT, false},
    {"miss_block", "miss", LAYOUT_PEFT, false},
    {"bone_block", "bone", LAYOUT_PEFT, false},
    {"shira_", "shira", LAYOUT_PEFT, false},
    {"randlora_", "randlora", LAYOUT_PEFT, true},
    {"road_theta", "road", LAYOUT_PEFT, false},
    {"road_alpha", "road", LAYOUT_PEFT, false},
    {"c3a_", "c3a", LAYOUT_PEFT, false},
    {"hira_", "hira", LAYOUT_PEFT, false},
    {"delora_", "delora", LAYOUT_PEFT, true},
    {"gralora_", "gralora", LAYOUT_PEFT, true},
    {"glora_", "glora", LAYOUT_PEFT, true},
    {"ln_tuning_", "ln_tuning", LAYOUT_PEFT, false},
    {"trainable_tokens_", "trainable_tokens", LAYOUT_PEFT, false},
    {"poly_lora_", "poly", LAYOUT_PEFT, true},
    {"poly_router", "poly", LAYOUT_PEFT, true},
    {"unilora_", "unilora", LAYOUT_PEFT, true},
    {"waveft_", "waveft", LAYOUT_PEFT, false},
    {"tinylora_", "tinylora", LAYOUT_PEFT, true},
    {"lily_A", "lily", LAYOUT_PEFT, true},
    {"lily_B", "lily", LAYOUT_PEFT, true},
    {"adaption_prompt", "adaption_prompt", LAYOUT_PEFT, false},
    {"adaption_gate", "adaption_prompt", LAYOUT_PEFT, false},
    {"prompt_embeddings", "prompt", LAYOUT_PEFT, false},
    {"diff", "full", LAYOUT_LYCORIS, false},
    {"w_norm", "norm", LAYOUT_LYCORIS, false},
    {"b_norm", "norm", LAYOUT_LYCORIS, false},
    {"on_input", "ia3", LAYOUT_LYCORIS, false},
};

static const struct {
    const char *method, *why;
} method_texts[] = {
    {"ia3", "it scales activations; the update of a weight depends on the base"},
    {"vera", "its projections are drawn from a seed, or stored once for all modules"},
    {"oft", "it rotates the base weight; the update depends on the base"},
    {"boft", "it rotates the base weight; the update depends on the base"},
    {"hra", "it reflects the base weight; the update depends on the base"},
    {"road", "it rotates activations; the update depends on the base"},
    {"fourierft", "its update is a sparse spectrum at indices drawn from a seed"},
    {"waveft", "its update is a sparse spectrum at indices drawn from a seed"},
    {"c3a", "its update is a block-circulant matrix, of full rank"},
    {"vblora", "its factors are mixtures of a bank of vectors"},
    {"bone", "its update tiles one block, or multiplies the base weight"},
    {"miss", "its update tiles one block, or multiplies the base weight"},
    {"shira", "its update is sparse, not of low rank"},
    {"randlora", "its bases are drawn from a seed"},
    {"hira", "its update is the base weight times a low-rank matrix"},
    {"delora", "its factors are normalised and scaled by the base weight"},
    {"prompt", "it trains input embeddings and changes no weight"},
    {"adaption_prompt", "it trains input embeddings and changes no weight"},
    {"ln_tuning", "it replaces the parameters of norms"},
    {"norm", "it changes the parameters of norms"},
    {"trainable_tokens", "it replaces rows of the embedding"},
    {"full", "it stores whole updates, no factors"},
};

const char *naming_method_text(const char *method)
{
    for (size_t i = 0; i < sizeof method_texts / sizeof *method_texts; i++)
        if (strcmp(method_texts[i].method, method) == 0)
            return method_texts[i].why;
    for (size_t i = 0; i < sizeof foreign_words / sizeof *foreign_words; i++)
        if (strcmp(foreign_words[i].method, method) == 0)
            return "its update is not computed by this version";
    return NULL;
}

static bool ends_with(const char *s, size_t length, const char *ending, size_t *rest)
{
    size_t n = strlen(ending);
    if (length < n || memcmp(s + length - n, ending, n) != 0)
        return false;
    *rest = length - n;
    return true;
}

/* cloneofsimo: "unet:17:down", "text_encoder:3:up"; the module has a number and no name. */
static bool is_cloneofsimo(const char *s, size_t length, parsed_key *key, size_t *rest)
{
    bool up = ends_with(s, length, ":up", rest);
    if (!up && !ends_with(s, length, ":down", rest))
        return false;
    size_t i = *rest;
    while (i > 0 && isdigit((unsigned char)s[i - 1]))
        i--;
    if (i == *rest || i < 2 || s[i - 1] != ':')
        return false;
    *key = (parsed_key){.part = up ? PART_B : PART_A, .layout = LAYOUT_CLONEOFSIMO, .adapter = key->adapter, .method = "lora"};
    return true;
}

/* "w_a_000" and "w_b_000": pairs by number, as hand-written image models save them. Made into the module "w_000". */
static bool is_numbered_pair(char *s, size_t *length, parsed_key *key)
{
    size_t n = *length;
    if (n < 5 || strncmp(s, "w_", 2) != 0 || (s[2] != 'a' && s[2] != 'b') || s[3] != '_' ||
        strspn(s + 4, "0123456789") != n - 4)
        return false;
    *key = (parsed_key){.part = s[2] == 'a' ? PART_A : PART_B, .adapter = key->adapter, .method = "lora"};
    memmove(s + 2, s + 4, n - 3);
    *length = n - 2;
    return true;
}

/* Where the word that ends at `end` begins. */
static size_t word_before(const char *s, size_t end)
{
    while (end > 0 && s[end - 1] != '.')
        end--;
    return end;
}

/* Is the word at `at` one of the table, for a tensor whose last word it is, or (not last) the one before? */
static bool is_foreign_word(const char *s, size_t length, size_t at, bool last, parsed_key *key, size_t *rest)
{
    for (size_t i = 0; i < sizeof foreign_words / sizeof *foreign_words; i++) {
        const char *begin = foreign_words[i].word;
        if (*begin != s[at])
            continue;
        size_t n = strlen(begin);
        bool whole = begin[n - 1] != '_';
        if (whole ? !last || strcmp(s + at, begin) != 0 : strncmp(s + at, begin, n) != 0)
            continue;
        *key = (parsed_key){.part = PART_FOREIGN, .layout = foreign_words[i].layout, .adapter = key->adapter,
                            .method = foreign_words[i].method, .low_rank = foreign_words[i].low_rank};
        *rest = at > 0 ? at - 1 : length;
        return true;
    }
    return false;
}

/* The word that says what the tensor is: the last, or the one before a closing ".weight". */
static size_t telling_word(const char *s, size_t length)
{
    size_t end = length;
    return ends_with(s, length, ".weight", &end) ? word_before(s, end) : word_before(s, length);
}

/* Where the telling word names nothing, the one before it may, and so may p-tuning's encoder. */
static bool is_foreign_inside(const char *s, size_t length, parsed_key *key, size_t *rest)
{
    size_t last = word_before(s, length);
    if (strncmp(s, "prompt_encoder.", 15) == 0 || strstr(s, ".prompt_encoder.")) {
        *key = (parsed_key){.part = PART_FOREIGN, .layout = LAYOUT_PEFT, .adapter = key->adapter, .method = "prompt"};
        *rest = length;
        return true;
    }
    return last > 0 && is_foreign_word(s, length, word_before(s, last - 1), false, key, rest);
}

/* Does the name hold "lora", "lokr", "hada" or "glora" as a word of its own, in whatever case? Then it is a factor of a
 * kind that is not known here. */
static bool looks_like_factor(const char *s)
{
    static const char *const words[] = {"lora", "lokr", "hada", "glora"};
    for (const char *at = s; *at; at++) {
        if (at > s && isalpha((unsigned char)at[-1]))
            continue;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            size_t n = strlen(words[i]);
            if (strncasecmp(at, words[i], n) == 0 &&
                (!isalpha((unsigned char)at[n]) || (islower((unsigned char)at[n - 1]) && isupper((unsigned char)at[n])))) /* loraA */
                return true;
        }
    }
    return false;
}

/* ".lora_", ".hada_", ".lokr_": the marks all begin so. */
static bool may_be_mark(const char *dot)
{
    return (dot[1] == 'l' || dot[1] == 'h') && (dot[2] == 'o' || dot[2] == 'a') && dot[3] && dot[4] && dot[5] == '_' && dot[6];
}

/* PEFT puts an adapter's name between the factor and ".weight" when a raw state dict is saved. Cut "NAME" out of the
 * copy at text, remember it in *adapter. */
static lora_code cut_adapter_name(char *text, arena *mem, const char **adapter)
{
    static const struct {
        const char *mark;
        size_t length;
    } marks[] = {{E(".lora_A.")},    {E(".lora_B.")},    {E(".lora_embedding_A.")}, {E(".lora_embedding_B.")},
                 {E(".lora_down.")}, {E(".lora_up.")},   {E(".lora_a.")},           {E(".lora_b.")},
                 {E(".lora_magnitude_vector.")},         {E(".lora_E.")},           {E(".hada_w1_a.")},
                 {E(".hada_w1_b.")}, {E(".hada_w2_a.")}, {E(".hada_w2_b.")},        {E(".lokr_w1.")},
                 {E(".lokr_w2.")},   {E(".lokr_w1_a.")}, {E(".lokr_w1_b.")},        {E(".lokr_w2_a.")},
                 {E(".lokr_w2_b.")}};
    *adapter = "";
    for (char *dot = strchr(text, '.'); dot; dot = strchr(dot + 1, '.'))
        for (size_t i = 0; may_be_mark(dot) && i < sizeof marks / sizeof *marks; i++) {
            if (dot[6] != marks[i].mark[6] || strncmp(dot, marks[i].mark, marks[i].length) != 0)
                continue;
            char *name = dot + marks[i].length;
            size_t n = strcspn(name, ".");
            bool leaf = name[n] == '\0';
            if (n == 0 || (leaf && (strcmp(name, "weight") == 0 || strcmp(name, "bias") == 0)))
                break;
            if (!leaf && strcmp(name + n, ".weight") != 0 && strcmp(name + n, ".bias") != 0)
                break;
            char *copy = arena_strndup(mem, name, n);
            if (!copy)
                return LORA_E_MEMORY;
            *adapter = copy;
            memmove(name - 1, name + n, strlen(name + n) + 1);
            return LORA_OK;
        }
    return LORA_OK;
}

/* Wrapper words that are no part of the module's path in the base model. */
static const char *skip_wrappers(const char *path)
{
    static const char wrapper[] = "base_model.model.";
    while (strncmp(path, wrapper, sizeof wrapper - 1) == 0)
        path += sizeof wrapper - 1;
    return path;
}

static void cut_processor(char *path)
{
    static const char word[] = ".processor.";
    char *at = strstr(path, word);
    if (at)
        memmove(at + 1, at + sizeof word - 1, strlen(at + sizeof word - 1) + 1);
}

/* PEFT's endings under a pipeline's component are diffusers' fourth generation; LyCORIS' under PEFT's wrapper are PEFT's. */
static lora_layout refine_layout(lora_layout layout, const char *full, const char *module)
{
    if (layout == LAYOUT_PEFT && full == module) {
        static const char *const pipelines[] = {"unet.",          "transformer.",    "text_encoder.", "text_encoder_2.",
                                                "text_encoder_3.", "diffusion_model.", "text_encoders."};
        for (size_t i = 0; i < sizeof pipelines / sizeof *pipelines; i++)
            if (*module == *pipelines[i] && strncmp(module, pipelines[i], strlen(pipelines[i])) == 0)
                return LAYOUT_DIFFUSERS;
    }
    if (layout == LAYOUT_KOHYA && strncmp(module, "lora_", 5) != 0)
        return LAYOUT_DIFFUSERS;
    if (layout == LAYOUT_LYCORIS && full != module)
        return LAYOUT_PEFT;
    return layout;
}

/* Most endings close with ".weight", and most differ in the character before it: a look there spares most comparisons. */
static bool may_end(const char *s, size_t length, const ending_rule *e)
{
    enum { BEFORE_WEIGHT = 8 };
    return s[length - 1] == e->ending[e->length - 1] &&
           (e->length < BEFORE_WEIGHT || length < BEFORE_WEIGHT || s[length - BEFORE_WEIGHT] == e->ending[e->length - BEFORE_WEIGHT]);
}

static size_t match_ending(const char *s, size_t length, parsed_key *key)
{
    size_t best = 0, rest = 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const ending_rule *e = &endings[i];
        bool root = length + 1 == e->length && *e->ending == '.'; /* a factor of the model itself: no module's path */
        if (e->length <= best || e->length > length + root || !may_end(s, length, e))
            continue;
        if (root ? memcmp(s, e->ending + 1, length) == 0
                 : s[length - e->length] == *e->ending && memcmp(s + length - e->length, e->ending, e->length) == 0) {
            best = e->length;
            rest = root ? 0 : length - best + e->keep;
            *key = (parsed_key){.part = e->part, .layout = e->layout, .embedding = e->embedding, .adapter = key->adapter,
                                .method = e->method};
        }
    }
    return rest;
}

lora_code naming_parse(const char *text, arena *mem, parsed_key *key)
{
    *key = (parsed_key){.part = PART_NONE, .layout = LAYOUT_GENERIC, .adapter = ""};
    char *copy = arena_strdup(mem, text);
    if (!copy || cut_adapter_name(copy, mem, &key->adapter) != LORA_OK)
        return LORA_E_MEMORY;
    size_t length = strlen(copy), rest = length;
    if (is_numbered_pair(copy, &length, key))
        rest = length;
    else if (!is_foreign_word(copy, length, telling_word(copy, length), true, key, &rest) &&
             !is_cloneofsimo(copy, length, key, &rest)) {
        rest = length ? match_ending(copy, length, key) : 0;
        if (key->part == PART_NONE && ends_with(copy, length, ".weight", &rest) && rest > 0) /* a parameter saved as a layer */
            rest = match_ending(copy, rest, key);
        if (key->part == PART_NONE && !is_foreign_inside(copy, length, key, &rest)) {
            key->factor_like = looks_like_factor(copy);
            return LORA_OK;
        }
    }
    copy[rest] = '\0';
    cut_processor(copy);
    key->full = copy;
    key->module = skip_wrappers(copy);
    key->layout = refine_layout(key->layout, copy, key->module);
    return LORA_OK;
}

lora_code naming_parse_list(uint64_t index, arena *mem, parsed_key *key)
{
    const char *name = arena_printf(mem, "%llu", (unsigned long long)(index / 2));
    *key = (parsed_key){.part = index % 2 ? PART_A : PART_B, .layout = LAYOUT_CLONEOFSIMO, .module = name, .full = name,
                        .adapter = "", .method = "lora"};
    return name ? LORA_OK : LORA_E_MEMORY;
}
