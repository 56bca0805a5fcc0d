/* Searches over many objects, and the index that follows their names. */
#include "support/p11_calls.h"

#include <stdio.h>
#include <string.h>

#include "support/fake_engine.h"

#define KEYS 1000u

static CK_SESSION_HANDLE s;

static int setup(void **state)
{
    char name[16];

    if (p11_setup(state) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < KEYS; i++) { /* ten keys share a label */
        (void)snprintf(name, sizeof name, "key%04u", i);
        fake_other_process_adds(name, GRP_P256, name + 4); /* key0123: "123" */
    }
    s = p11_open_user();
    return 0;
}

static CK_ULONG find(CK_ATTRIBUTE *templ, CK_ULONG count)
{
    static CK_OBJECT_HANDLE found[4 * KEYS];

    return p11_find_all(s, templ, count, P11_ARRAY(found));
}

static CK_ULONG find_text(CK_ATTRIBUTE_TYPE type, const char *text)
{
    CK_BYTE value[32];
    CK_ATTRIBUTE a = {type, value, strlen(text)};

    memcpy(value, text, strlen(text));
    return find(&a, 1);
}

static void every_search_gives_the_same_with_and_without_the_index(void **state)
{
    CK_OBJECT_CLASS cls = CKO_PRIVATE_KEY;
    CK_BBOOL yes = CK_TRUE;
    CK_BYTE name[] = "123";
    CK_BYTE id[20];
    CK_OBJECT_HANDLE key = 0;
    CK_ATTRIBUTE both[] = {{CKA_LABEL, name, 3}, {CKA_ID, id, sizeof id}};
    CK_ATTRIBUTE with_class[] = {{CKA_CLASS, &cls, sizeof cls}, {CKA_LABEL, name, 3}};
    CK_ATTRIBUTE nobody[] = {{CKA_LABEL, name, 3}, {CKA_MODULUS, name, 3}};
    CK_ATTRIBUTE token = {CKA_TOKEN, &yes, sizeof yes};

    (void)state;
    assert_int_equal(find(NULL, 0), 2 * KEYS);
    assert_int_equal(find(&token, 1), 2 * KEYS);
    assert_int_equal(find(with_class, 1), KEYS);
    assert_int_equal(find(with_class, 2), 1);
    assert_int_equal(find_text(CKA_LABEL, "123"), 2);
    assert_int_equal(find_text(CKA_LABEL, "no such label"), 0);
    assert_int_equal(find_text(CKA_ID, "no such id"), 0);
    key = p11_one_labelled(s, CKO_PRIVATE_KEY, "123");
    assert_int_equal(p11_get(s, key, CKA_ID, id, sizeof id), 20);
    assert_int_equal(find(both + 1, 1), 2);
    assert_int_equal(find(both, 2), 2);
    assert_int_equal(find(nobody, 2), 0);
    assert_int_equal(find(nobody + 1, 1), 0);
    name[0] = '9'; /* the id of one key, the label of another */
    assert_int_equal(find(both, 2), 0);
}

static void empty_values_are_looked_for_too(void **state)
{
    CK_ATTRIBUTE label = {CKA_LABEL, NULL, 0};
    CK_ATTRIBUTE id = {CKA_ID, NULL, 0};
    const CK_OBJECT_HANDLE key = p11_one_labelled(s, CKO_PRIVATE_KEY, "007");

    (void)state;
    assert_int_equal(find(&label, 1), 0);
    P11_OK(p11_set(s, key, CKA_LABEL, ""));
    assert_int_equal(find(&label, 1), 2);
    assert_int_equal(find(&id, 1), 0); /* each has its default */
}

static void the_index_follows_names_that_change(void **state)
{
    const CK_OBJECT_HANDLE key = p11_one_labelled(s, CKO_PRIVATE_KEY, "500");

    (void)state;
    P11_OK(p11_set(s, key, CKA_LABEL, "501"));
    assert_int_equal(find_text(CKA_LABEL, "500"), 0);
    assert_int_equal(find_text(CKA_LABEL, "501"), 4);
    P11_OK(p11_set(s, key, CKA_ID, "number"));
    assert_int_equal(find_text(CKA_ID, "number"), 2);
    P11_OK(p11_set(s, key, CKA_ID, "other"));
    assert_int_equal(find_text(CKA_ID, "number"), 0);
    assert_int_equal(find_text(CKA_ID, "other"), 2);
    P11_OK(p11_set(s, key, CKA_ID, "")); /* back to the default */
    assert_int_equal(find_text(CKA_ID, "other"), 0);
    P11_OK(C_DestroyObject(s, key));
    assert_int_equal(find_text(CKA_LABEL, "501"), 2);
}

static void the_index_follows_other_processes(void **state)
{
    (void)state;
    assert_int_equal(find_text(CKA_LABEL, "new"), 0);
    fake_other_process_adds("new", GRP_P256, "new");
    assert_int_equal(find_text(CKA_LABEL, "new"), 2);
    fake_other_process_deletes("key0200");
    assert_int_equal(find_text(CKA_LABEL, "200"), 0);
    assert_int_equal(find(NULL, 0), 2 * KEYS);
}

/* What was found stays found, in pieces of any size; the newest first. */
static void a_search_is_a_snapshot(void **state)
{
    const CK_SESSION_HANDLE other = p11_open(0);
    CK_OBJECT_HANDLE some[7];
    CK_OBJECT_HANDLE first = 0;
    CK_ULONG total = 0;
    CK_ULONG n = 0;

    (void)state;
    P11_OK(C_FindObjectsInit(s, NULL, 0));
    fake_other_process_adds("late", GRP_P256, "late");
    P11_OK(C_DestroyObject(s, p11_one_labelled(other, CKO_PRIVATE_KEY, "999")));
    do {
        P11_OK(C_FindObjects(s, P11_ARRAY(some), &n));
        first = total == 0 ? some[0] : first;
        total += n;
    } while (n > 0);
    P11_OK(C_FindObjectsFinal(s));
    assert_int_equal(total, 2 * KEYS);
    assert_int_equal(p11_find_all(s, NULL, 0, some, 1), 1);
    assert_int_not_equal(first, some[0]); /* "late" is the newest now */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, p11_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_search_gives_the_same_with_and_without_the_index),
        TEST(empty_values_are_looked_for_too),
        TEST(the_index_follows_names_that_change),
        TEST(the_index_follows_other_processes),
        TEST(a_search_is_a_snapshot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
