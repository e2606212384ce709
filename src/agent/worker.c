#include "agent/worker.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "agent/op.h"
#include "agent/scene.h"
#include "common/cryptocalls.h"
#include "common/log.h"
#include "common/path.h"
#include "common/spawn.h"
#include "common/wire.h"
#include "nal/curlcalls.h"

#define IDLE_STEP_MS 30000      /* how long an open connection may be late in being closed */
#define KEEPER_MS    60000      /* until one is started */
#define KEPT_PIECE   (8 << 20)  /* greater ones are given back as soon as they are free */
#define KEPT_BYTES   (32 << 20) /* more free ones than that are, too */

static const struct {
	const char *op;
	worker_handler_fn *handler;
	/* TALKS: most likely over HTTP; LOOKS: rarely; OFFLINE: answered only without network,
	 * which the others are not; KEEPS: by the keeper alone. */
	enum { TALKS, LOOKS, OFFLINE, KEEPS } kind;
} operations[] = {
	{ "refresh", op_refresh, TALKS },     { "locate", op_locate, LOOKS },
	{ "fetch", op_fetch, TALKS },         { "connections", op_connections, LOOKS },
	{ "upload", op_upload, TALKS },       { "receipts", op_receipts, TALKS },
	{ "doctor", op_doctor, LOOKS },       { "probe", op_probe, TALKS },
	{ "demand", op_demand, TALKS },       { "found", op_found, OFFLINE },
	{ "evaluate", op_evaluate, OFFLINE }, { "rekey", op_rekey, OFFLINE },
	{ "seal", op_seal, OFFLINE },         { "receipt-check", op_receipt_check, OFFLINE },
	{ "verify", op_verify, OFFLINE },     { "build", op_build, KEEPS },
};

static void *load_http(void *unused UNUSED)
{
	struct curlcalls ignored;
	struct err err;

	if (!curlcalls_load(&ignored, &err))
		log_debug("%s", err.why);
	return NULL;
}

void worker_load_http(struct worker *w)
{
	if (!w->talks || w->loads_http)
		return;
	(void)cryptocalls();
	w->loads_http = pthread_create(&w->http_loader, NULL, load_http, NULL) == 0;
}

bool worker_event(struct worker *w, json_t *event)
{
	json_auto_t *owned = event;
	struct err err;

	if (!w->peer_gone && !wire_send_json(w->peer, owned, -1, &err))
		w->peer_gone = true;
	return !w->peer_gone;
}

bool worker_need_keeper(int *socket_out, struct worker *w, struct err *err)
{
	json_auto_t *frame = NULL;
	int fd = -1;

	if (w->passed >= 0) {
		*socket_out = w->passed;
		w->passed = -1;
		return true;
	}
	if (!worker_event(w, json_pack("{s:s}", "event", "keeper")) ||
	    wire_receive_json(&frame, &fd, w->peer, KEEPER_MS, err) != WIRE_FRAME)
		return err_set(err, ERR_INTERRUPTED, "the command that asked has ended");
	if (json_object_get(frame, "error") != NULL)
		return jsondoc_take_error(err, json_object_get(frame, "error"));
	*socket_out = fd;
	return fd >= 0 || err_set(err, ERR_INTERRUPTED, "no keeper was started");
}

void worker_record(struct worker *w, json_t *record)
{
	json_t *event = json_object();

	jsondoc_set_text(event, "event", "record");
	jsondoc_set(event, "record", record);
	worker_event(w, event);
}

static bool is_answered(const struct worker_options *o, size_t operation)
{
	int kind = operations[operation].kind;

	return o->keeps ? kind == KEEPS : o->offline ? kind == OFFLINE : kind < OFFLINE;
}

static bool dispatch(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	const char *op;

	if (!jsondoc_need_text(&op, request, "op", err))
		return false;
	for (size_t i = 0; i < COUNT_OF(operations); i++)
		if (strcmp(operations[i].op, op) == 0 && is_answered(&w->options, i)) {
			w->talks = operations[i].kind == TALKS;
			return operations[i].handler(result_out, w, request, err);
		}
	return err_set(err, ERR_USAGE, "the worker has no operation \"%s\"%s", op,
		       w->options.keeps     ? " as keeper"
		       : w->options.offline ? " without network"
					    : "");
}

void worker_do_rest(struct worker *w)
{
	worker_rest_fn *rest = w->rest;

	w->rest = NULL;
	if (rest != NULL)
		rest(w->rest_ctx);
}

