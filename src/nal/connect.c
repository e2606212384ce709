#include "nal/connect.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "nal/dial.h"
#include "nal/folder.h"
#include "nal/httpproxy.h"
#include "nal/probe.h"
#include "nal/provider.h"
#include "nal/smbknock.h"

/* One candidate's connect; at most one of `dial`, `knock` and `folder` is in use. */
struct line {
	const struct way_target *target;
	struct dial *dial;
	struct smbknock *knock;
	struct folder folder;
	struct way_link link; /* connected, not used yet; SMB: the address that answered */
	uint64_t knock_begun_ms;
	uint32_t knock_ms; /* until the NEGOTIATE was answered */
	bool was_met;
	const char *rung; /* of the presence ladder; NULL: it did not run */
	uint32_t rung_ms;
	struct err err;
};

struct connect {
	struct conntab *tab;
	struct line *lines;
	struct attempt attempt;
	const void *user;
	uint32_t patience; /* times the usual limits */
	bool looks_first;  /* the presence ladder runs before each connection to an SMB server */
	uint64_t away_ms;  /* since when the caller works with a way */
};

static uint64_t now(void)
{
	return clock_mono_ms(clock_system());
}

struct connect *connect_begin(struct conntab *tab, const struct way_target *targets, size_t count,
			      const void *user)
{
	struct connect *c = alloc_zeroed(1, sizeof(*c));

	c->tab = tab;
	c->user = user;
	c->patience = 1;
	c->lines = alloc_zeroed(MAX_OF(count, 1), sizeof(c->lines[0]));
	attempt_init(&c->attempt, count, now());
	for (size_t i = 0; i < count; i++) {
		c->lines[i].target = &targets[i];
		c->lines[i].link = WAY_LINK_NONE;
		if (conntab_is_open(tab, &targets[i]))
			attempt_opened(&c->attempt, i);
	}
	return c;
}

void connect_look_first(struct connect *c)
{
	c->looks_first = true;
}

void connect_be_patient(struct connect *c)
{
	c->patience = CONNECT_PATIENCE;
	c->attempt.connect_ms = ATTEMPT_CONNECT_MS * CONNECT_PATIENCE;
}

static void stop_line(struct line *l)
{
	dial_free(l->dial);
	l->dial = NULL;
	smbknock_free(l->knock);
	l->knock = NULL;
	folder_release(&l->folder);
	if (l->link.fd >= 0)
		close(l->link.fd);
	l->link = WAY_LINK_NONE;
}

void connect_end(struct connect *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->attempt.count; i++)
		stop_line(&c->lines[i]);
	attempt_release(&c->attempt);
	free(c->lines);
	free(c);
}

static void line_failed(struct connect *c, size_t index, enum nal_class class)
{
	stop_line(&c->lines[index]);
	attempt_failed(&c->attempt, index, class, now());
}

static void start_line(struct connect *c, size_t index)
{
	struct line *l = &c->lines[index];
	const struct locator *where = l->target->where;
	const struct provider *provider = provider_for(l->target);

	if (provider == NULL) {
		err_set(&l->err, ERR_UNSUPPORTED, "no provider for %s addresses",
			locator_scheme_name(where->scheme));
		line_failed(c, index, NAL_CLASS_UNKNOWN);
	} else if (provider == &provider_file) {
		folder_begin(&l->folder, l->target, conntab_box(c->tab, l->target),
			     c->attempt.connect_ms, now());
		l->was_met = true; /* one that is late is slow rather than absent */
	} else if (httpproxy_covers(locator_scheme_name(where->scheme), where->host)) {
		/* Only the proxy can connect there; its answer to the first request tells. */
		attempt_connected(&c->attempt, index, now());
	} else {
		l->dial = dial_begin(where->host, where->port, c->attempt.connect_ms, now());
	}
}

static bool is_smb(const struct line *l)
{
	return l->target->where->scheme == LOCATOR_SMB && l->target->mount_at == NULL;
}

