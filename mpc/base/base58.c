#include "base/base58.h"

#include <string.h>

#include "base/hash.h"

#define CHECK_LEN 4u
#define WHOLE_MAX (TDSA_BASE58CHECK_BYTES_MAX + CHECK_LEN)
#define TEXT_MAX  192u /* log(256) / log(58) = 1.366 characters a byte */

_Static_assert(TEXT_MAX * 100 >= WHOLE_MAX * 137, "room for the longest text");

static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

static tdsa_status checksum(uint8_t out[CHECK_LEN], const uint8_t *bytes, size_t len, tdsa_err *err)
{
    uint8_t once[TDSA_DIGEST_LEN_MAX];
    uint8_t twice[TDSA_DIGEST_LEN_MAX];
    tdsa_status st = tdsa_hash(once, TDSA_HASH_SHA256, bytes, len, err);

    if (st == TDSA_OK) {
        st = tdsa_hash(twice, TDSA_HASH_SHA256, once, 32, err);
    }
    if (st == TDSA_OK) {
        memcpy(out, twice, CHECK_LEN);
    }
    return st;
}

/* number = number * 58 + digit, or * 256 + byte; both as arrays of digits, least first. False when it
 * needs more than `max` digits. */
static bool push(uint8_t *digits, size_t *count, size_t max, unsigned from_base, unsigned to_base,
                 unsigned digit)
{
    unsigned carry = digit;

    for (size_t i = 0; i < *count; i++) {
        carry += digits[i] * from_base;
        digits[i] = (uint8_t)(carry % to_base);
        carry /= to_base;
    }
    while (carry > 0) {
        if (*count == max) {
            return false;
        }
        digits[(*count)++] = (uint8_t)(carry % to_base);
        carry /= to_base;
    }
    return true;
}

tdsa_status tdsa_base58check_encode(tdsa_buf *out, const uint8_t *bytes, size_t len, tdsa_err *err)
{
    uint8_t whole[WHOLE_MAX];
    uint8_t digits[TEXT_MAX];
    size_t zeros = 0;
    size_t count = 0;
    tdsa_status st;

    if (len > TDSA_BASE58CHECK_BYTES_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "base58: %zu bytes, at most %u", len,
                         TDSA_BASE58CHECK_BYTES_MAX);
    }
    memcpy(whole, bytes, len);
    st = checksum(whole + len, bytes, len, err);
    if (st != TDSA_OK) {
        return st;
    }
    for (size_t i = 0; i < len + CHECK_LEN; i++) {
        zeros += count == 0 && whole[i] == 0 ? 1 : 0;
        if (!push(digits, &count, sizeof digits, 256, 58, whole[i])) {
            return TDSA_FAIL(err, TDSA_E_INTERNAL, "base58: no room");
        }
    }
    for (size_t i = 0; i < zeros; i++) {
        tdsa_buf_append_u8(out, (uint8_t)alphabet[0]);
    }
    while (count > 0) {
        tdsa_buf_append_u8(out, (uint8_t)alphabet[digits[--count]]);
    }
    return tdsa_buf_check(out, err);
}

tdsa_status tdsa_base58check_decode(tdsa_buf *out, const char *text, size_t len, tdsa_err *err)
{
    uint8_t digits[WHOLE_MAX];
    uint8_t whole[WHOLE_MAX] = {0};
    uint8_t check[CHECK_LEN];
    size_t zeros = 0;
    size_t count = 0;
    tdsa_status st;

    if (len > TEXT_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "base58: %zu characters, at most %u", len,
                         TEXT_MAX);
    }
    for (size_t i = 0; i < len; i++) {
        const char *at = text[i] == '\0' ? NULL : strchr(alphabet, text[i]);

        if (at == NULL) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "base58: character %zu is not of the alphabet",
                             i + 1);
        }
        zeros += count == 0 && at == alphabet ? 1 : 0;
        if (!push(digits, &count, sizeof digits, 58, 256, (unsigned)(at - alphabet))) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "base58: more than %u bytes", WHOLE_MAX);
        }
    }
    if (zeros + count < CHECK_LEN || zeros + count > WHOLE_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "base58: %zu bytes with the checksum",
                         zeros + count);
    }
    for (size_t i = 0; i < count; i++) {
        whole[zeros + i] = digits[count - 1 - i];
    }
    count += zeros - CHECK_LEN;
    st = checksum(check, whole, count, err);
    if (st == TDSA_OK && memcmp(check, whole + count, CHECK_LEN) != 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "base58: the checksum is wrong");
    }
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_buf_append(out, whole, count);
    return tdsa_buf_check(out, err);
}
