/*
 * The owner's side of one SMB session: a process of its own, packway-smb, which holds the one
 * connection to (server, port, credential, context) and is killed when the server keeps it waiting.
 *
 *     smbsession_open → { smbsession_ask, or smbsession_send … smbsession_receive } →
 *     smbsession_close
 *
 * Opening starts the process and nothing more: it connects with the first request, since the cheap
 * check that somebody answers there was made before (connect.c). Requests are answered in order;
 * several may be under way. Whoever stops listening early leaves answers owed, which the next
 * request waits for.
 *
 * The process ends when its socket does, with this process too; killing it ends the connection and
 * everything open on it. For one thread.
 */
#ifndef NAL_SMBSESSION_H
#define NAL_SMBSESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "nal/pace.h"
#include "nal/provider.h"
#include "nal/smbwire.h"

#define SMBSESSION_EXIT_SETUP 78 /* packway-smb's exit code when its own files are missing */

struct smbsession {
	struct session session;
	int socket; /* -1: the process is gone */
	pid_t pid;
	uint8_t *shared;      /* gauges and area */
	unsigned under_way;   /* requests whose answers were not read */
	unsigned unwanted;    /* of these, the first so many interest nobody any more */
	unsigned writes;      /* of these, how many carry bytes to the server */
	bool was_up;          /* the server let us in once */
	uint32_t status;      /* NTSTATUS of the last answer that was a fault; 0: not known */
	uint64_t bytes_per_s; /* of the last long read; 0: not known */
};

enum nal_class smbsession_open(struct session **out, const struct way_target *target,
			       const struct way_limits *limits, struct way_link link,
			       struct err *err);
void smbsession_close(struct session *session);
bool smbsession_is_alive(const struct session *session);

/* The memory that reads land in; its bytes may change at any time by the process's doing. */
uint8_t *smbsession_area(struct smbsession *s);

/*
 * From before the first request of a transfer until all of its bytes are used. Between two requests
 * of a slow one the process would think that nothing is wanted any more, close what is being
 * written, and give the area's memory back.
 */
void smbsession_hold(struct smbsession *s);
void smbsession_let_go(struct smbsession *s);

/* The line's round trip in us, without what a queue adds; 0: not known. */
uint32_t smbsession_rtt_us(const struct smbsession *s);

/* Send a request. That the process is gone shows in smbsession_receive. */
void smbsession_send(struct smbsession *s, const struct smbwire_request *r);

/*
 * The answer to the oldest request under way, within `pace`, to which what moves on the connection
 * is reported. A fault of the server becomes its class; silence kills the process. `name` is for
 * the words.
 */
enum nal_class smbsession_receive(struct smbwire_reply *out, struct smbsession *s,
				  struct pace *pace, const char *name, struct err *err);

/*
 * Have the process map `fd`, for reads with SMBWIRE_THERE from now on. It keeps it until another is
 * lent or nothing was wanted for a while, so lend it at the beginning of each transfer.
 */
void smbsession_lend(struct smbsession *s, int fd);

/*
 * Wait until nothing is under way, so that nobody writes to memory that was lent; what does not
 * come soon is ended with the process.
 */
void smbsession_settle(struct smbsession *s);

/* What was asked for and not answered yet is not wanted any more. */
void smbsession_abandon(struct smbsession *s);

/* One request and its answer, within `limits`. */
enum nal_class smbsession_ask(struct smbwire_reply *out, struct smbsession *s,
			      const struct smbwire_request *r, const struct way_limits *limits,
			      const char *name, struct err *err);

/* The class of a server's refusal, with words in `err`. Exposed for tests. */
enum nal_class smbsession_class(uint32_t status, uint32_t sys_errno, const char *name,
				struct err *err);

#endif
