#include "support/testing.h"

#include <fcntl.h>

#include "common/clock.h"
#include "nal/smbknock.h"
#include "support/tempdir.h"
#include "support/webserver.h"

#define SLACK_MS 450 /* less than the next longer limit, for a busy computer */

/* Servers of another kind, and none; smbd itself is asked by tests/flow/presence.py. */

static void silent(struct webserver *server)
{
	webserver_hostile(server, WEBSERVER_SILENT);
}

static size_t open_descriptors(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 512; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Its class, and how long it took in ms. */
static enum nal_class knock(uint16_t port, uint64_t *took_out, struct err *err)
{
	uint64_t begun = clock_mono_ms(clock_system());
	struct smbknock_result result;

	smbknock_wait(&result, NULL, "127.0.0.1", port, SMBKNOCK_IPC, 1000, SMBKNOCK_IPC_MS, err);
	*took_out = clock_mono_ms(clock_system()) - begun;
	assert_false(result.is_smb);
	return result.class;
}

static void what_is_no_smb_gets_its_class_in_time(void **state UNUSED)
{
	static const struct {
		const char *what;
		void (*start)(struct webserver *server);
		enum nal_class want;
		uint64_t at_least_ms; /* and not much more */
	} cases[] = {
		{ "refusing", webserver_refusing, NAL_CLASS_UNREACHABLE, 0 },
		{ "a black hole", webserver_black_hole, NAL_CLASS_TIMEOUT, 1000 },
		{ "silent", silent, NAL_CLASS_TIMEOUT, 500 },
		{ "nginx", webserver_nginx, NAL_CLASS_PROTOCOL, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		size_t before = open_descriptors();
		uint64_t took = UINT64_MAX, most = cases[i].at_least_ms + SLACK_MS;
		enum nal_class class = NAL_CLASS_OK;
		struct webserver server;
		struct err err = { 0 };

		cases[i].start(&server);
		for (int t = 0; t < TESTING_TRIES && took > most; t++)
			class = knock(server.port, &took, &err);
		if (class != cases[i].want || err.code == ERR_NONE || took < cases[i].at_least_ms ||
		    took > most)
			fail_msg("%s: %s after %llu ms: %s", cases[i].what, nal_class_name(class),
				 (unsigned long long)took, err.why);
		webserver_stop(&server);
		assert_int_equal(open_descriptors(), before);
	}
}

TESTING_MAIN(cmocka_unit_test(what_is_no_smb_gets_its_class_in_time), )
