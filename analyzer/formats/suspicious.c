/* suspicious.c - a short list of patterns, each of which a person would want to look at.
 *
 * Addresses of web pages are a lesser note of their own, and none at all where models are kept: cards, licences and base models
 * are named by URL everywhere. What is listed either acts on a terminal, runs where it is shown (markup, script), runs where it is pasted or evaluated (shell, Python), or is a
 * secret. Words are matched without case, on the value as the loader would see it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/suspicious.h"

#include "analyzer/base/text.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { MOST_BYTES = 1 << 20 };

static const struct {
    const char *pattern; /* lower case; '*' at an end: no letter, digit or '_' beyond it */
    const char *what;
} patterns[] = {
    {"<script", "a script tag"},
    {"javascript:", "a javascript: address"},
    {"vbscript:", "a vbscript: address"},
    {"data:text/html", "an HTML document in an address"},
    {"<iframe", "an HTML frame"},
    {" onerror=", "an HTML event handler"},
    {" onload=", "an HTML event handler"},
    {"*__import__(", "Python code"},
    {"*eval(", "Python code"},
    {"*exec(", "Python code"},
    {"*os.system(", "Python code"},
    {"*os.popen(", "Python code"},
    {"*subprocess.", "Python code"},
    {"*pickle.loads(", "Python code"},
    {"{{config", "a template expression"},
    {"{{''.__class__", "a template expression"},
    {"__class__.__", "a template expression"},
    {"${jndi:", "a JNDI lookup"},
    {"$(curl", "a shell command"},
    {"$(wget", "a shell command"},
    {"| sh*", "a shell command"},
    {"|sh*", "a shell command"},
    {"| bash*", "a shell command"},
    {"|bash*", "a shell command"},
    {"rm -rf /", "a shell command"},
    {"/bin/sh", "a shell command"},
    {"/bin/bash", "a shell command"},
    {"powershell -", "a shell command"},
    {"cmd.exe", "a shell command"},
    {"-----begin rsa private key", "a private key"},
    {"-----begin private key", "a private key"},
    {"-----begin openssh private key", "a private key"},
    {"-----begin ec private key", "a private key"},
    {"*akia", "an access key"},
    {"*ghp_", "an access key"},
    {"*hf_", "an access key"},
    {"*aws_secret_access_key", "an access key"},
    {"*password=", "a password"},
    {"*password:", "a password"},
    {"../../../", "a path that climbs"},
    {"..\\..\\..\\", "a path that climbs"},
    {"/etc/passwd", "a system file"},
    {"/etc/shadow", "a system file"},
};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Keys of services are a prefix and a run of letters and digits: the prefix alone is a word like others. */
static bool is_key_like(const char *s, size_t n, const char *pattern)
{
    size_t prefix = strlen(pattern), run = prefix;
    while (run < n && isalnum((unsigned char)s[run]))
        run++;
    return run - prefix >= 16;
}

static bool matches_at(const char *s, size_t n, size_t at, const char *pattern)
{
    bool word = *pattern == '*';
    const char *p = pattern + word;
    if (word && at > 0 && is_word(s[at - 1]))
        return false;
    size_t i = 0;
    for (; p[i]; i++)
        if (p[i] == '*')
            return at + i >= n || !is_word(s[at + i]);
        else if (at + i >= n || tolower((unsigned char)s[at + i]) != p[i])
            return false;
    bool key = strcmp(p, "akia") == 0 || strcmp(p, "ghp_") == 0 || strcmp(p, "hf_") == 0;
    return !key || is_key_like(s + at, n - at, p);
}

/* Characters that turn the direction of the text around them: U+202A to 202E, U+2066 to 2069. */
static bool turns_direction(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    return n >= 3 && p[0] == 0xE2 && ((p[1] == 0x80 && p[2] >= 0xAA && p[2] <= 0xAE) || (p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9));
}

/* Characters that act on a terminal or on the order of what is read. */
static const char *suspicious_character(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
            return "a control character";
        if (turns_direction(s + i, n - i))
            return "a character that turns the direction of text";
    }
    return NULL;
}