static void answer(struct worker *w, const json_t *request)
{
	json_t *reply = json_object();
	json_t *result = NULL;
	struct err err = { 0 };

	if (dispatch(&result, w, request, &err))
		jsondoc_set(reply, "done", result != NULL ? result : json_object());
	else
		jsondoc_set(reply, "error", jsondoc_new_error(&err));
	/* Who reads the answer may end with it. */
	if (w->rest != NULL && !spawn_outlive_parent())
		log_debug("what is left ends with who asked");
	worker_event(w, reply);
	worker_do_rest(w);
}

struct peers {
	struct pollfd fds[WORKER_PEERS_MAX];
	size_t count;
	bool had_guests; /* a peer was attached: this process is shared */
};

static void drop(struct worker *w, struct peers *p, size_t i)
{
	op_demand_drop(w, p->fds[i].fd);
	close(p->fds[i].fd);
	p->fds[i] = p->fds[--p->count];
}

static void attach(struct peers *p, int fd)
{
	if (fd < 0 || p->count == WORKER_PEERS_MAX) {
		if (fd >= 0)
			close(fd);
		return;
	}
	p->fds[p->count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

/* False once the peer has closed. */
static bool serve_peer(struct worker *w, struct peers *p, size_t i)
{
	json_auto_t *request = NULL;
	int passed = -1;
	struct err err;
	enum wire_result got = wire_receive_json(&request, &passed, p->fds[i].fd, 0, &err);
	const char *op;

	if (got == WIRE_TIMEOUT)
		return true;
	if (got != WIRE_FRAME)
		return false;
	op = jsondoc_text(request, "op");
	if (op != NULL && strcmp(op, "attach") == 0) {
		p->had_guests = true;
		attach(p, passed);
		return true;
	}
	w->peer = p->fds[i].fd;
	w->passed = passed;
	w->peer_gone = false;
	w->viewer = jsondoc_int(request, "uid", -1);
	op_demand_yield(w, request);
	answer(w, request);
	path_close_fd(&w->passed);
	return !w->peer_gone;
}

/* Serve what is ready, the parent (index 0) last. False once the parent is gone. */
static bool serve_ready(struct worker *w, struct peers *p)
{
	for (size_t i = p->count; i-- > 1;) {
		short seen = p->fds[i].revents;

		/* What one asked who has hung up since is not begun. */
		if (seen != 0 && ((seen & POLLHUP) != 0 || !serve_peer(w, p, i)))
			drop(w, p, i);
	}
	return p->fds[0].revents == 0 || serve_peer(w, p, 0);
}

/* True while somebody may still ask or sessions linger. A command's own worker waits for it,
 * however long the program runs between two requests. */
static bool is_wanted(const struct worker *w, const struct peers *p, uint64_t idle_since_ms)
{
	uint64_t idle_ms = clock_mono_ms(w->clock) - idle_since_ms;

	return !p->had_guests || p->count > 1 || idle_ms < (uint64_t)w->options.linger_s * 1000;
}

/*
 * The buffers of a fetch are some megabytes each. Taking them from the kernel and giving them back
 * for every package costs as much as the files of a small one; at rest all goes back.
 */
static void keep_memory(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, KEPT_PIECE);
	(void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
}

static void loop(struct worker *w, struct peers *p)
{
	uint64_t idle_since_ms = clock_mono_ms(w->clock);
	bool holds_memory = false;

	for (;;) {
		int ready = poll(p->fds, (nfds_t)p->count, IDLE_STEP_MS);

		if (ready < 0 && errno != EINTR)
			return;
		if (ready > 0) {
			if (!serve_ready(w, p) || w->options.offline)
				return;
			idle_since_ms = clock_mono_ms(w->clock);
			holds_memory = true;
		}
		if (ready == 0 && holds_memory) {
			malloc_trim(0);
			holds_memory = false;
		}
		if (w->scene != NULL)
			scene_close_idle(w->scene);
		if (!is_wanted(w, p, idle_since_ms))
			return;
	}
}

bool worker_serve(const struct worker_options *options, int socket, struct err *err)
{
	struct worker w = { .options = *options,
			    .clock = options->clock != NULL ? options->clock : clock_system(),
			    .peer = -1,
			    .passed = -1 };
	struct peers peers = { .count = 0 };

	if (!state_open(&w.state, options->state_dir,
			options->account.changes ? STATE_SERVE : STATE_READ, err))
		return false;
	attach(&peers, socket);
	keep_memory();
	loop(&w, &peers);
	if (w.loads_http)
		(void)pthread_join(w.http_loader, NULL);
	op_demand_close(&w);
	scene_free(w.scene);
	while (peers.count > 0)
		drop(&w, &peers, peers.count - 1);
	state_close(&w.state);
	return true;
}
