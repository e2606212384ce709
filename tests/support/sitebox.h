/*
 * A site in a temporary folder with one CAP in a folder, and a client that can put envelopes there.
 */
#ifndef TESTS_SUPPORT_SITEBOX_H
#define TESTS_SUPPORT_SITEBOX_H

#include <jansson.h>
#include <stdint.h>

#include "site/site.h"
#include "trust/envelope.h"

struct sitebox {
	char dir[64]; /* holds site/ and cap/ */
	struct site *site;
	struct clock clock; /* the site's: stands at `now_s` */
	int64_t now_s;
};

/* Make it; the site is published once. Fails the test where it cannot. */
void sitebox_open(struct sitebox *box);
void sitebox_close(struct sitebox *box);

/* "DIR/name"; the caller frees it. */
char *sitebox_path(const struct sitebox *box, const char *name);

/* A client with a key of its own. */
struct sitebox_client {
	struct signer *key;
	char id[ENVELOPE_ID_SIZE];
	char stream[ENVELOPE_ID_SIZE];
};

void sitebox_client_init(struct sitebox_client *c, uint16_t seed);
void sitebox_client_release(struct sitebox_client *c);

/* Put an enrolment with this token (may be NULL), or records [first, first + count) into the inbox.
 */
void sitebox_put_enrolment(struct sitebox *box, struct sitebox_client *c, const char *token);
void sitebox_put_records(struct sitebox *box, struct sitebox_client *c, uint64_t first,
			 const json_t *records);

/* A status message as a record; the caller owns it. */
json_t *sitebox_status(int id, const char *advertisement, const char *text);

/* Put raw bytes into the inbox under a name. */
void sitebox_put_raw(struct sitebox *box, const char *name, struct span bytes);

/* How many files stand in a folder of the box. */
size_t sitebox_count_files(const struct sitebox *box, const char *folder);

#endif