/* Connected: ask whether an SMB server is behind the port, in what is left of its time. */
static void start_knock(struct connect *c, size_t index)
{
	struct line *l = &c->lines[index];
	uint64_t due = c->attempt.candidates[index].begun_ms + c->attempt.connect_ms;
	uint64_t left_ms;

	l->knock_begun_ms = now();
	left_ms = due > l->knock_begun_ms ? due - l->knock_begun_ms : 0;
	l->knock = smbknock_begin(
		l->link.fd, l->target->where->host, SMBKNOCK_NEGOTIATE,
		(uint32_t)MIN_OF(left_ms, (uint64_t)SMBKNOCK_NEGOTIATE_MS * c->patience),
		l->knock_begun_ms);
	l->link.fd = -1;
}

static void step_knock(struct connect *c, size_t index)
{
	struct line *l = &c->lines[index];
	struct smbknock_result result;

	if (smbknock_step(l->knock, now()) == SMBKNOCK_BUSY)
		return;
	smbknock_result(&result, l->knock, &l->err);
	smbknock_free(l->knock);
	l->knock = NULL;
	l->knock_ms = (uint32_t)(now() - l->knock_begun_ms);
	if (result.class == NAL_CLASS_OK)
		attempt_connected(&c->attempt, index, now());
	else
		line_failed(c, index, smbknock_class(&result));
}

static void step_dial(struct connect *c, size_t index)
{
	struct line *l = &c->lines[index];
	enum dial_state state = dial_step(l->dial, now());

	if (state == DIAL_FAILED) {
		line_failed(c, index, dial_fault(l->dial, &l->err));
	} else if (state == DIAL_CONNECTED) {
		l->was_met = true;
		l->link = dial_take(l->dial);
		dial_free(l->dial);
		l->dial = NULL;
		if (is_smb(l))
			start_knock(c, index);
		else
			attempt_connected(&c->attempt, index, now());
	}
}

static void step_folder(struct connect *c, size_t index)
{
	struct line *l = &c->lines[index];
	enum folder_state state = folder_step(&l->folder, now());

	if (state == FOLDER_FAILED) {
		line_failed(c, index, folder_fault(&l->folder, &l->err));
	} else if (state == FOLDER_OPEN) {
		l->link = folder_take(&l->folder);
		attempt_connected(&c->attempt, index, now());
	}
}

static bool is_connecting(const struct connect *c, size_t index)
{
	return c->attempt.candidates[index].state == ATTEMPT_STATE_CONNECTING;
}

static void step_lines(struct connect *c)
{
	for (size_t i = 0; i < c->attempt.count; i++) {
		if (!is_connecting(c, i))
			continue;
		if (c->lines[i].dial != NULL)
			step_dial(c, i);
		else if (c->lines[i].knock != NULL)
			step_knock(c, i);
		else
			step_folder(c, i);
	}
}

static void wait_lines(struct connect *c, uint32_t wait_ms)
{
	struct pollfd fds[ATTEMPT_IN_FLIGHT_MAX * DIAL_POLL_MAX];
	size_t n = 0;

	for (size_t i = 0; i < c->attempt.count; i++) {
		struct line *l = &c->lines[i];

		if (!is_connecting(c, i))
			continue;
		if (l->dial != NULL) {
			n += dial_poll(l->dial, fds + n);
			wait_ms = MIN_OF(wait_ms, dial_wait_ms(l->dial, now()));
		} else if (l->knock != NULL) {
			fds[n++] = smbknock_poll(l->knock);
			wait_ms = MIN_OF(wait_ms, smbknock_wait_ms(l->knock, now()));
		} else if (folder_fd(&l->folder) >= 0) {
			fds[n++] = (struct pollfd){ .fd = folder_fd(&l->folder), .events = POLLIN };
			wait_ms = MIN_OF(wait_ms, folder_wait_ms(&l->folder, now()));
		}
	}
	(void)poll(fds, n, (int)wait_ms);
}

static void note_ladder(struct line *l, const struct probe *probe)
{
	const struct probe_step *last = probe_last(probe);

	if (last == NULL)
		return;
	l->rung = probe_rung_name(last->rung);
	l->rung_ms = probe_ms(probe);
}

/* What the ladder says before a connection; NAL_CLASS_OK unless the server is absent. */
static enum nal_class look_before(struct connect *c, struct line *l)
{
	const struct probe_knocked knocked = { .address = l->link.address, .ms = l->knock_ms };
	struct probe probe;