/* Base64 of a pickle of protocol 2 to 5: its PROTO opcode and a frame or a global. */
static bool is_encoded_pickle(const char *s, size_t n)
{
    static const char *const begins[] = {"gASV", "gAWV", "gAJj", "gANj", "gAJ9", "gAN9"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (n > 16 && memcmp(s, begins[i], 4) == 0)
            return true;
    return false;
}

const char *suspicious_text(const char *s, size_t n)
{
    enum { N_PATTERNS = sizeof patterns / sizeof *patterns };
    unsigned char head[256] = {0}, next[N_PATTERNS]; /* patterns by first letter: index + 1, 0 ends a chain */
    for (size_t i = N_PATTERNS; i-- > 0;) {
        unsigned char c = (unsigned char)patterns[i].pattern[*patterns[i].pattern == '*'];
        next[i] = head[c];
        head[c] = (unsigned char)(i + 1);
    }
    n = n < MOST_BYTES ? n : MOST_BYTES;
    for (size_t at = 0; at < n; at++)
        for (size_t i = head[tolower((unsigned char)s[at])]; i > 0; i = next[i - 1])
            if (matches_at(s, n, at, patterns[i - 1].pattern))
                return patterns[i - 1].what;
    return is_encoded_pickle(s, n) ? "a pickle in base64" : suspicious_character(s, n);
}

/* The characters of every ordinary name: nothing can be wrong with a word of these alone. */
static bool is_plain(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_word(s[i]) && !(s[i] == '.' && (i == 0 || s[i - 1] != '.')) && s[i] != '-' && s[i] != ':')
            return false;
    return true;
}

const char *suspicious_name(const char *s, size_t n)
{
    if (is_plain(s, n))
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)s[i] < 0x20)
            return "a control character";
        if (s[i] == '.' && i + 2 < n && s[i + 1] == '.' && (s[i + 2] == '/' || s[i + 2] == '\\') &&
            (i == 0 || (!is_word(s[i - 1]) && s[i - 1] != '.')))
            return "a path that climbs";
    }
    return suspicious_address(s, n, &(size_t){0}) ? "an address" : suspicious_text(s, n);
}

/* Hosts that metadata of honest adapters name; their subdomains, too. */
static bool is_usual_host(const char *host, size_t n)
{
    static const char *const usual[] = {"github.com", "huggingface.co", "hf.co",          "civitai.com", "arxiv.org",
                                        "stability.ai", "modelscope.cn", "creativecommons.org", "opensource.org", "apache.org"};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        size_t m = strlen(usual[i]);
        if (n >= m && memcmp(host + n - m, usual[i], m) == 0 && (n == m || host[n - m - 1] == '.'))
            return true;
    }
    return false;
}

const char *suspicious_address(const char *s, size_t n, size_t *length)
{
    n = n < MOST_BYTES ? n : MOST_BYTES;
    for (size_t at = 0; at + 3 < n; at++) {
        if (s[at] != ':' || s[at + 1] != '/' || s[at + 2] != '/')
            continue;
        bool web = (at >= 4 && memcmp(s + at - 4, "http", 4) == 0) || (at >= 5 && memcmp(s + at - 5, "https", 5) == 0) ||
                   (at >= 3 && memcmp(s + at - 3, "ftp", 3) == 0) || (at >= 4 && memcmp(s + at - 4, "file", 4) == 0);
        const char *host = s + at + 3;
        size_t k = 0;
        while (at + 3 + k < n && (is_word(host[k]) || host[k] == '.' || host[k] == '-' || host[k] == '[' || host[k] == ']'))
            k++;
        if (web && k > 0 && !is_usual_host(host, k)) {
            *length = k;
            return host;
        }
    }
    return NULL;
}

static void note_address(observations *seen, const char *key, const char *value)
{
    size_t n = 0;
    const char *host = suspicious_address(value, strlen(value), &n);
    char label[160], address[160];
    if (host)
        observe(seen, SEEN_ADDRESS, 0, key, "metadata %s holds an address at %s", text_label(label, sizeof label, key, strlen(key)),
                text_label(address, sizeof address, host, n));
}

static void note(observations *seen, uint64_t at, const char *name, const char *kind, const char *what)
{
    char label[160];
    observe(seen, SEEN_TEXT, at, name, "%s %s holds %s", kind, text_label(label, sizeof label, name, strlen(name)), what);
}

void suspicious_catalog(const catalog *cat, observations *seen)
{
    for (size_t i = 0; i < cat->n_metadata; i++) {
        const char *key = cat->metadata[i].key, *value = cat->metadata[i].value;
        const char *what = suspicious_text(value, strlen(value));
        if (!what)
            what = suspicious_name(key, strlen(key));
        if (what)
            note(seen, 0, key, "metadata", what);
        else
            note_address(seen, key, value);
    }
    for (size_t i = 0; i < cat->n_tensors; i++) {
        const char *name = cat->tensors[i].name, *what = suspicious_name(name, strlen(name));
        if (what)
            note(seen, cat->tensors[i].entry_offset, name, "the tensor name", what);
    }
}