	if (!c->looks_first || !is_smb(l))
		return NAL_CLASS_OK;
	probe_before(&probe, c->tab, l->target, l->link.address[0] != '\0' ? &knocked : NULL);
	note_ladder(l, &probe);
	if (probe.presence != PROBE_ABSENT)
		return NAL_CLASS_OK;
	l->err = probe_last(&probe)->err;
	return probe_last(&probe)->class;
}

/* Turn the connected candidate into a leased way; false if that fails after all. */
static bool use_line(struct way **way_out, struct connect *c, size_t index)
{
	struct line *l = &c->lines[index];
	enum nal_class class = look_before(c, l);
	struct way_link link = l->link;

	l->link = WAY_LINK_NONE;
	if (class == NAL_CLASS_OK) {
		class = conntab_acquire(way_out, c->tab, l->target, link, c->user, &l->err);
		if (class == NAL_CLASS_OK) {
			l->was_met = true;
			(*way_out)->limits.connect_ms *= c->patience;
			(*way_out)->limits.first_byte_ms *= c->patience;
			return true;
		}
	} else if (link.fd >= 0) {
		close(link.fd);
	}
	line_failed(c, index, class);
	return false;
}

static void abandon_line(struct connect *c, size_t index)
{
	struct line *l = &c->lines[index];

	err_set(&l->err, ERR_NET_TIMEOUT, "no connection within %u ms", c->attempt.connect_ms);
	stop_line(l);
}

/* Others go on connecting while one is in use, but nobody looks after them. */
static void came_back(struct connect *c)
{
	if (c->away_ms != 0)
		attempt_away(&c->attempt, now() - c->away_ms);
	c->away_ms = 0;
}

bool connect_next(struct way **way_out, size_t *index_out, struct connect *c, struct err *err)
{
	for (;;) {
		struct attempt_step step;
		uint64_t looked_ms;

		came_back(c);
		/* On a busy machine we may come late ourselves: who answered in time is seen. */
		looked_ms = now();
		step_lines(c);
		step = attempt_next(&c->attempt, looked_ms);
		switch (step.action) {
		case ATTEMPT_CONNECT:
			start_line(c, step.index);
			break;
		case ATTEMPT_ABANDON:
			abandon_line(c, step.index);
			break;
		case ATTEMPT_WAIT:
			wait_lines(c, step.wait_ms);
			break;
		case ATTEMPT_USE:
			*index_out = step.index;
			c->away_ms = now();
			if (use_line(way_out, c, step.index))
				return true;
			break;
		case ATTEMPT_EXHAUSTED:
			return err_set(err, ERR_NO_CANDIDATE, "none of %zu candidates is left",
				       c->attempt.count);
		}
	}
}

enum nal_class connect_look_after(struct connect *c, size_t index, enum nal_class class,
				  struct err *err)
{
	struct line *l = &c->lines[index];
	struct err before = *err;
	struct probe probe;

	if (!is_smb(l) || l->rung != NULL ||
	    (class != NAL_CLASS_UNKNOWN && class != NAL_CLASS_TIMEOUT))
		return class;
	probe_after(&probe, c->tab, l->target);
	note_ladder(l, &probe);
	if (probe.presence == PROBE_ABSENT) {
		*err = probe_last(&probe)->err;
		return probe_last(&probe)->class;
	}
	if (probe.presence == PROBE_PRESENT)
		err_set(err, before.code, "%.300s; the server is there (%s)", before.why, l->rung);
	return class;
}

void connect_reject(struct connect *c, size_t index, enum nal_class class, const struct err *err)
{
	const struct attempt_candidate *a = &c->attempt.candidates[index];

	if (a->was_open && a->state == ATTEMPT_STATE_USED && class == NAL_CLASS_UNREACHABLE) {
		attempt_closed(&c->attempt, index);
		return;
	}
	c->lines[index].err = *err;
	line_failed(c, index, class);
}

struct connect_record connect_record(const struct connect *c, size_t index)
{
	const struct attempt_candidate *a = &c->attempt.candidates[index];

	return (struct connect_record){ .tried = a->state == ATTEMPT_STATE_USED ||
						 a->state == ATTEMPT_STATE_FAILED,
					.was_open = a->was_open,
					.was_met = c->lines[index].was_met,
					.class = a->class,
					.ms = a->ms,
					.rung = c->lines[index].rung,
					.rung_ms = c->lines[index].rung_ms,
					.err = &c->lines[index].err };
}
